"""Account data from REST and the user data stream: positions, balances, modes, leverage, income, margin calls."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from src.domain.api_wallet import ApiWallet
from src.domain.enums import IncomeType, MarginType, PositionSide
from src.domain.errors import InvariantError, ProtocolError
from src.domain.events import AccountUpdate, LeverageChanged, MarginCall, PositionChange
from src.domain.margin import Bracket, Brackets, deductions
from src.domain.numbers import ZERO
from src.domain.orders import UnrecognizedPosition
from src.domain.positions import AccountSummary, Balance, Income, Position, PositionKey, PositionReport
from src.exchange.wire.fields import MARGIN_TYPE_ALIASES, Body, Fields, decimal_str, read_list


@dataclass(frozen=True, slots=True)
class ListenKeyExpired:
    """The stream sends no more events, though the connection stays open (Event: User Data Stream Expired)."""

    event_at: int


@dataclass(frozen=True, slots=True)
class AccountModeChanged:
    """An account mode changed and must be queried again. None where the event does not include the mode."""

    multi_assets_mode: bool | None
    hedge_mode: bool | None
    event_at: int


def parse_position(payload: object) -> PositionReport:
    """Parse one entry of ``v2/positionRisk`` (Position Information V2).

    A price that is missing or not above 0 becomes 0: not known.
    """
    position = Fields(payload)
    entry_price, mark_price, liquidation_price = (
        position.detail(position.positive, key, ZERO) for key in ("entryPrice", "markPrice", "liquidationPrice")
    )
    return PositionReport(
        symbol=position.name("symbol"),
        position_side=position.enum("positionSide", PositionSide),
        quantity=position.decimal("positionAmt"),
        entry_price=entry_price,
        mark_price=mark_price,
        unrealized_pnl=position.detail(position.decimal, "unRealizedProfit", ZERO),
        liquidation_price=liquidation_price,
        leverage=int(position.positive("leverage")),
        margin_type=position.optional_enum("marginType", MarginType, MARGIN_TYPE_ALIASES),
        isolated_margin=position.detail(position.decimal, "isolatedMargin", ZERO),
        updated_at=position.time("updateTime", default=0),
    )


def render_position(report: PositionReport, max_notional: Decimal = ZERO) -> Body:
    """Render an entry of ``v2/positionRisk``, with the signed ``notional`` from which some clients take the side."""
    return {
        "symbol": report.symbol,
        "positionAmt": decimal_str(report.quantity),
        "entryPrice": decimal_str(report.entry_price),
        "markPrice": decimal_str(report.mark_price),
        "unRealizedProfit": decimal_str(report.unrealized_pnl),
        "liquidationPrice": decimal_str(report.liquidation_price),
        "leverage": str(report.leverage),
        "maxNotionalValue": decimal_str(max_notional),
        "marginType": render_margin_type(report.margin_type),
        "isolatedMargin": decimal_str(report.isolated_margin),
        "isAutoAddMargin": "false",
        "positionSide": report.position_side.value,
        "notional": decimal_str(report.quantity * report.mark_price),
        "updateTime": report.updated_at,
    }


def render_margin_type(margin_type: MarginType | None) -> str:
    """Render the lower-case spelling used for positions; Change Margin Type uses the upper-case one."""
    if margin_type is None:
        raise InvariantError("the margin type must be set")
    return "isolated" if margin_type is MarginType.ISOLATED else "cross"


def parse_brackets(payload: object) -> dict[str, Brackets]:
    """Parse the brackets of each symbol (Notional and Leverage Brackets), by increasing cap.

    A symbol with a bracket that cannot be read is left out: part of its brackets would be a wrong answer.
    """
    found: dict[str, Brackets] = {}
    for row in read_list(payload):
        with suppress(ProtocolError):
            table = Fields(row)
            brackets = sorted(map(_bracket, table.children("brackets")), key=lambda each: each.notional_cap)
            if brackets:
                found[table.name("symbol")] = tuple(brackets)
    return found


def _bracket(bracket: Fields) -> Bracket:
    return Bracket(
        notional_cap=bracket.positive("notionalCap"),
        max_leverage=bracket.integer("initialLeverage"),
        maintenance_ratio=bracket.positive("maintMarginRatio"),
    )


def render_brackets(symbol: str, brackets: Brackets) -> Body:
    floors = [ZERO, *(bracket.notional_cap for bracket in brackets)]
    rows = [
        {
            "bracket": place,
            "initialLeverage": bracket.max_leverage,
            "notionalCap": int(bracket.notional_cap),
            "notionalFloor": int(floor),
            "maintMarginRatio": float(bracket.maintenance_ratio),
            "cum": float(deduction),
        }
        for place, (bracket, floor, deduction) in enumerate(
            zip(brackets, floors, deductions(brackets), strict=False), start=1
        )
    ]
    return {"symbol": symbol, "brackets": rows}


def parse_balance(payload: object) -> Balance:
    """Parse one entry of ``v2/balance`` (Futures Account Balance V2)."""
    balance = Fields(payload)
    return _balance(balance, "asset", "balance", "crossWalletBalance")


def _balance(asset: Fields, name: str, wallet: str, cross: str) -> Balance:
    """Read a balance; its cross wallet decides nothing, and its change (``bc``) is in account updates only."""
    wallet_balance = asset.decimal(wallet)
    cross_balance = asset.detail(asset.decimal, cross, wallet_balance)
    return Balance(asset.text(name), wallet_balance, cross_balance, asset.detail(asset.decimal, "bc", ZERO))


def _balances(assets: Iterable[Fields], name: str, wallet: str, cross: str) -> tuple[Balance, ...]:
    """Read the balances; one that cannot be read is unknown and must not hide the others."""
    found = []
    for asset in assets:
        with suppress(ProtocolError):
            found.append(_balance(asset, name, wallet, cross))
    return tuple(found)


def render_balance(balance: Balance, available: Decimal, cross_unrealized_pnl: Decimal = ZERO, at: int = 0) -> Body:
    return {
        "accountAlias": "SgsR",
        "asset": balance.asset,
        "balance": decimal_str(balance.wallet_balance),
        "crossWalletBalance": decimal_str(balance.cross_wallet_balance),
        "crossUnPnl": decimal_str(cross_unrealized_pnl),
        "availableBalance": decimal_str(available),
        "maxWithdrawAmount": decimal_str(available),
        "marginAvailable": True,
        "updateTime": at,
    }


def parse_account(payload: object) -> AccountSummary:
    """Parse the totals of ``v4/account`` (Account Information V4); what follows from the others may be missing."""
    account = Fields(payload)
    wallet = account.decimal("totalWalletBalance")
    unrealized, initial, maintenance = (
        account.detail(account.decimal, key, ZERO)
        for key in ("totalUnrealizedProfit", "totalPositionInitialMargin", "totalMaintMargin")
    )
    margin_balance = account.detail(account.decimal, "totalMarginBalance", wallet + unrealized)
    return AccountSummary(
        wallet_balance=wallet,
        unrealized_pnl=unrealized,
        margin_balance=margin_balance,
        available_balance=account.detail(account.decimal, "availableBalance", margin_balance - initial),
        initial_margin=initial,
        maintenance_margin=maintenance,
    )


def parse_account_balances(payload: object) -> tuple[Balance, ...]:
    """Parse the balances per asset of ``v4/account``."""
    return _balances(Fields(payload).children("assets"), "asset", "walletBalance", "crossWalletBalance")


def has_unreadable_balance(payload: object) -> bool:
    """Whether ``v4/account`` lists an asset whose balance cannot be read: it is unknown, not zero."""
    return len(parse_account_balances(payload)) < len(Fields(payload).items("assets"))


def render_account(
    account: AccountSummary,
    balances: Iterable[Balance],
    positions: Iterable[PositionReport],
    order_margin: Decimal = ZERO,
    parts: Mapping[str, AccountSummary] | None = None,
    cross_wallet_balance: Decimal | None = None,
) -> Body:
    """Render the response of ``v4/account``.

    ``parts`` are the parts of the assets in the totals; without them the first balance, the quote asset, carries all.
    """
    balances = list(balances)
    totals = _totals(account, order_margin)
    if cross_wallet_balance is None:
        cross_wallet_balance = sum((each.cross_wallet_balance for each in balances), ZERO)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "totalInitialMargin": totals["initialMargin"],
        "totalMaintMargin": totals["maintMargin"],
        "totalWalletBalance": decimal_str(account.wallet_balance),
        "totalUnrealizedProfit": totals["unrealizedProfit"],
        "totalMarginBalance": totals["marginBalance"],
        "totalPositionInitialMargin": totals["positionInitialMargin"],
        "totalOpenOrderInitialMargin": totals["openOrderInitialMargin"],
        "totalCrossWalletBalance": decimal_str(cross_wallet_balance),
        "totalCrossUnPnl": totals["unrealizedProfit"],
        "availableBalance": totals["availableBalance"],
        "maxWithdrawAmount": totals["availableBalance"],
        "assets": [
            _asset(each, _totals(parts[each.asset], ZERO))
            if parts is not None
            else _asset(each, totals if index == 0 else _totals_of_asset(each))
            for index, each in enumerate(balances)
        ],
        "positions": [_account_position(each) for each in positions],
    }


def _totals(account: AccountSummary, order_margin: Decimal) -> dict[str, str]:
    return {
        "unrealizedProfit": decimal_str(account.unrealized_pnl),
        "marginBalance": decimal_str(account.margin_balance),
        "maintMargin": decimal_str(account.maintenance_margin),
        "initialMargin": decimal_str(account.initial_margin + order_margin),
        "positionInitialMargin": decimal_str(account.initial_margin),
        "openOrderInitialMargin": decimal_str(order_margin),
        "availableBalance": decimal_str(account.available_balance),
    }


def _totals_of_asset(balance: Balance) -> dict[str, str]:
    wallet = balance.wallet_balance
    return _totals(AccountSummary(wallet, ZERO, wallet, balance.cross_wallet_balance, ZERO, ZERO), ZERO)


def _asset(balance: Balance, totals: dict[str, str]) -> Body:
    return {
        "asset": balance.asset,
        "walletBalance": decimal_str(balance.wallet_balance),
        **totals,
        "crossWalletBalance": decimal_str(balance.cross_wallet_balance),
        "crossUnPnl": totals["unrealizedProfit"],
        "maxWithdrawAmount": totals["availableBalance"],
        "marginAvailable": True,
        "updateTime": 0,
    }


def _account_position(report: PositionReport) -> Body:
    margin = decimal_str(abs(report.quantity) * report.mark_price / report.leverage)
    return {
        "symbol": report.symbol,
        "initialMargin": margin,
        "maintMargin": "0",
        "unrealizedProfit": decimal_str(report.unrealized_pnl),
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "leverage": str(report.leverage),
        "isolated": report.margin_type is MarginType.ISOLATED,
        "entryPrice": decimal_str(report.entry_price),
        "maxNotional": "0",
        "positionSide": report.position_side.value,
        "positionAmt": decimal_str(report.quantity),
        "updateTime": report.updated_at,
    }


def parse_income(payload: object) -> Income:
    """Parse one entry of ``income`` (Get Income History); a transfer may have no symbol."""
    income = Fields(payload)
    kind = income.text("incomeType")
    trade_id = str(payload.get("tradeId")) if isinstance(payload, dict) else ""
    return Income(
        transaction_id=income.integer("tranId"),
        symbol=income.detail(income.text, "symbol", "") if kind == IncomeType.TRANSFER else income.text("symbol"),
        type=kind,
        asset=income.text("asset"),
        amount=income.decimal("income"),
        paid_at=income.integer("time"),
        trade_id=int(trade_id) if trade_id.isdecimal() else None,
    )


def render_income(income: Income, trade_id: int | None = None) -> Body:
    return {
        "symbol": income.symbol,
        "incomeType": income.type,
        "income": decimal_str(income.amount),
        "asset": income.asset,
        "info": income.type,
        "time": income.paid_at,
        "tranId": str(income.transaction_id),
        "tradeId": "" if trade_id is None else str(trade_id),
    }


def parse_position_mode(payload: object) -> bool:
    """Return True for hedge mode (Get Current Position Mode)."""
    return Fields(payload).boolean("dualSidePosition")


def render_position_mode(hedge_mode: bool) -> Body:
    return {"dualSidePosition": hedge_mode}


def parse_multi_assets_mode(payload: object) -> bool:
    """Return True for multi-assets mode (Get Current Multi-Assets Mode)."""
    return Fields(payload).boolean("multiAssetsMargin")


def render_multi_assets_mode(multi_assets_mode: bool) -> Body:
    return {"multiAssetsMargin": multi_assets_mode}


def parse_leverage(payload: object) -> int:
    """Parse the leverage that was set (Change Initial Leverage)."""
    return Fields(payload).integer("leverage")


def render_leverage(symbol: str, leverage: int, max_notional: Decimal) -> Body:
    return {"leverage": leverage, "maxNotionalValue": decimal_str(max_notional), "symbol": symbol}


def parse_api_wallet(payload: object, address: str) -> ApiWallet:
    """Parse the approved API wallets (``GET /fapi/v3/agent``) and return the one with this address.

    The exchange's futures documents name the endpoint in examples only; the response is as a public description of
    builder codes has it.
    """
    for fields in map(Fields, read_list(payload)):
        if fields.text("agentAddress").lower() == address.lower():
            allowed = fields.text("ipWhitelist") if "ipWhitelist" in fields else ""
            return ApiWallet(fields.integer("expired"), fields.boolean("canWithdraw"), allowed)
    raise ProtocolError("the API wallet is not in the list of approved ones", None)


def render_api_wallet(wallet: ApiWallet, address: str) -> Body:
    return {
        "agentAddress": address,
        "agentName": "sandbox",
        "ipWhitelist": wallet.allowed_addresses,
        "expired": wallet.ends_at,
        "source": "api",
        "canRead": True,
        "canSpotTrade": False,
        "canPerpTrade": True,
        "canWithdraw": wallet.can_withdraw,
    }


def parse_listen_key(payload: object) -> str:
    """Parse the listen key of the user data stream (Start User Data Stream)."""
    return Fields(payload).text("listenKey")


def parse_account_update(event: Fields) -> AccountUpdate:
    """Parse ACCOUNT_UPDATE; funding on a crossed position has no ``P`` (Event: Balance and Position Update)."""
    update = event.child("a")
    balances = update.children("B") if "B" in update else []
    changes = [_position_change(each) for each in update.children("P")] if "P" in update else []
    return AccountUpdate(
        reason=update.detail(update.text, "m", ""),
        balances=_balances(balances, "a", "wb", "cw"),
        positions=tuple(each for each in changes if isinstance(each, PositionChange)),
        changed_at=event.time("T", "E"),
        event_at=event.time("E", "T"),
        unrecognized=tuple(each for each in changes if isinstance(each, UnrecognizedPosition)),
    )


def _position_change(change: Fields) -> PositionChange | UnrecognizedPosition:
    """Parse one position; an unrecognized value in it must not lose the other symbols (I30)."""
    try:
        return _parse_change(change)
    except ProtocolError as error:
        return UnrecognizedPosition(change.name("s"), str(error), is_flat=False)


def _parse_change(change: Fields) -> PositionChange:
    """Parse one position; an entry price that is missing or not above 0 becomes 0: not known."""
    return PositionChange(
        position=Position(
            symbol=change.name("s"),
            position_side=change.enum("ps", PositionSide),
            quantity=change.decimal("pa"),
            entry_price=change.detail(change.positive, "ep", ZERO),
        ),
        margin_type=change.optional_enum("mt", MarginType, MARGIN_TYPE_ALIASES),
        isolated_margin=change.detail(change.decimal, "iw", ZERO),
    )


def render_account_update(update: AccountUpdate, unrealized_pnl: Mapping[PositionKey, Decimal] | None = None) -> Body:
    """Render ACCOUNT_UPDATE; an unknown unrealized PnL is written as 0."""
    profits = unrealized_pnl or {}
    content: Body = {
        "m": update.reason,
        "B": [
            {
                "a": balance.asset,
                "wb": decimal_str(balance.wallet_balance),
                "cw": decimal_str(balance.cross_wallet_balance),
                "bc": decimal_str(balance.change),
            }
            for balance in update.balances
        ],
    }
    if update.positions:
        content["P"] = [_render_change(each, profits) for each in update.positions]
    return {"e": "ACCOUNT_UPDATE", "E": update.event_at, "T": update.changed_at, "a": content}


def _render_change(change: PositionChange, profits: Mapping[PositionKey, Decimal]) -> Body:
    position = change.position
    return {
        "s": position.symbol,
        "pa": decimal_str(position.quantity),
        "ep": decimal_str(position.entry_price),
        "cr": "0",
        "up": decimal_str(profits.get((position.symbol, position.position_side), ZERO)),
        "mt": render_margin_type(change.margin_type),
        "iw": decimal_str(change.isolated_margin),
        "ps": position.position_side.value,
    }


def parse_configuration(event: Fields) -> LeverageChanged | AccountModeChanged:
    """Parse ACCOUNT_CONFIG_UPDATE: ``ac`` holds a symbol's leverage, ``ai`` the account's modes."""
    event_at = event.time("E", "T", default=0)
    if "ac" in event:
        symbol = event.child("ac")
        return LeverageChanged(symbol.name("s"), int(symbol.positive("l")), event_at)
    account = event.child("ai")
    multi_assets_mode, hedge_mode = (
        account.boolean(key) if account.detail(account.boolean, key, None) is not None else None for key in ("j", "d")
    )
    return AccountModeChanged(multi_assets_mode, hedge_mode, event_at)


def render_configuration(change: LeverageChanged | AccountModeChanged) -> Body:
    frame: Body = {"e": "ACCOUNT_CONFIG_UPDATE", "E": change.event_at, "T": change.event_at}
    if isinstance(change, LeverageChanged):
        return {**frame, "ac": {"s": change.symbol, "l": change.leverage}}
    modes = {"j": change.multi_assets_mode, "f": False, "d": change.hedge_mode}
    return {**frame, "ai": {key: value for key, value in modes.items() if value is not None}}


def parse_margin_call(event: Fields) -> MarginCall:
    """Parse the positions near liquidation (Event: Margin Call). It never raises for what it does not say."""
    nobody: list[Fields] = []
    positions = event.detail(event.children, "p", nobody)
    named = ((each.detail(each.text, "s", ""), each.optional_enum("ps", PositionSide)) for each in positions)
    return MarginCall(tuple(each for each in named if each[0]), event.time("E", default=0))


def render_margin_call(positions: Sequence[tuple[PositionReport, Decimal]], at: int) -> Body:
    """Render MARGIN_CALL for positions, each with its maintenance margin."""
    return {
        "e": "MARGIN_CALL",
        "E": at,
        "p": [
            {
                "s": report.symbol,
                "ps": report.position_side.value,
                "pa": decimal_str(report.quantity),
                "mt": str(report.margin_type),
                "iw": decimal_str(report.isolated_margin),
                "mp": decimal_str(report.mark_price),
                "up": decimal_str(report.unrealized_pnl),
                "mm": decimal_str(maintenance_margin),
            }
            for report, maintenance_margin in positions
        ],
    }


def render_listen_key_expired(expired: ListenKeyExpired) -> Body:
    return {"e": "listenKeyExpired", "E": expired.event_at}
