"""Exchange Information: symbol filters and rate limits."""

from collections.abc import Iterable
from decimal import Decimal

from src.domain.enums import OrderType
from src.domain.errors import ProtocolError
from src.domain.instrument import IncompleteInstrument, Instrument, InstrumentList, decimal_places
from src.domain.numbers import ZERO
from src.exchange.wire.fields import Body, Fields, decimal_str

WEIGHT_LIMIT = 2400
ORDER_LIMIT = 1200
_USUAL_TRIGGER_PROTECT, _USUAL_LIQUIDATION_FEE = Decimal("0.05"), Decimal("0.0125")
_USUAL_ORDERS, _USUAL_CONDITIONAL_ORDERS = 200, 10
"""Usual values of the rules that only paper trading uses."""
_NEEDED_FILTERS = ("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "PERCENT_PRICE", "MIN_NOTIONAL")
_MAX_SHOWN = 80
_NO_DELIVERY_DATE = 4133404800000
_TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX"]


def parse_instrument(payload: object) -> Instrument:
    """Parse one entry of ``symbols`` (Exchange Information).

    Raises ``ProtocolError`` if it lacks a rule that the bot's orders follow; what only paper trading and the dashboard
    use has defaults.
    """
    symbol = Fields(payload)
    filters = _filters(symbol)
    prices, lots, market_lots = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MARKET_LOT_SIZE"]
    tick, step = prices.positive("tickSize"), lots.positive("stepSize")
    multiplier_up, multiplier_down = (filters["PERCENT_PRICE"].positive(f"multiplier{each}") for each in ("Up", "Down"))
    return Instrument(
        symbol=symbol.name("symbol"),
        base_asset=symbol.detail(symbol.text, "baseAsset", ""),
        quote_asset=symbol.name("quoteAsset"),
        tick=tick,
        min_price=prices.decimal("minPrice"),
        max_price=prices.detail(prices.decimal, "maxPrice", ZERO),
        step=step,
        min_quantity=lots.decimal("minQty"),
        max_quantity=lots.positive("maxQty"),
        market_step=market_lots.positive("stepSize"),
        market_min_quantity=market_lots.detail(market_lots.decimal, "minQty", step),
        market_max_quantity=market_lots.positive("maxQty"),
        min_notional=filters["MIN_NOTIONAL"].decimal("notional"),
        multiplier_up=multiplier_up,
        multiplier_down=multiplier_down,
        price_precision=symbol.detail(symbol.integer, "pricePrecision", decimal_places(tick)),
        quantity_precision=symbol.detail(symbol.integer, "quantityPrecision", decimal_places(step)),
        trigger_protect=symbol.detail(symbol.positive, "triggerProtect", _USUAL_TRIGGER_PROTECT),
        # Where it is not said, the price band alone limits a market order.
        market_take_bound=symbol.detail(symbol.positive, "marketTakeBound", multiplier_up - 1),
        liquidation_fee=symbol.detail(symbol.decimal, "liquidationFee", _USUAL_LIQUIDATION_FEE),
        max_orders=_order_limit(filters.get("MAX_NUM_ORDERS"), _USUAL_ORDERS),
        max_conditional_orders=_order_limit(filters.get("MAX_NUM_ALGO_ORDERS"), _USUAL_CONDITIONAL_ORDERS),
        status=symbol.text("status"),
    )


def _filters(symbol: Fields) -> dict[str, Fields]:
    """Return the filters by name; raise ``ProtocolError`` for one that is needed and missing."""
    filters = {each.detail(each.text, "filterType", ""): each for each in symbol.children("filters")}
    missing = [each for each in _NEEDED_FILTERS if each not in filters]
    if missing:
        raise ProtocolError(f"filter {', '.join(missing)} is missing", filters)
    return filters


def _order_limit(found: Fields | None, usual: int) -> int:
    return usual if found is None else found.detail(found.integer, "limit", usual)


def parse_instrument_list(payload: object) -> InstrumentList:
    """Parse ``symbols`` of ``exchangeInfo``; an invalid entry does not lose the others.

    Raises ``ProtocolError`` if there is no list, or nothing in it.
    """
    instruments, incomplete = {}, []
    for each in parse_symbols(payload):
        try:
            instrument = parse_instrument(each)
        except ProtocolError as error:
            incomplete += _incomplete(each, str(error))
        else:
            instruments[instrument.symbol] = instrument
    if not instruments and not incomplete:
        raise ProtocolError("no symbol is listed", payload)
    return InstrumentList(instruments, tuple(incomplete))


def _incomplete(payload: object, problem: str) -> list[IncompleteInstrument]:
    """Return which symbol an invalid entry is about; an entry that does not say so counts as not listed."""
    try:
        entry = Fields(payload)
        status = entry.detail(entry.text, "status", "")
        return [IncompleteInstrument(entry.name("symbol"), problem[:_MAX_SHOWN], status or None)]
    except ProtocolError:
        return []


def parse_symbols(payload: object) -> list[object]:
    """Return the unparsed entries of ``exchangeInfo``, so that one invalid symbol does not lose the others."""
    return Fields(payload).items("symbols")


def render_instrument(instrument: Instrument) -> Body:
    """Render the entry of ``symbols`` for one instrument."""
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NO_DELIVERY_DATE,
        "onboardDate": 0,
        "status": instrument.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "marginAsset": instrument.quote_asset,
        "pricePrecision": instrument.price_precision,
        "quantityPrecision": instrument.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": decimal_str(instrument.trigger_protect),
        "liquidationFee": decimal_str(instrument.liquidation_fee),
        "marketTakeBound": decimal_str(instrument.market_take_bound),
        "filters": _render_filters(instrument),
        "orderTypes": [each.value for each in OrderType],
        "timeInForce": _TIMES_IN_FORCE,
    }


def _render_filters(instrument: Instrument) -> list[Body]:
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": decimal_str(instrument.min_price),
            "maxPrice": decimal_str(instrument.max_price),
            "tickSize": decimal_str(instrument.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": decimal_str(instrument.min_quantity),
            "maxQty": decimal_str(instrument.max_quantity),
            "stepSize": decimal_str(instrument.step),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": decimal_str(instrument.market_min_quantity),
            "maxQty": decimal_str(instrument.market_max_quantity),
            "stepSize": decimal_str(instrument.market_step),
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": instrument.max_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": instrument.max_conditional_orders},
        {"filterType": "MIN_NOTIONAL", "notional": decimal_str(instrument.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": decimal_str(instrument.multiplier_up),
            "multiplierDown": decimal_str(instrument.multiplier_down),
            "multiplierDecimal": 4,
        },
    ]


def parse_rate_limits(payload: object) -> tuple[int | None, int | None]:
    """Return the request weight and orders allowed per minute; None for a limit that ``exchangeInfo`` omits."""
    rate_limits = payload.get("rateLimits") if isinstance(payload, dict) else None
    limits = [each for each in rate_limits if isinstance(each, dict)] if isinstance(rate_limits, list) else []
    return _limit_of(limits, "REQUEST_WEIGHT"), _limit_of(limits, "ORDERS")


def _limit_of(limits: list[dict[str, object]], kind: str) -> int | None:
    wanted = (kind, "MINUTE", 1)
    found = [each.get("limit") for each in limits if _kind_of(each) == wanted]
    return next((limit for limit in found if isinstance(limit, int) and limit > 0), None)


def _kind_of(limit: dict[str, object]) -> tuple[object, object, object]:
    return limit.get("rateLimitType"), limit.get("interval"), limit.get("intervalNum")


def render_exchange_info(instruments: Iterable[Instrument], at: int) -> Body:
    """Render the response of ``exchangeInfo``."""
    instruments = list(instruments)
    return {
        "timezone": "UTC",
        "serverTime": at,
        "rateLimits": [_rate_limit("REQUEST_WEIGHT", WEIGHT_LIMIT), _rate_limit("ORDERS", ORDER_LIMIT)],
        "exchangeFilters": [],
        "assets": [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": 0}
            for asset in sorted({each.quote_asset for each in instruments})
        ],
        "symbols": [render_instrument(each) for each in instruments],
    }


def _rate_limit(kind: str, limit: int) -> Body:
    return {"rateLimitType": kind, "interval": "MINUTE", "intervalNum": 1, "limit": limit}
