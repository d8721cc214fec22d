"""What the account holds: positions, balances, totals, modes and income, as the REST answers tell it."""

from collections.abc import Iterable
from decimal import Decimal

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import InvariantError
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.exchange.wire.fields import Body, Fields, number, read_list
from src.exchange.wire.words import MARGIN_TYPES

_ZERO = Decimal(0)


def parse_position(payload: object) -> PositionReport:
    """One entry of ``v2/positionRisk`` (Position Information V2)."""
    position = Fields(payload)
    return PositionReport(
        symbol=position.text("symbol"),
        position_side=position.word("positionSide", PositionSide),
        quantity=position.decimal("positionAmt"),
        entry_price=position.decimal("entryPrice"),
        mark_price=position.decimal("markPrice"),
        unrealized_pnl=position.decimal("unRealizedProfit"),
        liquidation_price=position.decimal("liquidationPrice"),
        leverage=position.integer("leverage"),
        margin_type=position.known_word("marginType", MarginType, MARGIN_TYPES),
        isolated_margin=position.decimal("isolatedMargin"),
        updated_at=position.integer("updateTime"),
    )


def render_position(report: PositionReport, max_notional: Decimal = _ZERO) -> Body:
    """The entry of ``v2/positionRisk``, with the ``notional`` some clients tell long from short by."""
    return {
        "symbol": report.symbol,
        "positionAmt": number(report.quantity),
        "entryPrice": number(report.entry_price),
        "markPrice": number(report.mark_price),
        "unRealizedProfit": number(report.unrealized_pnl),
        "liquidationPrice": number(report.liquidation_price),
        "leverage": str(report.leverage),
        "maxNotionalValue": number(max_notional),
        "marginType": render_margin_type(report.margin_type),
        "isolatedMargin": number(report.isolated_margin),
        "isAutoAddMargin": "false",
        "positionSide": report.position_side.value,
        "notional": number(report.quantity * report.mark_price),
        "updateTime": report.updated_at,
    }


def render_margin_type(margin_type: MarginType | None) -> str:
    """The word of positions; orders of the account use the upper-case ones (Change Margin Type)."""
    if margin_type is None:
        raise InvariantError("an exchange knows its margin types")
    return "isolated" if margin_type is MarginType.ISOLATED else "cross"


def parse_brackets(payload: object) -> dict[str, tuple[tuple[int, Decimal], ...]]:
    """Per symbol, the highest leverage of each step and the position value it reaches to (Leverage Brackets)."""
    tables = map(Fields, read_list(payload))
    return {table.text("symbol"): tuple(map(_bracket, table.parts("brackets"))) for table in tables}


def _bracket(step: Fields) -> tuple[int, Decimal]:
    return step.integer("initialLeverage"), step.decimal("notionalCap")


def parse_balance(payload: object) -> Balance:
    """One entry of ``v2/balance`` (Futures Account Balance V2)."""
    balance = Fields(payload)
    return Balance(balance.text("asset"), balance.decimal("balance"), balance.decimal("crossWalletBalance"))


def render_balance(balance: Balance, available: Decimal, cross_unrealized_pnl: Decimal = _ZERO, at: int = 0) -> Body:
    return {
        "accountAlias": "SgsR",
        "asset": balance.asset,
        "balance": number(balance.wallet_balance),
        "crossWalletBalance": number(balance.cross_wallet_balance),
        "crossUnPnl": number(cross_unrealized_pnl),
        "availableBalance": number(available),
        "maxWithdrawAmount": number(available),
        "marginAvailable": True,
        "updateTime": at,
    }


def parse_account(payload: object) -> AccountSummary:
    """The totals of ``v4/account`` (Account Information V4)."""
    account = Fields(payload)
    return AccountSummary(
        wallet_balance=account.decimal("totalWalletBalance"),
        unrealized_pnl=account.decimal("totalUnrealizedProfit"),
        margin_balance=account.decimal("totalMarginBalance"),
        available_balance=account.decimal("availableBalance"),
        initial_margin=account.decimal("totalPositionInitialMargin"),
        maintenance_margin=account.decimal("totalMaintMargin"),
    )


def parse_account_balances(payload: object) -> tuple[Balance, ...]:
    """The wallet, asset by asset, from the same answer."""
    return tuple(
        Balance(asset.text("asset"), asset.decimal("walletBalance"), asset.decimal("crossWalletBalance"))
        for asset in Fields(payload).parts("assets")
    )


def render_account(
    account: AccountSummary,
    balances: Iterable[Balance],
    positions: Iterable[PositionReport],
    order_margin: Decimal = _ZERO,
) -> Body:
    """The answer of ``v4/account``. The first balance is the quote asset's: it alone carries margin."""
    balances = list(balances)
    totals = _totals(account, order_margin)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "totalInitialMargin": totals["initialMargin"],
        "totalMaintMargin": totals["maintMargin"],
        "totalWalletBalance": number(account.wallet_balance),
        "totalUnrealizedProfit": totals["unrealizedProfit"],
        "totalMarginBalance": totals["marginBalance"],
        "totalPositionInitialMargin": totals["positionInitialMargin"],
        "totalOpenOrderInitialMargin": totals["openOrderInitialMargin"],
        "totalCrossWalletBalance": number(sum((each.cross_wallet_balance for each in balances), _ZERO)),
        "totalCrossUnPnl": totals["unrealizedProfit"],
        "availableBalance": totals["availableBalance"],
        "maxWithdrawAmount": totals["availableBalance"],
        "assets": [_asset(each, totals if index == 0 else _alone(each)) for index, each in enumerate(balances)],
        "positions": [_account_position(each) for each in positions],
    }


def _totals(account: AccountSummary, order_margin: Decimal) -> dict[str, str]:
    return {
        "unrealizedProfit": number(account.unrealized_pnl),
        "marginBalance": number(account.margin_balance),
        "maintMargin": number(account.maintenance_margin),
        "initialMargin": number(account.initial_margin + order_margin),
        "positionInitialMargin": number(account.initial_margin),
        "openOrderInitialMargin": number(order_margin),
        "availableBalance": number(account.available_balance),
    }


def _alone(balance: Balance) -> dict[str, str]:
    wallet = balance.wallet_balance
    return _totals(AccountSummary(wallet, _ZERO, wallet, balance.cross_wallet_balance, _ZERO, _ZERO), _ZERO)


def _asset(balance: Balance, totals: dict[str, str]) -> Body:
    return {
        "asset": balance.asset,
        "walletBalance": number(balance.wallet_balance),
        **totals,
        "crossWalletBalance": number(balance.cross_wallet_balance),
        "crossUnPnl": totals["unrealizedProfit"],
        "maxWithdrawAmount": totals["availableBalance"],
        "marginAvailable": True,
        "updateTime": 0,
    }


def _account_position(report: PositionReport) -> Body:
    margin = number(abs(report.quantity) * report.mark_price / report.leverage)
    return {
        "symbol": report.symbol,
        "initialMargin": margin,
        "maintMargin": "0",
        "unrealizedProfit": number(report.unrealized_pnl),
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "leverage": str(report.leverage),
        "isolated": report.margin_type is MarginType.ISOLATED,
        "entryPrice": number(report.entry_price),
        "maxNotional": "0",
        "positionSide": report.position_side.value,
        "positionAmt": number(report.quantity),
        "updateTime": report.updated_at,
    }


def parse_income(payload: object) -> Income:
    """One entry of ``income`` (Get Income History)."""
    income = Fields(payload)
    return Income(
        transaction_id=income.integer("tranId"),
        symbol=income.text("symbol"),
        type=income.text("incomeType"),
        asset=income.text("asset"),
        amount=income.decimal("income"),
        at=income.integer("time"),
    )


def render_income(income: Income, trade_id: int | None = None) -> Body:
    return {
        "symbol": income.symbol,
        "incomeType": income.type,
        "income": number(income.amount),
        "asset": income.asset,
        "info": income.type,
        "time": income.at,
        "tranId": str(income.transaction_id),
        "tradeId": "" if trade_id is None else str(trade_id),
    }


def parse_position_mode(payload: object) -> bool:
    """True for hedge mode (Get Current Position Mode)."""
    return Fields(payload).truth("dualSidePosition")


def render_position_mode(hedge_mode: bool) -> Body:
    return {"dualSidePosition": hedge_mode}


def parse_multi_assets_mode(payload: object) -> bool:
    """True for Multi-Assets mode (Get Current Multi-Assets Mode)."""
    return Fields(payload).truth("multiAssetsMargin")


def render_multi_assets_mode(multi_assets_mode: bool) -> Body:
    return {"multiAssetsMargin": multi_assets_mode}


def parse_leverage(payload: object) -> int:
    """The leverage that was set (Change Initial Leverage)."""
    return Fields(payload).integer("leverage")


def render_leverage(symbol: str, leverage: int, max_notional: Decimal) -> Body:
    return {"leverage": leverage, "maxNotionalValue": number(max_notional), "symbol": symbol}


def parse_listen_key(payload: object) -> str:
    """The key to the private stream (Start User Data Stream)."""
    return Fields(payload).text("listenKey")
