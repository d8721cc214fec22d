"""Exchange Information: symbol filters and rate limits."""

from collections.abc import Iterable

from src.domain.enums import OrderType
from src.domain.errors import ProtocolError
from src.domain.instrument import Instrument
from src.exchange.wire.fields import Body, Fields, decimal_str

WEIGHT_LIMIT = 2400
ORDER_LIMIT = 1200
_NO_DELIVERY_DATE = 4133404800000
_TIMES_IN_FORCE = ["GTC", "IOC", "FOK", "GTX"]


def parse_instrument(payload: object) -> Instrument:
    """Parse one entry of ``symbols`` (Exchange Information); raise ``ProtocolError`` if a filter is missing."""
    symbol = Fields(payload)
    filters = {each.text("filterType"): each for each in symbol.children("filters")}
    try:
        prices, lots, market_lots = filters["PRICE_FILTER"], filters["LOT_SIZE"], filters["MARKET_LOT_SIZE"]
        band, notional = filters["PERCENT_PRICE"], filters["MIN_NOTIONAL"]
        orders, conditional_orders = filters["MAX_NUM_ORDERS"], filters["MAX_NUM_ALGO_ORDERS"]
    except KeyError as missing:
        raise ProtocolError(f"filter {missing} is missing", payload) from None
    return Instrument(
        symbol=symbol.text("symbol"),
        base_asset=symbol.text("baseAsset"),
        quote_asset=symbol.text("quoteAsset"),
        tick=prices.positive("tickSize"),
        min_price=prices.decimal("minPrice"),
        max_price=prices.decimal("maxPrice"),
        step=lots.positive("stepSize"),
        min_quantity=lots.decimal("minQty"),
        max_quantity=lots.decimal("maxQty"),
        market_step=market_lots.positive("stepSize"),
        market_min_quantity=market_lots.decimal("minQty"),
        market_max_quantity=market_lots.decimal("maxQty"),
        min_notional=notional.decimal("notional"),
        multiplier_up=band.decimal("multiplierUp"),
        multiplier_down=band.decimal("multiplierDown"),
        price_precision=symbol.integer("pricePrecision"),
        quantity_precision=symbol.integer("quantityPrecision"),
        trigger_protect=symbol.decimal("triggerProtect"),
        market_take_bound=symbol.decimal("marketTakeBound"),
        liquidation_fee=symbol.decimal("liquidationFee"),
        max_orders=orders.integer("limit"),
        max_conditional_orders=conditional_orders.integer("limit"),
        status=symbol.text("status"),
    )


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
