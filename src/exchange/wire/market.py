"""Public market data, from REST and streams: order books, mark prices, liquidations, candles and server time."""

from collections.abc import Sequence
from decimal import Decimal

from src.domain.enums import OrderType, Side, TimeInForce
from src.domain.errors import ProtocolError
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.numbers import ZERO
from src.exchange.wire.fields import (
    ORDER_TYPE_ALIASES,
    TIME_IN_FORCE_ALIASES,
    Body,
    Fields,
    decimal_str,
    read_decimal,
    read_list,
)

Level = tuple[Decimal, Decimal]
"""Price and quantity."""
Candle = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Open time (ms), open, high, low, close, volume."""


def parse_depth(payload: object, symbol: str, received_at: int) -> Quote:
    """Parse the best bid and ask (Order Book); raise ``ProtocolError`` if a side is empty."""
    book = Fields(payload)
    bids, asks = book.items("bids"), book.items("asks")
    if not bids or not asks:
        raise ProtocolError(f"the order book of {symbol} has an empty side", payload)
    bid, ask = _level(bids[0]), _level(asks[0])
    return Quote(symbol, *bid, *ask, at=book.time("E", "T", default=received_at), received_at=received_at)


def _level(payload: object) -> Level:
    match payload:
        case [price, quantity, *_] if (level := read_decimal(price, payload)) > 0:
            return level, read_decimal(quantity, payload)
    raise ProtocolError("expected a price above 0 and a quantity", payload)


def render_levels(levels: Sequence[Level]) -> list[list[str]]:
    return [[decimal_str(price), decimal_str(quantity)] for price, quantity in levels]


def render_depth(bids: Sequence[Level], asks: Sequence[Level], update_id: int, at: int) -> Body:
    """Render the response of ``depth``, best levels first."""
    return {"lastUpdateId": update_id, "E": at, "T": at, "bids": render_levels(bids), "asks": render_levels(asks)}


def parse_book_ticker(payload: object, received_at: int) -> Quote:
    """Parse a response of ``ticker/bookTicker`` (Symbol Order Book Ticker)."""
    ticker = Fields(payload)
    return Quote(
        symbol=ticker.name("symbol"),
        bid=ticker.positive("bidPrice"),
        bid_quantity=ticker.detail(ticker.decimal, "bidQty", ZERO),
        ask=ticker.positive("askPrice"),
        ask_quantity=ticker.detail(ticker.decimal, "askQty", ZERO),
        at=ticker.time("time", default=received_at),
        received_at=received_at,
    )


def render_book_ticker(quote: Quote) -> Body:
    return {
        "symbol": quote.symbol,
        "bidPrice": decimal_str(quote.bid),
        "bidQty": decimal_str(quote.bid_quantity),
        "askPrice": decimal_str(quote.ask),
        "askQty": decimal_str(quote.ask_quantity),
        "time": quote.at,
    }


def parse_book_ticker_event(event: Fields, received_at: int) -> Quote:
    """Parse ``<symbol>@bookTicker`` (Individual Symbol Book Ticker Streams); a price of 0 (empty side) raises."""
    return Quote(
        symbol=event.name("s"),
        bid=event.positive("b"),
        bid_quantity=event.detail(event.decimal, "B", ZERO),
        ask=event.positive("a"),
        ask_quantity=event.detail(event.decimal, "A", ZERO),
        at=event.time("E", "T", default=received_at),
        received_at=received_at,
    )


def render_book_ticker_event(quote: Quote, update_id: int = 0) -> Body:
    return {
        "e": "bookTicker",
        "u": update_id,
        "E": quote.at,
        "T": quote.at,
        "s": quote.symbol,
        "b": decimal_str(quote.bid),
        "B": decimal_str(quote.bid_quantity),
        "a": decimal_str(quote.ask),
        "A": decimal_str(quote.ask_quantity),
    }


def parse_premium_index(payload: object, received_at: int) -> MarkPrice:
    """Parse a response of ``premiumIndex`` (Mark Price); only the symbol and a price above 0 are required."""
    mark = Fields(payload)
    price = mark.positive("markPrice")
    return MarkPrice(
        symbol=mark.name("symbol"),
        price=price,
        index_price=mark.detail(mark.positive, "indexPrice", price),
        funding_rate=mark.detail(mark.decimal, "lastFundingRate", ZERO),
        next_funding_at=mark.time("nextFundingTime", default=0),
        at=mark.time("time", default=received_at),
        received_at=received_at,
    )


def render_premium_index(mark: MarkPrice) -> Body:
    return {
        "symbol": mark.symbol,
        "markPrice": decimal_str(mark.price),
        "indexPrice": decimal_str(mark.index_price),
        "estimatedSettlePrice": decimal_str(mark.index_price),
        "lastFundingRate": decimal_str(mark.funding_rate),
        "nextFundingTime": mark.next_funding_at,
        "interestRate": "0.00010000",
        "time": mark.at,
    }


def parse_mark_price_event(event: Fields, received_at: int) -> MarkPrice:
    """Parse ``<symbol>@markPrice`` or one element of ``!markPrice@arr`` (Mark Price Stream), as REST's."""
    price = event.positive("p")
    return MarkPrice(
        symbol=event.name("s"),
        price=price,
        index_price=event.detail(event.positive, "i", price),
        funding_rate=event.detail(event.decimal, "r", ZERO),
        next_funding_at=event.time("T", default=0),
        at=event.time("E", default=received_at),
        received_at=received_at,
    )


def render_mark_price_event(mark: MarkPrice) -> Body:
    return {
        "e": "markPriceUpdate",
        "E": mark.at,
        "s": mark.symbol,
        "p": decimal_str(mark.price),
        "i": decimal_str(mark.index_price),
        "P": decimal_str(mark.index_price),
        "r": decimal_str(mark.funding_rate),
        "T": mark.next_funding_at,
    }


def parse_force_order(event: Fields, received_at: int) -> Liquidation:
    """Parse ``!forceOrder@arr`` (All Market Liquidation Order Streams): limit price ``p``, fill price ``ap``.

    Required are symbol, side, one of the two prices, one of the two quantities and one of the two times.
    """
    order = event.child("o")
    average_price, filled_quantity = (order.detail(order.positive, key, ZERO) for key in ("ap", "z"))
    return Liquidation(
        symbol=order.name("s"),
        side=order.enum("S", Side),
        quantity=order.detail(order.positive, "q", ZERO) if filled_quantity else order.positive("q"),
        price=order.detail(order.positive, "p", ZERO) if average_price else order.positive("p"),
        average_price=average_price,
        filled_quantity=filled_quantity,
        traded_at=order.time("T", default=event.time("E", default=0)) or order.time("T"),
        event_at=event.time("E", default=order.time("T", default=0)),
        received_at=received_at,
        type=order.optional_enum("o", OrderType, ORDER_TYPE_ALIASES) or OrderType.LIMIT,
        time_in_force=order.optional_enum("f", TimeInForce, TIME_IN_FORCE_ALIASES) or TimeInForce.IOC,
        status=order.detail(order.text, "X", ""),
    )


def render_force_order(liquidation: Liquidation) -> Body:
    return {
        "e": "forceOrder",
        "E": liquidation.event_at,
        "o": {
            "s": liquidation.symbol,
            "S": liquidation.side.value,
            "o": liquidation.type.value,
            "f": liquidation.time_in_force.value,
            "q": decimal_str(liquidation.quantity),
            "p": decimal_str(liquidation.price),
            "ap": decimal_str(liquidation.average_price),
            "X": liquidation.status,
            "l": decimal_str(liquidation.filled_quantity),
            "z": decimal_str(liquidation.filled_quantity),
            "T": liquidation.traded_at,
        },
    }


def parse_klines(payload: object) -> list[Candle]:
    """Parse the response of ``klines`` (Kline/Candlestick Data), oldest first."""
    return [_candle(row) for row in read_list(payload)]


def _candle(row: object) -> Candle:
    match row:
        case [int(opened_at), *values] if len(values) >= 5:
            first, high, low, last, volume = (read_decimal(each, row) for each in values[:5])
            return opened_at, first, high, low, last, volume
    raise ProtocolError("expected a candle", row)


def render_kline(candle: Candle, closes_at: int, quote_volume: Decimal = ZERO, trades: int = 0) -> list[object]:
    """Render one row of ``klines``; the taker buy volumes are unknown and written as 0."""
    opened_at, *values = candle
    return [opened_at, *map(decimal_str, values), closes_at, decimal_str(quote_volume), trades, "0", "0", "0"]


def parse_server_time(payload: object) -> int:
    """Parse the response of ``time`` (Check Server Time), ms UTC."""
    return Fields(payload).integer("serverTime")
