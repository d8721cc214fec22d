"""Files beside the database that control the bot without the dashboard: HALT, and one file per command.

The files are empty, so that creating one is atomic on every system; the name holds the command, and the symbol and side
of the position that it is about. A symbol is percent-encoded there, because it may contain any character.
"""

import logging
import re
import secrets
from pathlib import Path
from urllib.parse import quote, unquote

from src.core.events import FileCommand, HaltFileChanged
from src.domain import crash_points
from src.domain.commands import OperatorAction
from src.domain.crash_points import Point
from src.domain.enums import PositionSide

log = logging.getLogger("hunter.operator")

_ACTIONS = (OperatorAction.FLATTEN, OperatorAction.RESUME)
_POSITION_ACTIONS = (OperatorAction.POSITION_OURS, OperatorAction.POSITION_EXTERNAL)
_COMMAND_NAME = re.compile(
    rf"(?:({'|'.join(_ACTIONS)})|({'|'.join(_POSITION_ACTIONS)})-({'|'.join(PositionSide)})-([A-Za-z0-9._~%]+))"
    r"-([0-9]{1,15})-[0-9a-f]{8}"
)
_MAX_SYMBOL_LENGTH = 150
"""Of an encoded symbol: with the rest, the name stays below the 255 characters that file systems allow."""
_NS_PER_MS = 1_000_000


class ControlFiles:
    """The HALT file and the ``commands`` directory beside a database. Usable from any process."""

    def __init__(self, database: Path) -> None:
        self.halt_file = database.with_name("HALT")
        self._directory = database.with_name("commands")

    @property
    def is_halted(self) -> bool:
        """Whether HALT exists; checked again right before an entry is sent (I24)."""
        return self.halt_file.exists()

    def read_halt(self) -> HaltFileChanged:
        try:
            return HaltFileChanged(self.halt_file, self.halt_file.stat().st_mtime_ns // _NS_PER_MS)
        except FileNotFoundError:
            return HaltFileChanged(self.halt_file, None)

    def halt(self) -> None:
        """Create or touch HALT, and withdraw a pending resume: the later command counts."""
        self.halt_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.halt_file.touch(mode=0o600)
        crash_points.reached(Point.HALT_WRITTEN)
        for request in self.pending():
            if request.action is OperatorAction.RESUME:
                request.file.unlink(missing_ok=True)

    def write_command(
        self, action: OperatorAction, now_ms: int, symbol: str | None = None, position_side: PositionSide | None = None
    ) -> FileCommand:
        """Create a command file for the bot. Raises ValueError if the symbol does not fit into a file name."""
        about = "" if symbol is None else f"-{position_side}-{_encoded(symbol)}"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._directory / f"{action}{about}-{now_ms}-{secrets.token_hex(4)}"
        file.touch(mode=0o600, exist_ok=False)
        return FileCommand(action, now_ms, file, symbol, position_side)

    def pending(self) -> list[FileCommand]:
        """Pending commands, oldest first; other files are ignored."""
        if not self._directory.is_dir():
            return []
        named = ((file, _COMMAND_NAME.fullmatch(file.name)) for file in self._directory.iterdir())
        found = [_command_from(file, name) for file, name in named if name]
        return sorted(found, key=lambda request: (request.at, request.file.name))


def _encoded(symbol: str) -> str:
    """The symbol for a file name; a hyphen separates the parts of the name, so it is encoded too."""
    encoded = quote(symbol, safe="").replace("-", "%2D")
    if not 0 < len(encoded) <= _MAX_SYMBOL_LENGTH:
        raise ValueError(f"{symbol!r} is not a symbol")
    return encoded


def _command_from(file: Path, name: re.Match[str]) -> FileCommand:
    action, position_action, side, symbol, at = name.groups()
    if action is not None:
        return FileCommand(OperatorAction(action), int(at), file)
    return FileCommand(OperatorAction(position_action), int(at), file, unquote(symbol), PositionSide(side))


def remove_halt_file(file: Path, requested_at: int) -> None:
    """Remove HALT, unless it was created after the resume was requested: the later command counts."""
    try:
        if file.stat().st_mtime_ns // _NS_PER_MS <= requested_at:
            file.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("cannot remove %s, which blocks entries until it is removed: %s", file, error)


def remove_command_file(file: Path) -> None:
    """Remove the file of a finished command; if that fails, its name still keeps it from being carried out again."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.error("command carried out, but its file cannot be removed: %s: %s", file, error)
