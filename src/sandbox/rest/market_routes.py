"""Market data endpoints."""

from collections.abc import Callable

from src.domain.clock import HOUR_MS
from src.domain.errors import Rejected
from src.exchange.wire import (
    Body,
    decimal_str,
    render_book_ticker,
    render_depth,
    render_exchange_info,
    render_premium_index,
)
from src.sandbox.exchange import SandboxExchange
from src.sandbox.market.candles import INTERVALS_MS, Candles
from src.sandbox.market.market import FUNDING_CAP, FUNDING_INTERVAL_MS, INTEREST_RATE, SymbolMarket
from src.sandbox.market.wire import (
    render_aggregate_trade,
    render_candle,
    render_day_ticker,
    render_price_ticker,
    render_trade,
)
from src.sandbox.rest.auth import Security
from src.sandbox.rest.order_parameters import read_optional_symbol, read_symbol
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.routes import Route, by_symbol

_DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_DEFAULT_DEPTH = 500
_PERIOD = ("startTime", "endTime", "limit")


def _ping(_exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return {}


def _time(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return {"serverTime": exchange.now_ms()}


def _exchange_info(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return render_exchange_info((each.instrument for each in exchange.market.symbols.values()), exchange.now_ms())


def _depth(exchange: SandboxExchange, parameters: Parameters) -> Body:
    market = _market(exchange, parameters)
    limit = parameters.optional_integer("limit") or _DEFAULT_DEPTH
    if limit not in _DEPTH_WEIGHTS:
        raise Rejected(-4021, f"'{limit}' is not valid depth limit.")
    bids, asks = market.public_depth(limit)
    return render_depth(bids, asks, market.update_id, exchange.now_ms())


def _depth_weight(parameters: Parameters) -> int:
    """Return the weight for the limit. The route rejects an invalid one, which costs as much as the default."""
    given = parameters.optional("limit") or ""
    return _DEPTH_WEIGHTS.get(int(given) if given.isdecimal() else _DEFAULT_DEPTH, _DEPTH_WEIGHTS[_DEFAULT_DEPTH])


def _trades(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    market = _market(exchange, parameters)
    limit = parameters.limit(default=500, maximum=1000)
    first = parameters.optional_integer("fromId")
    trades = [trade for trade in market.trades if first is None or trade.id >= first]
    return [render_trade(trade) for trade in (trades[-limit:] if first is None else trades[:limit])]


def _aggregate_trades(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    market = _market(exchange, parameters)
    first = parameters.optional_integer("fromId")
    since, until = _period(parameters, most_ms=HOUR_MS)
    limit = parameters.limit(default=500, maximum=1000)
    trades = [
        trade
        for trade in market.trades
        if (first is None or trade.id >= first) and since <= trade.at <= (until if until is not None else trade.at)
    ]
    is_anchored = first is not None or since > 0
    return [render_aggregate_trade(trade) for trade in (trades[:limit] if is_anchored else trades[-limit:])]


def _klines(
    candles: Callable[[SymbolMarket], Candles], name: str = "symbol"
) -> Callable[[SandboxExchange, Parameters], object]:
    """Return an action for these candles; ``name`` is the parameter with the symbol."""

    def respond(exchange: SandboxExchange, parameters: Parameters) -> list[list[object]]:
        return _rows(candles(exchange.market[read_symbol(parameters, exchange.market.symbols, name)]), parameters)

    return respond


def _rows(candles: Candles, parameters: Parameters) -> list[list[object]]:
    interval = parameters.text("interval")
    if interval not in INTERVALS_MS:
        raise Rejected(-1120, "Invalid interval.")
    since, until = _period(parameters)
    limit = parameters.limit(default=500, maximum=1500)
    rows = [
        candle
        for candle in candles.for_interval(interval)
        if since <= candle.open_at <= (until if until is not None else candle.open_at)
    ]
    return [render_candle(candle) for candle in (rows[:limit] if since else rows[-limit:])]


def _kline_weight(parameters: Parameters) -> int:
    given = parameters.optional("limit") or ""
    limit = int(given) if given.isdecimal() else 500
    return next(weight for most, weight in ((100, 1), (500, 2), (1001, 5), (limit + 1, 10)) if limit < most)


def _funding_rates(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    since, until = _period(parameters)
    limit = parameters.limit(default=100, maximum=1000)
    rates = [
        {"symbol": mark.symbol, "fundingRate": decimal_str(mark.funding_rate), "fundingTime": mark.at}
        for mark in exchange.funding_history
        if symbol in (None, mark.symbol) and since <= mark.at <= (until if until is not None else mark.at)
    ]
    return rates[:limit] if since else rates[-limit:]


def _funding_info(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    """Return the funding configuration, which is the same for all symbols (Get Funding Rate Config)."""
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    return [
        {
            "symbol": each,
            "interestRate": decimal_str(INTEREST_RATE),
            "time": exchange.now_ms(),
            "fundingIntervalHours": FUNDING_INTERVAL_MS // HOUR_MS,
            "fundingFeeCap": float(FUNDING_CAP),
            "fundingFeeFloor": float(-FUNDING_CAP),
        }
        for each in exchange.market.symbols
        if symbol in (None, each)
    ]


def _one_or_all(render: Callable[[SymbolMarket, int], Body]) -> Callable[[SandboxExchange, Parameters], object]:
    """Return an action for one symbol, or for all if none is given."""

    def respond(exchange: SandboxExchange, parameters: Parameters) -> object:
        symbol = read_optional_symbol(parameters, exchange.market.symbols)
        if symbol is not None:
            return render(exchange.market[symbol], exchange.now_ms())
        return [render(market, exchange.now_ms()) for market in exchange.market.symbols.values()]

    return respond


def _market(exchange: SandboxExchange, parameters: Parameters) -> SymbolMarket:
    return exchange.market[read_symbol(parameters, exchange.market.symbols)]


def _period(parameters: Parameters, most_ms: int | None = None) -> tuple[int, int | None]:
    since, until = parameters.optional_integer("startTime"), parameters.optional_integer("endTime")
    if since is not None and until is not None:
        if since > until:
            raise Rejected(-1023, "Start time is greater than end time.")
        if most_ms is not None and until - since > most_ms:
            raise Rejected(-1127, f"More than {most_ms // HOUR_MS} hours between startTime and endTime.")
    return since or 0, until


def _get(name: str, action: Callable[[SandboxExchange, Parameters], object], *parameters: str) -> Route:
    return Route("GET", (f"/fapi/v1/{name}",), action, parameters=parameters)


def _candles(name: str, action: Callable[[SandboxExchange, Parameters], object], symbol: str) -> Route:
    parameters = (symbol, "interval", *_PERIOD)
    return Route("GET", (f"/fapi/v1/{name}",), action, weight=_kline_weight, parameters=parameters)


MARKET_ROUTES = (
    _get("ping", _ping),
    _get("time", _time),
    _get("exchangeInfo", _exchange_info),
    Route("GET", ("/fapi/v1/depth",), _depth, weight=_depth_weight, parameters=("symbol", "limit")),
    _get("trades", _trades, "symbol", "limit"),
    Route("GET", ("/fapi/v1/historicalTrades",), _trades, Security.MARKET_DATA, 20, ("symbol", "limit", "fromId")),
    Route("GET", ("/fapi/v1/aggTrades",), _aggregate_trades, weight=20, parameters=("symbol", "fromId", *_PERIOD)),
    _candles("klines", _klines(lambda market: market.candles), "symbol"),
    _candles("markPriceKlines", _klines(lambda market: market.mark_candles), "symbol"),
    _candles("indexPriceKlines", _klines(lambda market: market.index_candles, "pair"), "pair"),
    _get("premiumIndex", _one_or_all(lambda market, _at: render_premium_index(market.mark)), "symbol"),
    _get("fundingInfo", _funding_info, "symbol"),
    _get("fundingRate", _funding_rates, "symbol", *_PERIOD),
    Route(
        "GET",
        ("/fapi/v1/ticker/24hr",),
        _one_or_all(render_day_ticker),
        weight=by_symbol(1, 40),
        parameters=("symbol",),
    ),
    Route(
        "GET",
        ("/fapi/v1/ticker/price",),
        _one_or_all(lambda market, _at: render_price_ticker(market)),
        weight=by_symbol(1, 2),
        parameters=("symbol",),
    ),
    Route(
        "GET",
        ("/fapi/v1/ticker/bookTicker",),
        _one_or_all(lambda market, _at: render_book_ticker(market.public_quote)),
        weight=by_symbol(1, 2),
        parameters=("symbol",),
    ),
)


def _spot_exchange_info(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    futures = render_exchange_info((each.instrument for each in exchange.market.symbols.values()), exchange.now_ms())
    return {**futures, "symbols": []}


SPOT_ROUTES = (Route("GET", ("/api/v1/exchangeInfo",), _spot_exchange_info),)
