"""Liquidation and entry statistics, and PnL results."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import request_args
from src.api.bot_database import read_bot_state
from src.api.pnl_tracker import PnlTracker
from src.api.services import read_bot_database, services
from src.database.queries import market, orders

blueprint = Blueprint("performance", __name__)

_MAX_DAYS = 366 * 5
_NO_LIQUIDATION = (0, 0.0)
_NO_ENTRY = {"trade_count": 0, "success_count": 0, "simulated_count": 0}


@blueprint.get("/api/stats")
def show_stats() -> dict[str, Any]:
    since = request_args.since_arg(services().clock.now_ms(), default_hours=24)
    with read_bot_database() as connection:
        entries = orders.order_totals(connection, since)
        volumes = market.volume_by_symbol(connection, since)
        hourly = market.hourly_volume(connection, since)
    return {
        "liquidations": {
            "total_liquidations": sum(count for count, _ in volumes.values()),
            "total_liquidation_volume": f"{sum(volume for _, volume in volumes.values()):.2f}",
            "unique_symbols": len(volumes),
        },
        "trades": _totals(entries),
        "by_symbol": _by_symbol(entries, volumes),
        "hourly_volume": hourly,
    }


def _totals(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Totals of entries only: an untriggered stop loss or take profit is not a failed trade."""
    total = sum(each["trade_count"] for each in entries)
    filled = sum(each["success_count"] for each in entries)
    return {
        "total_trades": total,
        "successful_trades": filled,
        "simulated_trades": sum(each["simulated_count"] for each in entries),
        "symbols_traded": len(entries),
        "success_rate": round(100 * filled / total, 2) if total else 0.0,
    }


def _by_symbol(entries: Sequence[dict[str, Any]], volumes: dict[str, tuple[int, float]]) -> list[dict[str, Any]]:
    """Traded symbols first, then by liquidated volume."""
    traded = {each["symbol"]: each for each in entries}
    rows = []
    for symbol in traded.keys() | volumes.keys():
        count, volume = volumes.get(symbol, _NO_LIQUIDATION)
        counts = {"liquidation_count": count, "liquidation_volume": f"{volume:.2f}"}
        rows.append({"symbol": symbol, **_NO_ENTRY, **traded.get(symbol, {}), **counts})
    return sorted(rows, key=lambda row: (-row["trade_count"], -float(row["liquidation_volume"]), row["symbol"]))


@blueprint.get("/api/pnl/stats")
def show_results() -> dict[str, Any]:
    now_ms = services().clock.now_ms()
    with read_bot_database() as connection:
        return _tracker(connection, now_ms).stats(_days(), now_ms)


@blueprint.get("/api/pnl/symbols")
def list_symbols() -> Response:
    now_ms = services().clock.now_ms()
    with read_bot_database() as connection:
        return jsonify(_tracker(connection, now_ms).by_symbol(_days(), now_ms))


def _days() -> int:
    return request_args.int_arg("days", 7, 1, _MAX_DAYS)


def _tracker(connection: Connection, now_ms: int) -> PnlTracker:
    """A tracker of the mode the bot runs in, paper or live."""
    return PnlTracker(connection, is_simulated=bool(read_bot_state(connection, now_ms).is_simulated))
