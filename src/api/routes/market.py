"""What the exchange offers, and the price of a symbol with what happened to it."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from src.api import request_args, schemas
from src.api.market_cache import INTERVALS, MAX_CANDLES
from src.api.services import read_bot_database, services
from src.database.queries import account
from src.database.queries import market as queries
from src.database.queries.fills import FillRecord, fills
from src.domain.instrument import Instrument
from src.settings.config import SettingsError

blueprint = Blueprint("market", __name__)

_MAX_MARKERS = 500


@blueprint.get("/api/exchange/symbols")
def list_symbols() -> dict[str, Any]:
    """As the bot last read them; before its first start they are asked of the exchange."""
    with read_bot_database() as connection:
        symbols = queries.instruments(connection)
    if not symbols:
        listed = services().market_cache.instruments()
        symbols = [_instrument_json(listed[name]) for name in sorted(listed)]
    return {"symbols": symbols, "configured": _configured(), "total": len(symbols)}


@blueprint.get("/api/klines")
def list_candles() -> Response:
    """Rows of open time, open, high, low, close and volume, oldest first."""
    interval = request_args.enum_arg("interval", INTERVALS, default="1m") or ""
    limit = request_args.int_arg("limit", 200, 1, MAX_CANDLES)
    return jsonify(services().market_cache.candles(request_args.required_symbol_arg(), interval, limit))


@blueprint.get("/api/chart")
def show_chart() -> dict[str, Any]:
    """What to mark on the candles of a symbol: liquidations, our fills, and the lines of our positions."""
    symbol = request_args.required_symbol_arg()
    since = request_args.since_arg(services().clock.now_ms(), default_hours=24)
    with read_bot_database() as connection:
        open_positions = [schemas.position_row(row) for row in account.positions(connection) if row.symbol == symbol]
        is_on_paper = account.is_paper_mode(connection)
        traded = [fill for fill in fills(connection, since, symbol) if fill.is_simulated == is_on_paper]
        return {
            "symbol": symbol,
            "liquidations": queries.liquidations(connection, since, _MAX_MARKERS, symbol),
            "fills": [_marker(fill) for fill in traded[-_MAX_MARKERS:]],
            "positions": open_positions,
        }


def _marker(fill: FillRecord) -> dict[str, Any]:
    return {**asdict(fill), "timestamp": fill.traded_at, "avg_price": fill.price, "commission": -fill.commission}


def _configured() -> list[str]:
    try:
        return sorted(services().settings.current().symbols)
    except SettingsError:
        return []  # the settings page tells what is wrong with the file


def _instrument_json(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "pricePrecision": instrument.price_precision,
        "quantityPrecision": instrument.quantity_precision,
        "tickSize": instrument.tick,
        "stepSize": instrument.step,
        "minQty": instrument.min_quantity,
        "minNotional": instrument.min_notional,
        "status": instrument.status,
    }


@blueprint.get("/api/liquidations")
def list_liquidations() -> Response:
    since = request_args.since_arg(services().clock.now_ms(), default_hours=24)
    with read_bot_database() as connection:
        return jsonify(queries.liquidations(connection, since, request_args.limit_arg(), request_args.symbol_arg()))


@blueprint.get("/api/decisions")
def list_decisions() -> Response:
    only_entries = request_args.bool_arg("only_entries")
    with read_bot_database() as connection:
        rows = queries.decisions(
            connection, request_args.limit_arg(), request_args.symbol_arg(), only_entries=only_entries
        )
    return jsonify(rows)
