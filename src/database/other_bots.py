"""Reads the databases of other bots: their liquidations and trades, in pieces, without changing anything there.

Known are the older bot's ``bot.db`` (tables ``liquidations`` and ``trades``) and the node bot's ``liquidations.db``.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from src.database.foreign import NODE_BOT, OLDER_BOT, foreign_owner, is_write_ahead
from src.domain.clock import DAY_MS
from src.domain.enums import OrderType, Side
from src.domain.errors import ConfigError
from src.domain.market import Liquidation
from src.domain.numbers import ZERO

PIECE = 5_000
"""Rows read at a time: between two pieces the other program can write."""
_FIRST_MS = 1_546_300_800_000  # 2019: no exchange of this kind is older
_MS_PER_SECOND = 1000
_BUSY_SECONDS = 5
_LARGEST_ID = 2**63 - 1

Row = Mapping[str, Any]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class OtherTrade:
    """An order of another bot as it recorded it; a value it did not record is None."""

    symbol: str
    side: str
    quantity: Decimal
    price: Decimal | None
    status: str
    order_id: str | None
    order_type: str | None
    parent_order_id: str | None
    """The entry that a take profit or stop loss belongs to."""
    trade_ids: str | None
    """Ids of the exchange's trades, separated by commas."""
    filled_quantity: Decimal | None
    average_price: Decimal | None
    realized_pnl: Decimal | None
    commission: Decimal | None
    recorded_at: int
    """Ms UTC."""


@dataclass(slots=True)
class OtherDatabase:
    """One database of another bot. Raises ConfigError, on use too, if it cannot be read."""

    path: Path
    now_ms: int
    program: str = field(init=False)
    """``older`` or ``node``."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be true, by what is wrong with them."""

    def __post_init__(self) -> None:
        owner = _owner(self.path)
        self.program = {OLDER_BOT: "older", NODE_BOT: "node"}[owner]

    @property
    def has_trades(self) -> bool:
        return self.program == "older"

    def count(self, table: str) -> int:
        """The number of rows of ``liquidations`` or ``trades``."""
        return int(self._read(lambda connection: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))

    def liquidations(self, after_id: int = 0) -> Iterator[list[tuple[int, Liquidation]]]:
        """The liquidations in pieces, oldest first, each with its row id.

        The older bot recorded the limit price of the order, its quantity, and the time of its own clock: value and
        price are near the real ones. The node bot recorded all that the exchange sent.
        """
        convert = _older_liquidation if self.program == "older" else _node_liquidation
        yield from self._pieces("liquidations", convert, after_id)

    def trades(self, after_id: int = 0) -> Iterator[list[tuple[int, OtherTrade]]]:
        """The older bot's orders in pieces, oldest first, each with its row id."""
        if self.has_trades:
            yield from self._pieces("trades", _older_trade, after_id)

    def _pieces(
        self, table: str, convert: Callable[[Row, int], Found], after_id: int
    ) -> Iterator[list[tuple[int, Found]]]:
        last = after_id
        while True:
            rows = self._read(partial(_read_piece, table=table, last=last))
            if not rows:
                return
            yield [(int(row["id"]), found) for row in rows if (found := self._convert(convert, row)) is not None]
            last = rows[-1]["id"]

    def _convert(self, convert: Callable[[Row, int], Found], row: Row) -> Found | None:
        try:
            return convert(row, self.now_ms)
        except ValueError as error:
            self.left_out[str(error)] += 1
            return None

    def _read(self, query: Callable[[sqlite3.Connection], Found]) -> Found:
        try:
            with closing(_connect(self.path)) as connection:
                return query(connection)
        except sqlite3.OperationalError as error:
            raise ConfigError(
                f"the database {self.path} cannot be read ({error}): stop the program that uses it, or start and stop "
                "it once if it does not run; then run this again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"the database {self.path} is damaged ({error}): use a copy of it made before; what was read so far is "
                "imported"
            ) from error


def _owner(path: Path) -> str:
    """Which of the known bots the database is of. Raises ConfigError for every other file."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path} does not exist: give the path of the other bot's database")
        with path.open("rb") as file:
            is_database = file.read(16) == b"SQLite format 3\0"
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    if not is_database:
        raise ConfigError(f"{path} is not an SQLite database: give the path of the other bot's database")
    owner = foreign_owner(path)
    if owner in (OLDER_BOT, NODE_BOT):
        return owner
    found = f"it is {owner}" if owner else "it is this bot's own, or it is damaged"
    raise ConfigError(
        f"nothing can be imported from {path}: {found}. Give the older bot's bot.db or the node bot's liquidations.db"
    )


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading only; nothing is made beside the file.

    In WAL mode SQLite would make a log. A file whose log is missing is open nowhere, so it can be read as immutable.
    """
    is_idle = is_write_ahead(path) and not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?{'immutable=1' if is_idle else 'mode=ro'}"
    connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)
    connection.row_factory = sqlite3.Row
    return connection


def _read_piece(connection: sqlite3.Connection, table: str, last: int) -> list[dict[str, Any]]:
    query = f"SELECT * FROM {table} WHERE id > ? ORDER BY id LIMIT {PIECE}"
    return [dict(row) for row in connection.execute(query, (last,))]


def _older_liquidation(row: Row, now_ms: int) -> Liquidation:
    at = _time(row["timestamp"], now_ms)
    quantity, price = _positive(row["qty"], "quantity"), _positive(row["price"], "price")
    return Liquidation(_symbol(row), Side(_side(row)), quantity, price, ZERO, ZERO, at, at, at, status="")


def _node_liquidation(row: Row, now_ms: int) -> Liquidation:
    event_at = _time(row["event_time"], now_ms)
    traded_at = _time(row["order_trade_time"], now_ms) if row["order_trade_time"] else event_at
    created = row["created_at"]
    received_at = max(event_at, created * _MS_PER_SECOND) if isinstance(created, int) else event_at
    kind = row["order_type"]
    return Liquidation(
        symbol=_symbol(row),
        side=Side(_side(row)),
        quantity=_positive(row["quantity"], "quantity"),
        price=_positive(row["price"], "price"),
        average_price=_number(row["average_price"]) or ZERO,
        filled_quantity=_number(row["order_filled_accumulated_quantity"]) or ZERO,
        traded_at=traded_at,
        event_at=event_at,
        received_at=received_at,
        type=OrderType(kind) if kind in set(OrderType) else OrderType.LIMIT,
        status=str(row["order_status"] or ""),
    )


def _older_trade(row: Row, now_ms: int) -> OtherTrade:
    return OtherTrade(
        symbol=_symbol(row),
        side=_side(row),
        quantity=_number(row["qty"]) or ZERO,
        price=_number(row["price"]),
        status=str(row["status"]),
        order_id=_text(row.get("order_id")),
        order_type=_text(row.get("order_type")),
        parent_order_id=_text(row.get("parent_order_id")),
        trade_ids=_text(row.get("exchange_trade_id")),
        filled_quantity=_number(row.get("filled_qty")),
        average_price=_number(row.get("avg_price")),
        realized_pnl=_number(row.get("realized_pnl")),
        commission=_number(row.get("commission")),
        recorded_at=_time(row["timestamp"], now_ms),
    )


def _symbol(row: Row) -> str:
    symbol = row["symbol"]
    if not isinstance(symbol, str) or not 2 <= len(symbol) <= 40:
        raise ValueError("no symbol")
    return symbol.upper()


def _side(row: Row) -> str:
    side = str(row["side"]).upper()
    if side not in set(Side):
        raise ValueError("side is neither BUY nor SELL")
    return side


def _time(value: object, now_ms: int) -> int:
    """Ms UTC; seconds are recognised."""
    if not isinstance(value, int | float) or not abs(value) < _LARGEST_ID:
        raise ValueError("no time")
    at = int(value) * (_MS_PER_SECOND if value < _FIRST_MS / _MS_PER_SECOND * 10 else 1)
    if not _FIRST_MS <= at <= now_ms + DAY_MS:
        raise ValueError("time is before 2019 or in the future")
    return at


def _positive(value: object, name: str) -> Decimal:
    number = _number(value)
    if number is None or number <= 0:
        raise ValueError(f"{name} is not above 0")
    return number


def _number(value: object) -> Decimal | None:
    """A number of SQLite without an exponent; None for NULL, text and infinity."""
    if not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
