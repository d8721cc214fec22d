"""Symbols, candles, chart markers, liquidations and decisions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from src.api import request_args, schemas
from src.api.market_cache import INTERVALS, MAX_CANDLES
from src.api.services import read_bot_database, services
from src.database.queries import account
from src.database.queries import market as queries
from src.database.queries.fills import FillRecord, fills
from src.settings.config import SettingsError

blueprint = Blueprint("market", __name__)

_MAX_MARKERS = 500


@blueprint.get("/api/exchange/symbols")
def list_symbols() -> dict[str, Any]:
    """The exchange's symbols as the bot last read them; before its first start, from the exchange."""
    with read_bot_database() as connection:
        found: Sequence[Any] = queries.instruments(connection)
    if not found:
        listed = services().market_cache.instruments()
        found = [listed[name] for name in sorted(listed)]
    symbols = [schemas.instrument_row(each) for each in found]
    return {"symbols": symbols, "configured": _configured(), "total": len(symbols)}


@blueprint.get("/api/klines")
def list_candles() -> Response:
    """Rows of open time (ms), open, high, low, close and volume, oldest first."""
    interval = request_args.enum_arg("interval", INTERVALS, default="1m") or ""
    limit = request_args.int_arg("limit", 200, 1, MAX_CANDLES)
    return jsonify(services().market_cache.candles(request_args.required_symbol_arg(), interval, limit))


@blueprint.get("/api/chart")
def show_chart() -> dict[str, Any]:
    """The markers of a symbol's chart: liquidations, the bot's fills, and its open positions."""
    symbol = request_args.required_symbol_arg()
    since = request_args.since_arg(services().clock.now_ms(), default_hours=24)
    with read_bot_database() as connection:
        open_positions = [schemas.position_row(row) for row in account.positions(connection) if row.symbol == symbol]
        is_simulated = account.is_paper_mode(connection)
        traded = [fill for fill in fills(connection, since, symbol) if fill.is_simulated == is_simulated]
        return {
            "symbol": symbol,
            "liquidations": queries.liquidations(connection, since, _MAX_MARKERS, symbol),
            "fills": [_marker(fill) for fill in traded[-_MAX_MARKERS:]],
            "positions": open_positions,
        }


def _marker(fill: FillRecord) -> dict[str, Any]:
    return {
        **asdict(fill),
        "parent": fill.entry_client_order_id,
        "timestamp": fill.traded_at,
        "avg_price": fill.price,
        "commission": -fill.commission,
    }


def _configured() -> list[str]:
    try:
        return sorted(services().settings.current().symbols)
    except SettingsError:
        return []  # the settings page shows what is wrong with the file


@blueprint.get("/api/liquidations")
def list_liquidations() -> Response:
    since = request_args.since_arg(services().clock.now_ms(), default_hours=24)
    with read_bot_database() as connection:
        return jsonify(
            queries.liquidations(
                connection,
                since,
                request_args.limit_arg(),
                request_args.symbol_arg(),
                request_args.before_arg(),
            )
        )


@blueprint.get("/api/decisions")
def list_decisions() -> Response:
    only_entries = request_args.bool_arg("only_entries")
    with read_bot_database() as connection:
        rows = queries.decisions(
            connection,
            request_args.limit_arg(),
            request_args.symbol_arg(),
            request_args.before_arg(),
            only_entries=only_entries,
        )
    return jsonify(rows)
