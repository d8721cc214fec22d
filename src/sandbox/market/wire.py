"""Renders market data as Aster's JSON: trades, candles, tickers. Other messages are in ``exchange.wire``."""

from decimal import Decimal

from src.domain.numbers import ZERO
from src.exchange.wire import Body, decimal_str, render_levels
from src.sandbox.market.candles import Candle, MarketTrade
from src.sandbox.market.market import SymbolMarket

_MINI_TICKER_FIELDS = {
    "s": "symbol",
    "c": "lastPrice",
    "o": "openPrice",
    "h": "highPrice",
    "l": "lowPrice",
    "v": "volume",
    "q": "quoteVolume",
}
_TICKER_FIELDS = {
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
"""Short names that streams use for the fields of ``ticker/24hr``."""


def render_trade(trade: MarketTrade) -> Body:
    """One entry of ``trades`` (Recent Trades List)."""
    return {
        "id": trade.id,
        "price": decimal_str(trade.price),
        "qty": decimal_str(trade.quantity),
        "quoteQty": decimal_str(trade.notional),
        "time": trade.at,
        "isBuyerMaker": trade.is_buyer_maker,
    }


def render_aggregate_trade(trade: MarketTrade) -> Body:
    """One entry of ``aggTrades`` (Compressed/Aggregate Trades List); here each aggregate is a single trade."""
    return {
        "a": trade.id,
        "p": decimal_str(trade.price),
        "q": decimal_str(trade.quantity),
        "f": trade.id,
        "l": trade.id,
        "T": trade.at,
        "m": trade.is_buyer_maker,
    }


def render_aggregate_trade_event(symbol: str, trade: MarketTrade) -> Body:
    """``<symbol>@aggTrade`` (Aggregate Trade Streams)."""
    return {"e": "aggTrade", "E": trade.at, "s": symbol, **render_aggregate_trade(trade)}


def render_candle(candle: Candle) -> list[object]:
    """One row of ``klines`` (Kline/Candlestick Data)."""
    prices = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [
        candle.open_at,
        *map(decimal_str, prices),
        candle.close_at,
        decimal_str(candle.notional),
        candle.trades,
        decimal_str(candle.taker_volume),
        decimal_str(candle.taker_notional),
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
            "o": decimal_str(candle.open),
            "c": decimal_str(candle.close),
            "h": decimal_str(candle.high),
            "l": decimal_str(candle.low),
            "v": decimal_str(candle.volume),
            "n": candle.trades,
            "x": at > candle.close_at,
            "q": decimal_str(candle.notional),
            "V": decimal_str(candle.taker_volume),
            "Q": decimal_str(candle.taker_notional),
            "B": "0",
        },
    }


def render_depth_event(market: SymbolMarket, levels: int, at: int) -> Body:
    """``<symbol>@depth<levels>`` (Partial Book Depth Streams)."""
    bids, asks = market.public_depth(levels)
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
    return {"symbol": market.instrument.symbol, "price": decimal_str(market.last_price), "time": market.quote.at}


def render_day_ticker(market: SymbolMarket, at: int) -> Body:
    """``ticker/24hr`` (24hr Ticker Price Change Statistics)."""
    price = market.last_price
    day = market.candles.last_day() or Candle(at, at, price, price, price, price)
    change = price - day.open
    average = day.notional / day.volume if day.volume else price
    return {
        "symbol": market.instrument.symbol,
        "priceChange": decimal_str(change),
        "priceChangePercent": decimal_str((change / day.open * 100).quantize(Decimal("0.001"))),
        "weightedAvgPrice": decimal_str(average.quantize(market.instrument.tick / 100)),
        "prevClosePrice": decimal_str(day.open),
        "lastPrice": decimal_str(price),
        "lastQty": decimal_str(market.trades[-1].quantity if market.trades else ZERO),
        "openPrice": decimal_str(day.open),
        "highPrice": decimal_str(day.high),
        "lowPrice": decimal_str(day.low),
        "volume": decimal_str(day.volume),
        "quoteVolume": decimal_str(day.notional),
        "openTime": day.open_at,
        "closeTime": at,
        "firstId": day.first_trade_id,
        "lastId": day.last_trade_id,
        "count": day.trades,
    }


def render_day_ticker_event(market: SymbolMarket, at: int, *, is_mini: bool) -> Body:
    """``<symbol>@ticker`` and ``<symbol>@miniTicker`` (Individual Symbol Ticker Streams)."""
    day = render_day_ticker(market, at)
    names = _MINI_TICKER_FIELDS if is_mini else {**_MINI_TICKER_FIELDS, **_TICKER_FIELDS}
    kind = "24hrMiniTicker" if is_mini else "24hrTicker"
    return {"e": kind, "E": at, **{short: day[long] for short, long in names.items()}}
