"""How much was liquidated, and how many entries came of it."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint

from src.api import parameters
from src.api.dashboard import dashboard, reading
from src.database.queries import market, orders

blueprint = Blueprint("stats", __name__)

_NO_LIQUIDATION = (0, "0.00")
_NO_ENTRY = {"trade_count": 0, "success_count": 0, "simulated_count": 0}


@blueprint.get("/api/stats")
def show_stats() -> dict[str, Any]:
    since = parameters.since(dashboard().clock.now_ms(), default_hours=24)
    with reading() as connection:
        entries = orders.order_totals(connection, since)
        return {
            "liquidations": market.liquidation_totals(connection, since),
            "trades": _totals(entries),
            "by_symbol": _by_symbol(entries, market.volume_by_symbol(connection, since)),
            "hourly_volume": market.hourly_volume(connection, since),
        }


def _totals(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Entries only: stops and take profits that were never needed are no failures."""
    total = sum(each["trade_count"] for each in entries)
    filled = sum(each["success_count"] for each in entries)
    return {
        "total_trades": total,
        "successful_trades": filled,
        "simulated_trades": sum(each["simulated_count"] for each in entries),
        "symbols_traded": len(entries),
        "success_rate": round(100 * filled / total, 2) if total else 0.0,
    }


def _by_symbol(entries: Sequence[dict[str, Any]], volumes: dict[str, tuple[int, str]]) -> list[dict[str, Any]]:
    """Symbols we traded first, then those most liquidated."""
    traded = {each["symbol"]: each for each in entries}
    rows = []
    for symbol in traded.keys() | volumes.keys():
        count, volume = volumes.get(symbol, _NO_LIQUIDATION)
        counts = {"liquidation_count": count, "liquidation_volume": volume}
        rows.append({"symbol": symbol, **_NO_ENTRY, **traded.get(symbol, {}), **counts})
    return sorted(rows, key=lambda row: (-row["trade_count"], -float(row["liquidation_volume"]), row["symbol"]))
