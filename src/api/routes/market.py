"""What the exchange offers, and the price of a symbol with what happened to it."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from src.api import parameters, position_shapes
from src.api.candles import INTERVALS, MOST_CANDLES
from src.api.dashboard import dashboard, reading
from src.database.queries import account
from src.database.queries import market as queries
from src.database.queries.fills import BookedFill, fills
from src.domain.instrument import Instrument
from src.utils.config import SettingsError

blueprint = Blueprint("market", __name__)

_MOST_MARKERS = 500


@blueprint.get("/api/exchange/symbols")
def list_symbols() -> dict[str, Any]:
    """As the bot last read them; before its first start they are asked of the exchange."""
    with reading() as connection:
        symbols = queries.instruments(connection)
    if not symbols:
        listed = dashboard().candles.instruments()
        symbols = [_instrument(listed[name]) for name in sorted(listed)]
    return {"symbols": symbols, "configured": _configured(), "total": len(symbols)}


@blueprint.get("/api/klines")
def list_candles() -> Response:
    """Rows of open time, open, high, low, close and volume, oldest first."""
    interval = parameters.choice("interval", INTERVALS, default="1m") or ""
    limit = parameters.whole("limit", 200, 1, MOST_CANDLES)
    return jsonify(dashboard().candles.candles(parameters.required_symbol(), interval, limit))


@blueprint.get("/api/chart")
def show_chart() -> dict[str, Any]:
    """What to mark on the candles of a symbol: liquidations, our fills, and the lines of our positions."""
    symbol = parameters.required_symbol()
    since = parameters.since(dashboard().clock.now_ms(), default_hours=24)
    with reading() as connection:
        held = [position_shapes.position(row) for row in account.positions(connection) if row.symbol == symbol]
        is_on_paper = account.is_on_paper(connection)
        traded = [fill for fill in fills(connection, since, symbol) if fill.is_simulated == is_on_paper]
        return {
            "symbol": symbol,
            "liquidations": queries.liquidations(connection, since, _MOST_MARKERS, symbol),
            "fills": [_marker(fill) for fill in traded[-_MOST_MARKERS:]],
            "positions": held,
        }


def _marker(fill: BookedFill) -> dict[str, Any]:
    return {**asdict(fill), "timestamp": fill.traded_at, "avg_price": fill.price, "commission": -fill.commission}


def _configured() -> list[str]:
    try:
        return sorted(dashboard().settings.current().symbols)
    except SettingsError:
        return []  # the settings page tells what is wrong with the file


def _instrument(rules: Instrument) -> dict[str, Any]:
    return {
        "symbol": rules.symbol,
        "baseAsset": rules.base_asset,
        "quoteAsset": rules.quote_asset,
        "pricePrecision": rules.price_precision,
        "quantityPrecision": rules.quantity_precision,
        "tickSize": rules.tick,
        "stepSize": rules.step,
        "minQty": rules.min_quantity,
        "minNotional": rules.min_notional,
        "status": rules.status,
    }
