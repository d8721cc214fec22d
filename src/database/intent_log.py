"""A log of orders sent while the database cannot be written (F43)."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

from src.database.tables.orders import new_trade, order_from
from src.domain.numbers import plain
from src.domain.orders import Order

log = logging.getLogger("hunter.database")

_PREALLOCATED_BYTES = 256 * 1024
"""Reserved in advance, so that intents can be written on a full disk."""
_DECIMAL_COLUMNS = ("quantity", "price", "stop_price", "filled_quantity", "average_price")
_NEW_NAMES = {"parent_order_id": "entry_client_order_id", "simulated": "is_simulated"}
"""Names in a line that an earlier version wrote."""
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Intent:
    """An order that was sent without a database row."""

    order: Order
    is_simulated: bool

    def render(self) -> str:
        """Render the intent as one line of JSON."""
        row = new_trade(self.order, simulated=self.is_simulated)
        return json.dumps({"is_simulated": self.is_simulated, **row}, default=plain)

    @classmethod
    def parse(cls, line: str) -> "Intent":
        """Parse a line. Raises ValueError, KeyError or TypeError for an invalid one."""
        row = {_NEW_NAMES.get(name, name): value for name, value in json.loads(line).items()}
        money = {name: None if row[name] is None else Decimal(row[name]) for name in _DECIMAL_COLUMNS}
        return cls(order_from(SimpleNamespace(**{**row, **money})), row["is_simulated"])


class IntentLog:
    """A file beside the database with one line per order, synced to disk before the order is sent.

    If it cannot be written, as on a read-only disk, a file in the system's temporary directory is used.
    """

    def __init__(self, database: Path) -> None:
        digest = hashlib.sha256(str(database.absolute()).encode()).hexdigest()[:24]
        self._primary = database.with_name(f"{database.name}.intents")
        self._fallback = Path(tempfile.gettempdir()) / f"hunter-{digest}.intents"
        self._earlier = [each.with_suffix(".emergency") for each in (self._primary, self._fallback)]
        """The files of an earlier version."""

    def preallocate(self) -> None:
        """Reserve disk space for the file."""
        try:
            with _open_private(self._primary) as file:
                missing = _PREALLOCATED_BYTES - file.seek(0, os.SEEK_END)
                if missing > 0:
                    _write(file, bytes(missing))
        except OSError as error:
            log.warning("no space reserved for the intent log path=%s error=%s", self._primary, error.strerror)

    def add(self, intents: Sequence[Intent]) -> bool:
        """Write intents; True once they are on disk, False if neither file can be written."""
        text = "".join(f"{intent.render()}\n" for intent in intents).encode()
        for place in (self._primary, self._fallback):
            try:
                with _open_private(place) as file:
                    file.seek(len(_read_lines(file)))
                    _write(file, text)
            except OSError as error:
                log.error("intent log cannot be written path=%s error=%s", place, error.strerror)
            else:
                return True
        return False

    def intents(self) -> list[Intent]:
        """Return the intents in the log; an incomplete last line is skipped, as its order was not sent."""
        return [intent for place in (self._primary, self._fallback, *self._earlier) for intent in _intents(place)]

    def clear(self) -> None:
        """Remove all intents, which are in the database now; the reserved space stays."""
        for place in (self._fallback, *self._earlier):
            with suppress(OSError):
                place.unlink(missing_ok=True)
        try:
            with _open_private(self._primary) as file:
                _write(file, bytes(len(_read_lines(file))))
        except OSError as error:  # they are in the database: restoring them again changes nothing
            log.warning("intent log cannot be cleared path=%s error=%s", self._primary, error.strerror)
        self.preallocate()


def _open_private(path: Path) -> BinaryIO:
    """Open a file private to the owner, never through a symbolic link or one of another user."""
    descriptor = os.open(path, _OPEN_FLAGS, 0o600)
    if hasattr(os, "getuid") and os.fstat(descriptor).st_uid != os.getuid():
        os.close(descriptor)
        raise PermissionError(0, "it belongs to another user", str(path))
    return os.fdopen(descriptor, "r+b", buffering=0)


def _read_lines(file: BinaryIO) -> bytes:
    """Read the complete lines; the reserved space behind them is zeros."""
    file.seek(0)
    written = file.read().partition(b"\0")[0]
    file.seek(0)
    return written[: written.rfind(b"\n") + 1]


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
    os.fsync(file.fileno())


def _intents(place: Path) -> Iterator[Intent]:
    if not place.exists():
        return
    try:
        with _open_private(place) as file:
            lines = _read_lines(file).decode(errors="replace").splitlines()
    except OSError as error:
        log.error("intent log cannot be read path=%s error=%s", place, error.strerror)
        return
    for line in lines:
        try:
            yield Intent.parse(line)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            log.error("invalid line in the intent log path=%s error=%s line=%.300s", place, error, line)
