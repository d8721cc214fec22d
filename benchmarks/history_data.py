"""Makes a database with years of history in the project's own schema: ``python -m benchmarks.history_data FOLDER``."""

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from src.database.db import checkpoint, open_writer
from src.database.models import BotBase
from src.database.open_database import open_database
from src.database.results import refresh
from src.database.tables.market import summarize_liquidations
from src.domain.clock import DAY_MS, HOUR_MS, MINUTE_MS, SystemClock

FILE = "bot.db"
_CHUNK = 20_000
_SYMBOLS = [f"COIN{number:03}USDT" for number in range(300)]
_TRADED = 10
_DAYS = 730
_Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """The number of rows; ``times`` multiplies all of them."""

    times: float = 1.0

    def of(self, count: int) -> int:
        return max(1, round(count * self.times))

    @property
    def liquidations(self) -> int:
        return self.of(5_000_000)

    @property
    def verdicts(self) -> int:
        return self.of(1_000_000)

    @property
    def trips(self) -> int:
        """Positions of three fills and three orders each."""
        return self.of(73_700)

    @property
    def journal(self) -> int:
        return self.of(6_100_000)


@dataclass(frozen=True, slots=True)
class History:
    """Rows of every table, oldest first, spread evenly over two years until ``until_ms``."""

    scale: Scale
    until_ms: int

    @property
    def since_ms(self) -> int:
        return self.until_ms - _DAYS * DAY_MS

    def at(self, number: int, count: int) -> int:
        return self.since_ms + (self.until_ms - self.since_ms) * (number + 1) // (count + 1)

    def liquidations(self) -> Iterator[_Row]:
        random, count = Random(1), self.scale.liquidations
        for number in range(count):
            at, price, quantity = self.at(number, count), f"{random.randrange(100, 90_000)}.5", random.randrange(1, 900)
            side, symbol = ("BUY", "SELL")[number & 1], _SYMBOLS[self._symbol_of(number)]
            value = f"{float(price) * quantity:.4f}"
            yield (number + 1, symbol, side, str(quantity), price, price, str(quantity), value,
                   "LIMIT", "IOC", "FILLED", at, at + 40, at + 90)  # fmt: skip

    def verdicts(self) -> Iterator[_Row]:
        """Every fifth liquidation is one of a configured symbol; one verdict in 14 is an entry."""
        count, numbers = self.scale.liquidations, json.dumps({"needed": "50000", "found": "1234.5"})
        for number in range(0, count, 5):
            is_entry = number // 5 % 14 == 0 and number // 70 < self.scale.trips
            yield (number + 1, _SYMBOLS[self._symbol_of(number)], ("BUY", "SELL")[number & 1],
                   self.at(number, count) + 95,
                   None if is_entry else "threshold", "every gate passed" if is_entry else "volume below the threshold",
                   numbers, "1234.5", "50000", _entry_id(number // 70) if is_entry else None)  # fmt: skip

    def orders(self) -> Iterator[_Row]:
        for trip in range(self.scale.trips):
            at, symbol, entry = self.at(trip, self.scale.trips), _SYMBOLS[trip % _TRADED], _entry_id(trip)
            is_win = trip % 3 != 0
            for kind, role, status in (
                (0, "ENTRY", "FILLED"),
                (1, "STOP_LOSS", "CANCELED" if is_win else "FILLED"),
                (2, "TAKE_PROFIT", "FILLED" if is_win else "CANCELED"),
            ):
                filled = "2" if status == "FILLED" else "0"
                yield (
                    trip * 3 + kind + 1, _order_id(trip, kind), str(trip * 3 + kind), symbol, "SELL" if kind else "BUY",
                    "BOTH", ("LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET")[kind], role, entry if kind else None,
                    None if kind else "2", None if kind else "100", (None, "98", "101")[kind], "GTC", bool(kind),
                    bool(kind), "MARK_PRICE" if kind else None, False, status, status, filled,
                    ("100", "98", "101")[kind], "0", "0.04", "USDT", None,
                    at + kind, at + kind, at + kind, at + kind, None,
                )  # fmt: skip

    def relationships(self) -> Iterator[_Row]:
        for trip in range(self.scale.trips):
            at, symbol = self.at(trip, self.scale.trips), _SYMBOLS[trip % _TRADED]
            for kind, role in ((1, "STOP_LOSS"), (2, "TAKE_PROFIT")):
                yield _order_id(trip, kind), _entry_id(trip), symbol, "BOTH", role, at + kind

    def statuses(self) -> Iterator[_Row]:
        number = 0
        for trip in range(self.scale.trips):
            at, symbol = self.at(trip, self.scale.trips), _SYMBOLS[trip % _TRADED]
            for kind in range(3):
                for status, filled in (("PENDING_NEW", "0"), ("NEW", "0"), ("FILLED", "2")):
                    number += 1
                    yield number, _order_id(trip, kind), symbol, status, filled, at + kind, "stream", None

    def fills(self) -> Iterator[_Row]:
        """Two fills open a position and one closes it ten minutes later."""
        for trip in range(self.scale.trips):
            at, symbol, is_win = self.at(trip, self.scale.trips), _SYMBOLS[trip % _TRADED], trip % 3 != 0
            leave, price, profit = (2, "101", "2") if is_win else (1, "98", "-4")
            for part, (kind, side, quantity, paid, result) in enumerate(
                (
                    (0, "BUY", "1", "100", "0"),
                    (0, "BUY", "1", "100", "0"),
                    (leave, "SELL", "2", price, profit),
                )
            ):
                yield (trip * 3 + part + 1, symbol, trip * 3 + part, str(trip * 3 + kind), _order_id(trip, kind), side,
                       "BOTH", quantity, paid, result, "0.02", "USDT", "0.02", False,
                       at + (10 * MINUTE_MS if part == 2 else part), False)  # fmt: skip

    def funding(self) -> Iterator[_Row]:
        for number, at in enumerate(range(self.since_ms, self.until_ms, 8 * HOUR_MS)):
            for which in range(_TRADED):
                yield number * _TRADED + which, _SYMBOLS[which], "USDT", "-0.01", "-0.01", False, at, False

    def balances(self) -> Iterator[_Row]:
        minutes = self.scale.of(_DAYS * 24 * 60)
        for number in range(minutes):
            balance = f"{1000 + number % 700}.25"
            at = self.until_ms - (minutes - number) * MINUTE_MS
            yield at, balance, "0", balance, balance, "0", "0", "0", False

    def journal(self) -> Iterator[_Row]:
        count = self.scale.journal
        kinds = ("liquidation", "decision", "liquidation", "decision", "liquidation", "protection", "order", "fill")
        payload = json.dumps({"count": 1, "items": [{"symbol": "COIN001USDT", "side": "SELL", "usdt_value": "812.5"}]})
        for number in range(count):
            kind = kinds[number & 7] if number % 5_000 else "alert"
            yield number + 1, self.at(number, count), kind, _SYMBOLS[number % _TRADED], payload

    @staticmethod
    def _symbol_of(number: int) -> int:
        return number // 5 % _TRADED if number % 5 == 0 else number * 7 % len(_SYMBOLS)


def _entry_id(trip: int) -> str:
    return _order_id(trip, 0)


def _order_id(trip: int, kind: int) -> str:
    return f"lh-{trip:010}-{('e', 's1', 't1')[kind]}"


def make_history(folder: Path, scale: Scale) -> Path:
    """Write the database into ``folder`` and return its path. The folder must not have one yet."""
    path = folder / FILE
    if path.exists():
        raise FileExistsError(f"{path} exists already: choose an empty folder")
    now_ms = SystemClock().now_ms()
    open_database(path, now_ms).engine.dispose()
    history = History(scale, now_ms - MINUTE_MS)
    tables: dict[str, Iterable[_Row]] = {
        "liquidations": history.liquidations(),
        "decisions": history.verdicts(),
        "trades": history.orders(),
        "order_relationships": history.relationships(),
        "order_status": history.statuses(),
        "fills": history.fills(),
        "funding_payments": history.funding(),
        "account_history": history.balances(),
        "journal": history.journal(),
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        for table, rows in tables.items():
            _fill(connection, table, iter(rows))
        connection.execute("INSERT INTO bot_state VALUES ('bot', ?, ?)", (json.dumps({"is_simulated": False}), now_ms))
        connection.execute("INSERT INTO bot_runs VALUES (1, 'history', 1, ?, ?)", (now_ms - HOUR_MS, now_ms))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _summarize(path)
    return path


def _summarize(path: Path) -> None:
    """Make closed positions and summaries, as the bot does step by step."""
    engine = open_writer(path)
    for step in (refresh, partial(summarize_liquidations, limit=_CHUNK)):
        is_done = False
        while not is_done:
            with engine.begin() as connection:
                is_done = step(connection) == 0
    checkpoint(engine)
    engine.dispose()


def _fill(connection: sqlite3.Connection, table: str, rows: Iterator[_Row]) -> None:
    started, count = time.monotonic(), 0
    while chunk := list(islice(rows, _CHUNK)):
        names = [column.name for column in BotBase.metadata.tables[table].columns]
        values = ", ".join("?" * len(names))
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})", chunk)
        connection.execute("COMMIT")
        count += len(chunk)
        print(f"\r{table:<20}{count:>12,} rows {time.monotonic() - started:6.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history_data", description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder for the database")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 5 million liquidations, about 3 GB (default 1)")
    arguments = parser.parse_args()
    path = make_history(arguments.folder, Scale(arguments.scale))
    print(f"{path}: {path.stat().st_size / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
