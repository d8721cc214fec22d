"""Intents of protective orders, kept outside the ledger while it cannot be written (F43)."""

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
from src.domain.orders import Order

log = logging.getLogger("hunter.database")

_PREALLOCATED_BYTES = 256 * 1024
"""Taken while the disk still has some: on a full disk what lies within it can be written all the same."""
_DECIMAL_COLUMNS = ("quantity", "price", "stop_price", "filled_quantity", "average_price")
_NEW_NAMES = {"parent_order_id": "entry_client_order_id", "simulated": "is_simulated"}
"""Names in a line that an earlier version wrote."""
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True, slots=True)
class Intent:
    """An order that was allowed to leave without the ledger."""

    order: Order
    is_simulated: bool

    def render(self) -> str:
        row = new_trade(self.order, simulated=self.is_simulated)
        return json.dumps({"is_simulated": self.is_simulated, **row}, default=lambda money: format(money, "f"))

    @classmethod
    def parse(cls, line: str) -> "Intent":
        """ValueError, KeyError or TypeError for a line that is none."""
        row = {_NEW_NAMES.get(name, name): value for name, value in json.loads(line).items()}
        money = {name: None if row[name] is None else Decimal(row[name]) for name in _DECIMAL_COLUMNS}
        return cls(order_from(SimpleNamespace(**{**row, **money})), row["is_simulated"])


class IntentLog:
    """Lines beside the database, each on the disk before its order leaves; in the system's directory for temporary
    files where that fails, as on a disk that may only be read."""

    def __init__(self, database: Path) -> None:
        digest = hashlib.sha256(str(database.absolute()).encode()).hexdigest()[:24]
        self._primary = database.with_name(f"{database.name}.intents")
        self._fallback = Path(tempfile.gettempdir()) / f"hunter-{digest}.intents"
        self._earlier = [each.with_suffix(".emergency") for each in (self._primary, self._fallback)]
        """Where an earlier version kept them."""

    def preallocate(self) -> None:
        """Take the room, while nothing has failed yet."""
        try:
            with _open_private(self._primary) as file:
                missing = _PREALLOCATED_BYTES - file.seek(0, os.SEEK_END)
                if missing > 0:
                    _write(file, bytes(missing))
        except OSError as error:
            log.warning("no room could be taken for the intent log %s: %s", self._primary, error.strerror)

    def add(self, intents: Sequence[Intent]) -> bool:
        """Keep them; True once they are on a disk, False where no place takes them."""
        text = "".join(f"{intent.render()}\n" for intent in intents).encode()
        for place in (self._primary, self._fallback):
            try:
                with _open_private(place) as file:
                    file.seek(len(_read_lines(file)))
                    _write(file, text)
            except OSError as error:
                log.error("the intent log %s cannot be written: %s", place, error.strerror)
            else:
                return True
        return False

    def intents(self) -> list[Intent]:
        """What was kept and is not cleared; a last line that was cut off never left and is left out."""
        return [intent for place in (self._primary, self._fallback, *self._earlier) for intent in _intents(place)]

    def clear(self) -> None:
        """All of it is in the ledger; the room is for the next time."""
        for place in (self._fallback, *self._earlier):
            with suppress(OSError):
                place.unlink(missing_ok=True)
        try:
            with _open_private(self._primary) as file:
                _write(file, bytes(len(_read_lines(file))))
        except OSError as error:  # they are in the ledger: found there again, they change nothing
            log.warning("the intent log %s cannot be cleared: %s", self._primary, error.strerror)
        self.preallocate()


def _open_private(path: Path) -> BinaryIO:
    """For the owner alone, and never through a link that another user has laid."""
    descriptor = os.open(path, _OPEN_FLAGS, 0o600)
    if hasattr(os, "getuid") and os.fstat(descriptor).st_uid != os.getuid():
        os.close(descriptor)
        raise PermissionError(0, "it belongs to another user", str(path))
    return os.fdopen(descriptor, "r+b", buffering=0)


def _read_lines(file: BinaryIO) -> bytes:
    """Whole lines from the start on; the room behind them is zeros."""
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
        log.error("the intent log %s cannot be read: %s", place, error.strerror)
        return
    for line in lines:
        try:
            yield Intent.parse(line)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            log.error("a line of the intent log %s is not understood (%s): %.300s", place, error, line)
