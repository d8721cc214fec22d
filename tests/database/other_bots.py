"""Databases as other bots make them: the same tables and columns, filled by statements of the same shape."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.builders import NOW

LIQUIDATION = (NOW - 60_000, "BTCUSDT", "SELL", 0.25, 30_000.5)
_OLDER_TRADE_COLUMNS = (
    "order_type TEXT, parent_order_id TEXT, response TEXT, exchange_trade_id TEXT, realized_pnl REAL, commission REAL, "
    "filled_qty REAL, avg_price REAL, tranche_id INTEGER DEFAULT 0"
)


def make_older(
    path: Path,
    liquidations: Iterable[Sequence[Any]] = (LIQUIDATION,),
    trades: Iterable[dict[str, Any]] = (),
    *,
    is_first_version: bool = False,
) -> Path:
    """Make the older bot's bot.db; liquidations are time, symbol, side, quantity and price."""
    value, more = ("", "response TEXT") if is_first_version else (", usdt_value REAL", _OLDER_TRADE_COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS liquidations (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,"
            f" symbol TEXT NOT NULL, side TEXT NOT NULL, qty REAL NOT NULL, price REAL NOT NULL{value})"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS trades (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,"
            " symbol TEXT NOT NULL, order_id TEXT, side TEXT NOT NULL, qty REAL NOT NULL, price REAL NOT NULL,"
            f" status TEXT NOT NULL, {more})"
        )
        if not is_first_version:
            connection.execute("CREATE TABLE IF NOT EXISTS order_status (order_id TEXT PRIMARY KEY, symbol TEXT)")
            connection.execute("CREATE INDEX IF NOT EXISTS idx_trades_parent_order ON trades (parent_order_id)")
        for at, symbol, side, quantity, price in liquidations:
            row = (at, symbol, side, quantity, price, *(() if is_first_version else (quantity * price,)))
            names = "timestamp, symbol, side, qty, price" + ("" if is_first_version else ", usdt_value")
            connection.execute(f"INSERT INTO liquidations ({names}) VALUES ({', '.join('?' * len(row))})", row)
        for trade in trades:
            names, marks = ", ".join(trade), ", ".join("?" * len(trade))
            connection.execute(f"INSERT INTO trades ({names}) VALUES ({marks})", tuple(trade.values()))
        connection.commit()
    return path


def older_trade(**changes: Any) -> dict[str, Any]:
    return {
        "timestamp": NOW - 50_000,
        "symbol": "BTCUSDT",
        "order_id": "501",
        "side": "BUY",
        "qty": 0.002,
        "price": 30_000.0,
        "status": "NEW",
        "response": "{}",
        "order_type": "LIMIT",
        "parent_order_id": None,
        "exchange_trade_id": None,
        "realized_pnl": 0,
        "commission": 0,
        "filled_qty": 0,
        "avg_price": 30_000.0,
        "tranche_id": 0,
    } | changes


def make_node(path: Path, liquidations: Iterable[dict[str, Any]] = ({},)) -> Path:
    """Make the node bot's liquidations.db; each liquidation is given by what differs from the usual one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS liquidations (id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT NOT NULL, side"
            " TEXT NOT NULL, order_type TEXT, quantity REAL NOT NULL, price REAL NOT NULL, average_price REAL,"
            " volume_usdt REAL NOT NULL, order_status TEXT, order_last_filled_quantity REAL,"
            " order_filled_accumulated_quantity REAL, order_trade_time INTEGER, event_time INTEGER NOT NULL,"
            " created_at INTEGER DEFAULT (strftime('%s', 'now')), metadata TEXT)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS idx_liquidations_symbol ON liquidations(symbol)")
        for changes in liquidations:
            row = {
                "symbol": "ETHUSDT",
                "side": "BUY",
                "order_type": "LIMIT",
                "quantity": 2.5,
                "price": 2_010.0,
                "average_price": 2_000.0,
                "volume_usdt": 5_025.0,
                "order_status": "FILLED",
                "order_last_filled_quantity": 1.0,
                "order_filled_accumulated_quantity": 2.5,
                "order_trade_time": NOW - 30_000,
                "event_time": NOW - 29_990,
                "metadata": json.dumps({"orderType": "LIMIT"}),
            } | changes
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO liquidations ({names}) VALUES ({marks})", tuple(row.values()))
        connection.commit()
    return path
