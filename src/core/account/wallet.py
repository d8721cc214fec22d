"""The wallet: the account's totals in multi-assets mode, else the balances of the assets that our symbols settle in.

All amounts are in dollars; the assets of ``DOLLAR_ASSETS`` count as one dollar each.
"""

from dataclasses import replace
from decimal import Decimal

from src.core.context import TraderContext
from src.domain.assets import dollar_asset, dollar_value
from src.domain.clock import HOUR_MS
from src.domain.enums import PositionSide, Side
from src.domain.events import AccountUpdate
from src.domain.numbers import ZERO
from src.domain.orders import Fill, OrderUpdate
from src.domain.positions import AccountSummary, Snapshot

Assets = tuple[str, ...]
"""The assets that back something; empty means all assets of the account, as in multi-assets mode."""

_DEFAULT_ASSET = "USDT"
_REFRESH_MS = 5_000


def adopt_snapshot(context: TraderContext, snapshot: Snapshot) -> bool:
    """Take over the totals, the balances and the mode that the exchange reports.

    Returns whether a balance differs from the one known before, so that an account update is late or lost.
    """
    before = context.balances
    context.multi_assets_mode = snapshot.multi_assets_mode
    if context.account is None or not _are_totals_untrue(snapshot):
        context.account = snapshot.account
    elif context.may_request("untrue totals", HOUR_MS):
        context.warn(
            "the exchange reports a total wallet balance of 0 though assets are held: the last known total is used. "
            "Compare it with the wallet on the exchange's site"
        )
    context.leverages = {each.symbol: each.leverage for each in snapshot.positions}
    reported = {each.asset: each.wallet_balance for each in snapshot.balances}
    context.balances = {**context.balances, **reported} if snapshot.has_unreadable_balance else reported
    context.cross_balances |= {each.asset: each.cross_wallet_balance for each in snapshot.balances}
    context.has_unreadable_balance = snapshot.has_unreadable_balance
    return bool(before) and any(
        before.get(asset, ZERO) != context.balances.get(asset, ZERO) for asset in before.keys() | context.balances
    )


def _are_totals_untrue(snapshot: Snapshot) -> bool:
    """Whether the totals of all assets are 0 though one of them is held."""
    is_held = any(each.wallet_balance > 0 for each in snapshot.balances)
    return snapshot.multi_assets_mode and not snapshot.account.wallet_balance and is_held


def adopt_balances(context: TraderContext, update: AccountUpdate) -> None:
    """Take over changed balances. The totals of multi-assets mode are read again: one asset does not give them.

    A balance that is 0 all at once without a transfer is not believed: the account is read instead.
    """
    if not update.balances or context.account is None:
        return
    empty = {each.asset for each in update.balances if not (each.wallet_balance or each.change)}
    doubted = {asset for asset in empty if context.balances.get(asset)}
    for each in update.balances:
        if each.asset not in doubted:
            context.balances[each.asset] = each.wallet_balance
            context.cross_balances[each.asset] = each.cross_wallet_balance
    if doubted and context.may_request("empty balance", _REFRESH_MS):
        context.request_snapshot(f"the balance of {', '.join(sorted(doubted))} is reported as 0")
    if context.multi_assets_mode and context.may_request("wallet totals", _REFRESH_MS):
        context.request_snapshot("a balance changed", is_poll=True)


def margin_asset(context: TraderContext, symbol: str) -> str:
    """The asset in which a symbol is margined and settled."""
    instrument = context.instruments.get(symbol)
    return instrument.quote_asset if instrument else dollar_asset(symbol) or _DEFAULT_ASSET


def margin_assets(context: TraderContext, symbol: str | None = None) -> Assets:
    """The assets that back a symbol's positions, or those of all our symbols."""
    if context.multi_assets_mode:
        return ()
    symbols = {symbol} if symbol else {*context.settings.symbols, *context.removed_symbols}
    return tuple(sorted({margin_asset(context, each) for each in symbols})) or (_DEFAULT_ASSET,)


def is_backed_by(context: TraderContext, assets: Assets, symbol: str) -> bool:
    """Whether these assets back the positions of the symbol."""
    return not assets or margin_asset(context, symbol) in assets


def wallet_balance(context: TraderContext, assets: Assets) -> Decimal | None:
    """Balance of these assets; None until the account is known, and while one of them could never be read."""
    if context.account is None:
        return None
    if context.has_unreadable_balance and any(asset not in context.balances for asset in assets):
        return None
    if not assets or not context.balances:
        return context.account.wallet_balance
    return sum((context.balances.get(asset, ZERO) for asset in assets), ZERO)


def crossed_wallet(context: TraderContext, symbol: str) -> Decimal:
    """The balance that backs the crossed positions of a symbol; 0 until the account is known."""
    assets, account = margin_assets(context, symbol), context.account
    if account is None:
        return ZERO
    if not assets:
        return account.shared_wallet
    balance = wallet_balance(context, assets) or ZERO
    return min(balance, sum((context.cross_balances.get(each, balance) for each in assets), ZERO))


def unrealized_pnl(context: TraderContext, assets: Assets) -> Decimal:
    """Unrealized PnL at the current mark prices of the open positions that these assets back."""
    positions = [tracked.position for tracked in context.portfolio.open_positions()]
    backed = (each for each in positions if is_backed_by(context, assets, each.symbol))
    marked = ((position, context.mark_price(position.symbol)) for position in backed)
    return sum((position.unrealized_pnl(mark) for position, mark in marked if mark is not None), ZERO)


def equity(context: TraderContext) -> Decimal | None:
    """Wallet balance plus unrealized PnL; None until the account is known."""
    assets = margin_assets(context)
    balance = wallet_balance(context, assets)
    return None if balance is None else balance + unrealized_pnl(context, assets)


def available_balance(context: TraderContext, assets: Assets, bound_margin: Decimal) -> Decimal | None:
    """Wallet balance plus open losses minus ``bound_margin``; None until the account is known."""
    balance = wallet_balance(context, assets)
    return None if balance is None else balance + min(unrealized_pnl(context, assets), ZERO) - bound_margin


def external_order_margin(context: TraderContext, assets: Assets = ()) -> Decimal:
    """Margin that a person's open orders bind: those that may open or enlarge a position that these assets back."""
    orders = (each for each in context.portfolio.external_orders.values() if isinstance(each, OrderUpdate))
    backed = (each for each in orders if is_backed_by(context, assets, each.symbol))
    return sum((_margin_of(context, order) for order in backed), ZERO)


def _margin_of(context: TraderContext, order: OrderUpdate) -> Decimal:
    closing_side = {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}.get(order.position_side)
    if order.reduce_only or order.close_position or order.side is closing_side:
        return ZERO
    price = order.price or order.stop_price or context.mark_price(order.symbol) or ZERO
    notional = max(ZERO, order.quantity - order.filled_quantity) * price
    return notional / max(1, context.leverages.get(order.symbol, 1))


def current_summary(context: TraderContext) -> AccountSummary | None:
    """The last reported account with the current wallet balance; None until the account is known."""
    account, balance = context.account, wallet_balance(context, margin_assets(context))
    if account is None or balance is None:
        return None
    margin_balance = account.margin_balance + balance - account.wallet_balance
    return replace(account, wallet_balance=balance, margin_balance=margin_balance)


def with_fee_in_dollars(context: TraderContext, fill: Fill) -> Fill:
    """The fill with its fee converted by the mark price of now; unchanged if no price of the fee's asset is known."""
    fee = dollar_value(fill.commission_asset, fill.commission, context.mark_price)
    return replace(fill, commission_value=fee)
