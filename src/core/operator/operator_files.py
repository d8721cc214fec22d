"""Files beside the database by which a person reaches the bot while the dashboard is dead: HALT, and one per request.

They are empty, so that making one is atomic on every system; a name says it all. No second process writes a database.
"""

import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.messages import OperatorAction

log = logging.getLogger("hunter.operator")

_ACTIONS = (OperatorAction.FLATTEN, OperatorAction.RESUME)
_REQUEST = re.compile(rf"({'|'.join(_ACTIONS)})-([0-9]{{1,15}})-[0-9a-f]{{8}}")
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class HaltSeen:
    """The HALT file was made, renewed or removed."""

    file: Path
    since: int | None
    """When it was made or last touched; None where there is none."""


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A wish of the command line. The file stays until what it asks for is committed."""

    action: OperatorAction
    at: int
    file: Path


class OperatorFiles:
    """HALT and ``commands/`` beside a database. Any process may call this."""

    def __init__(self, database: Path) -> None:
        self.halt_file = database.with_name("HALT")
        self._directory = database.with_name("commands")

    @property
    def is_halted(self) -> bool:
        """Read at the send site (I24)."""
        return self.halt_file.exists()

    def look(self) -> HaltSeen:
        try:
            return HaltSeen(self.halt_file, self.halt_file.stat().st_mtime_ns // _NS_PER_MS)
        except FileNotFoundError:
            return HaltSeen(self.halt_file, None)

    def halt(self) -> None:
        """Make HALT, or renew it; a resume that still waits is withdrawn: the later word counts."""
        self.halt_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.halt_file.touch(mode=0o600)
        crash_points.reached(Point.HALT_WRITTEN)
        for request in self.requests():
            if request.action is OperatorAction.RESUME:
                request.file.unlink(missing_ok=True)

    def ask(self, action: OperatorAction, now_ms: int) -> FileRequest:
        """Leave a request for the bot."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._directory / f"{action}-{now_ms}-{secrets.token_hex(4)}"
        file.touch(mode=0o600, exist_ok=False)
        return FileRequest(action, now_ms, file)

    def requests(self) -> list[FileRequest]:
        """Those that wait, oldest first; files of other names are not ours."""
        if not self._directory.is_dir():
            return []
        named = ((file, _REQUEST.fullmatch(file.name)) for file in self._directory.iterdir())
        found = [FileRequest(OperatorAction(name[1]), int(name[2]), file) for file, name in named if name]
        return sorted(found, key=lambda request: (request.at, request.file.name))


def lift_halt(file: Path, asked_at: int) -> None:
    """Remove HALT, unless it was made after the wish to resume: the later word counts."""
    try:
        if file.stat().st_mtime_ns // _NS_PER_MS <= asked_at:
            file.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("%s cannot be removed, and keeps entries back until it is: %s", file, error)


def remove_request(file: Path) -> None:
    """A request that is carried out; one that cannot be removed is known by its name and not carried out again."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("%s was carried out, but cannot be removed: %s", file, error)
