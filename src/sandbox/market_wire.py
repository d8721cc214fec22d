"""Aster's JSON for what only an exchange has: its tape, its candles, its day. The rest is in ``exchange.wire``."""

from decimal import Decimal

from src.exchange.wire import Body, number, render_levels
from src.sandbox.candles import Candle, MarketTrade
from src.sandbox.market import SymbolMarket


def render_trade(trade: MarketTrade) -> Body:
    """One entry of ``trades`` (Recent Trades List)."""
    return {
        "id": trade.id,
        "price": number(trade.price),
        "qty": number(trade.quantity),
        "quoteQty": number(trade.notional),
        "time": trade.at,
        "isBuyerMaker": trade.is_buyer_maker,
    }


def render_aggregate(trade: MarketTrade) -> Body:
    """One entry of ``aggTrades`` (Compressed/Aggregate Trades List): every trade is its own aggregate here."""
    return {
        "a": trade.id,
        "p": number(trade.price),
        "q": number(trade.quantity),
        "f": trade.id,
        "l": trade.id,
        "T": trade.at,
        "m": trade.is_buyer_maker,
    }


def render_aggregate_event(symbol: str, trade: MarketTrade) -> Body:
    """``<symbol>@aggTrade`` (Aggregate Trade Streams)."""
    return {"e": "aggTrade", "E": trade.at, "s": symbol, **render_aggregate(trade)}


def render_candle(candle: Candle) -> list[object]:
    """One row of ``klines`` (Kline/Candlestick Data)."""
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [
        candle.open_at,
        *map(number, prices),
        candle.close_at,
        number(candle.notional),
        candle.trades,
        number(candle.taker_volume),
        number(candle.taker_notional),
        "0",
    ]


def render_candle_event(symbol: str, interval: str, candle: Candle, at: int) -> Body:
    """``<symbol>@kline_<interval>`` (Kline/Candlestick Streams)."""
    return {
        "e": "kline",
        "E": at,
        "s": symbol,
        "k": {
            "t": candle.open_at,
            "T": candle.close_at,
            "s": symbol,
            "i": interval,
            "f": candle.first_trade_id,
            "L": candle.last_trade_id,
            "o": number(candle.open),
            "c": number(candle.close),
            "h": number(candle.high),
            "l": number(candle.low),
            "v": number(candle.volume),
            "n": candle.trades,
            "x": at > candle.close_at,
            "q": number(candle.notional),
            "V": number(candle.taker_volume),
            "Q": number(candle.taker_notional),
            "B": "0",
        },
    }


def render_depth_event(market: SymbolMarket, levels: int, at: int) -> Body:
    """``<symbol>@depth<levels>`` (Partial Book Depth Streams)."""
    bids, asks = market.depth(levels)
    return {
        "e": "depthUpdate",
        "E": at,
        "T": at,
        "s": market.instrument.symbol,
        "U": market.update_id,
        "u": market.update_id,
        "pu": market.update_id - 1,
        "b": render_levels(bids),
        "a": render_levels(asks),
    }


def render_price_ticker(market: SymbolMarket) -> Body:
    """``ticker/price`` (Symbol Price Ticker)."""
    return {"symbol": market.instrument.symbol, "price": number(market.last_price), "time": market.quote.at}


def render_day(market: SymbolMarket, at: int) -> Body:
    """``ticker/24hr`` (24hr Ticker Price Change Statistics)."""
    price = market.last_price
    day = market.candles.last_day() or Candle(at, at, price, price, price, price)
    change = price - day.open
    average = day.notional / day.volume if day.volume else price
    return {
        "symbol": market.instrument.symbol,
        "priceChange": number(change),
        "priceChangePercent": number((change / day.open * 100).quantize(Decimal("0.001"))),
        "weightedAvgPrice": number(average.quantize(market.instrument.tick / 100)),
        "prevClosePrice": number(day.open),
        "lastPrice": number(price),
        "lastQty": number(market.trades[-1].quantity if market.trades else Decimal(0)),
        "openPrice": number(day.open),
        "highPrice": number(day.high),
        "lowPrice": number(day.low),
        "volume": number(day.volume),
        "quoteVolume": number(day.notional),
        "openTime": day.open_at,
        "closeTime": at,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


_DAY_NAMES = {
    "s": "symbol",
    "c": "lastPrice",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
}
_MORE_DAY_NAMES = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    "Q": "lastQty",
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}
"""What streams call the fields of ``ticker/24hr``."""


def render_day_event(market: SymbolMarket, at: int, *, is_mini: bool) -> Body:
    """``<symbol>@ticker`` and ``<symbol>@miniTicker`` (Individual Symbol Ticker Streams)."""
    day = render_day(market, at)
    names = _DAY_NAMES if is_mini else {**_DAY_NAMES, **_MORE_DAY_NAMES}
    kind = "24hrMiniTicker" if is_mini else "24hrTicker"
    return {"e": kind, "E": at, **{short: day[long] for short, long in names.items()}}
