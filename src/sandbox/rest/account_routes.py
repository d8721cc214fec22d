"""Account endpoints: modes, positions, balances, histories and the listen key."""

from collections.abc import Callable
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import Rejected
from src.domain.numbers import ZERO
from src.domain.positions import PositionReport
from src.engine.state import SelfTradePrevention
from src.exchange.wire import (
    Body,
    ErrorBody,
    decimal_str,
    render_account,
    render_api_wallet,
    render_balance,
    render_brackets,
    render_fill,
    render_income,
    render_multi_assets_mode,
    render_order,
    render_position,
    render_position_mode,
    render_success,
)
from src.sandbox.exchange import SandboxExchange
from src.sandbox.rest.auth import Security
from src.sandbox.rest.order_parameters import read_optional_symbol, read_position_side, read_symbol
from src.sandbox.rest.parameters import INVALID, Parameters, read_period
from src.sandbox.rest.routes import Action, Route, Weight, by_symbol

_BAD_MARGIN_TYPE = ErrorBody(INVALID, "Data sent for parameter 'marginType' is not valid.")
_BAD_MODE = ErrorBody(INVALID, "Data sent for parameter 'stpMode' is not valid.")
_HISTORY = ("startTime", "endTime", "limit")


def _position_mode(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return render_position_mode(exchange.engine.hedge_mode)


def _set_position_mode(exchange: SandboxExchange, parameters: Parameters) -> Body:
    exchange.account.set_position_mode(parameters.boolean("dualSidePosition"))
    return render_success()


def _multi_assets_mode(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return render_multi_assets_mode(exchange.engine.multi_assets_mode)


def _set_multi_assets_mode(exchange: SandboxExchange, parameters: Parameters) -> Body:
    exchange.account.set_multi_assets_mode(parameters.boolean("multiAssetsMargin"))
    return render_success()


def _set_leverage(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    leverage = parameters.integer("leverage")
    exchange.account.set_leverage(symbol, leverage)
    cap = exchange.account.max_notional(symbol, leverage)
    return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": decimal_str(cap)}


def _set_margin_type(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    exchange.account.set_margin_type(symbol, parameters.enum("marginType", MarginType, _BAD_MARGIN_TYPE))
    return render_success()


def _change_margin(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    kind, amount = parameters.integer("type"), parameters.decimal("amount")
    if kind not in (1, 2):
        raise Rejected(INVALID, "Data sent for parameter 'type' is not valid.")
    if amount <= 0:
        raise Rejected(-4055, "Amount must be positive.")
    exchange.account.change_margin(symbol, read_position_side(parameters), amount, kind)
    return {"amount": float(amount), "code": 200, "msg": "Successfully modify position margin.", "type": kind}


def _margin_history(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_symbol(parameters, exchange.market.symbols)
    kind = parameters.optional_integer("type")
    period = read_period(parameters, exchange.now_ms())
    changes: list[Body] = [
        {
            "amount": decimal_str(change.amount),
            "asset": exchange.market[symbol].instrument.quote_asset,
            "symbol": symbol,
            "time": change.at,
            "type": change.kind,
            "positionSide": change.position_side.value,
        }
        for change in exchange.account.margin_changes
        if change.symbol == symbol and period.contains(change.at) and kind in (None, change.kind)
    ]
    return changes[-parameters.limit(default=500, maximum=1000) :]


def _positions(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    reports = exchange.account.position_reports.apply(exchange.account.positions(symbol))
    return [render_position(each, exchange.account.max_notional(each.symbol, each.leverage)) for each in reports]


def _balances(exchange: SandboxExchange, _parameters: Parameters) -> list[Body]:
    parts = exchange.account.asset_summaries()
    return [
        render_balance(each, parts[each.asset].available_balance, _crossed_pnl(exchange, each.asset), exchange.now_ms())
        for each in exchange.account.balances()
    ]


def _crossed_pnl(exchange: SandboxExchange, asset: str) -> Decimal:
    """Return the unrealized PnL of the crossed positions that are settled in an asset."""
    crossed = (each for each in exchange.account.open_positions() if each.margin_type is MarginType.CROSSED)
    quote_assets = {symbol: market.instrument.quote_asset for symbol, market in exchange.market.symbols.items()}
    return sum((each.unrealized_pnl for each in crossed if quote_assets[each.symbol] == asset), ZERO)


def _account(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    account = exchange.account
    return render_account(
        account.summary(),
        account.balances(),
        account.positions(),
        parts=account.asset_summaries(),
        cross_wallet_balance=account.engine.cross_wallet_balance(),
    )


def _trades(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_symbol(parameters, exchange.market.symbols)
    first = parameters.optional_integer("fromId")
    if first is not None and ("startTime" in parameters or "endTime" in parameters):
        raise Rejected(-1128, "Combination of optional parameters invalid.")
    period = read_period(parameters, exchange.now_ms())
    limit = parameters.limit(default=500, maximum=1000)
    fills = [
        fill
        for fill in exchange.engine.fills(symbol)
        if (fill.trade_id >= first if first is not None else period.contains(fill.traded_at))
    ]
    is_anchored = first is not None or period.is_given
    return [render_fill(fill) for fill in (fills[:limit] if is_anchored else fills[-limit:])]


def _incomes(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    kind = parameters.optional("incomeType")
    period = read_period(parameters, exchange.now_ms())
    limit = parameters.limit(default=100, maximum=1000)
    incomes = [
        each
        for each in exchange.engine.incomes()
        if symbol in (None, each.symbol) and kind in (None, each.type) and period.contains(each.paid_at)
    ]
    chosen = incomes[:limit] if period.is_given else incomes[-limit:]
    trades = [exchange.account.trade_of(each) for each in chosen]
    return [render_income(each, trade.trade_id if trade else None) for each, trade in zip(chosen, trades, strict=True)]


def _brackets(exchange: SandboxExchange, parameters: Parameters) -> object:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    if symbol is not None:
        return _bracket_table(exchange, symbol)
    return [_bracket_table(exchange, each) for each in exchange.market.symbols]


def _bracket_table(exchange: SandboxExchange, symbol: str) -> Body:
    return render_brackets(symbol, exchange.market[symbol].brackets)


def _adl_quantiles(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    return [_quantile(each) for each in exchange.account.positions(symbol) if each.quantity]


def _quantile(report: PositionReport) -> Body:
    """Return quantile 0: there is no auto-deleveraging in the sandbox."""
    sides = ("LONG", "SHORT", "BOTH" if report.position_side is PositionSide.BOTH else "HEDGE")
    return {"symbol": report.symbol, "adlQuantile": dict.fromkeys(sides, 0)}


def _force_orders(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    kind = parameters.optional("autoCloseType")
    if kind not in (None, "LIQUIDATION", "ADL"):
        raise Rejected(INVALID, "Data sent for parameter 'autoCloseType' is not valid.")
    period = read_period(parameters, exchange.now_ms())
    orders = [
        render_order(order, exchange.account.created_at(order))
        for order in exchange.engine.force_orders()
        if symbol in (None, order.symbol) and period.contains(exchange.account.created_at(order)) and kind != "ADL"
    ]
    return orders[-parameters.limit(default=50, maximum=100) :]


def _commission_rate(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    fees = exchange.account.fees
    return {
        "symbol": symbol,
        "makerCommissionRate": decimal_str(fees.maker_rate),
        "takerCommissionRate": decimal_str(fees.taker_rate),
    }


def _create_key(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return {"listenKey": exchange.listen_key.create(exchange.now_ms())}


def _keep_key(exchange: SandboxExchange, parameters: Parameters) -> Body:
    exchange.listen_key.keep_alive(exchange.now_ms(), parameters.optional("listenKey"))
    return {}


def _close_key(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    exchange.close_listen_key()
    return {}


def _route(
    method: str,
    path: str,
    action: Callable[[SandboxExchange, Parameters], object],
    weight: Weight = 1,
    *parameters: str,
) -> Route:
    return Route(method, (f"/fapi/{path}",), action, Security.SIGNED, weight, parameters)


def _key_route(method: str, action: Callable[[SandboxExchange, Parameters], object]) -> Route:
    """Accept ``listenKey``: it is not documented, but Aster's client sends it."""
    return Route(method, ("/fapi/v1/listenKey",), action, Security.USER_STREAM, parameters=("listenKey",))


ACCOUNT_ROUTES = (
    _route("GET", "v1/positionSide/dual", _position_mode, 30),
    _route("POST", "v1/positionSide/dual", _set_position_mode, 1, "dualSidePosition"),
    _route("GET", "v1/multiAssetsMargin", _multi_assets_mode, 30),
    _route("POST", "v1/multiAssetsMargin", _set_multi_assets_mode, 1, "multiAssetsMargin"),
    _route("POST", "v1/leverage", _set_leverage, 1, "symbol", "leverage"),
    _route("POST", "v1/marginType", _set_margin_type, 1, "symbol", "marginType"),
    _route("POST", "v1/positionMargin", _change_margin, 1, "symbol", "positionSide", "amount", "type"),
    _route("GET", "v1/positionMargin/history", _margin_history, 1, "symbol", "type", *_HISTORY),
    Route("GET", ("/fapi/v1/positionRisk", "/fapi/v2/positionRisk"), _positions, Security.SIGNED, 5, ("symbol",)),
    _route("GET", "v2/balance", _balances, 5),
    Route("GET", ("/fapi/v2/account", "/fapi/v4/account"), _account, Security.SIGNED, 5),
    _route("GET", "v1/userTrades", _trades, 5, "symbol", "fromId", *_HISTORY),
    _route("GET", "v1/income", _incomes, 30, "symbol", "incomeType", *_HISTORY),
    _route("GET", "v1/leverageBracket", _brackets, 1, "symbol"),
    _route("GET", "v1/adlQuantile", _adl_quantiles, 5, "symbol"),
    _route("GET", "v1/forceOrders", _force_orders, by_symbol(20, 50), "symbol", "autoCloseType", *_HISTORY),
    _route("GET", "v1/commissionRate", _commission_rate, 20, "symbol"),
    _key_route("POST", _create_key),
    _key_route("PUT", _keep_key),
    _key_route("DELETE", _close_key),
)


def _noop(_exchange: SandboxExchange, _parameters: Parameters) -> Body:
    """Use up the nonce, so that a delayed request with the same nonce is rejected (Noop)."""
    return render_success()


def _stp_mode(exchange: SandboxExchange, _parameters: Parameters) -> Body:
    return {"stpMode": exchange.account.self_trade_prevention.value}


def _set_stp_mode(exchange: SandboxExchange, parameters: Parameters) -> Body:
    """Set the mode. It has an effect only while the account's orders are in the book."""
    exchange.account.set_self_trade_prevention(parameters.enum("stpMode", SelfTradePrevention, _BAD_MODE))
    return render_success()


def _builders(_exchange: SandboxExchange, _parameters: Parameters) -> list[Body]:
    """Return no builders: they cannot be approved here."""
    return []


def _api_wallets(exchange: SandboxExchange, _parameters: Parameters) -> list[Body]:
    return [render_api_wallet(exchange.api_wallet, exchange.keys.wallet.signer)]


def _v3_route(method: str, name: str, action: Action, weight: Weight = 1, *parameters: str) -> Route:
    return Route(method, (f"/fapi/v3/{name}",), action, Security.SIGNED, weight, parameters)


V3_ROUTES = (
    _v3_route("POST", "noop", _noop),
    _v3_route("GET", "stpMode", _stp_mode, 30),
    _v3_route("POST", "stpMode", _set_stp_mode, 1, "stpMode"),
    _v3_route("GET", "builder", _builders),
    _v3_route("GET", "agent", _api_wallets, 20),
)
