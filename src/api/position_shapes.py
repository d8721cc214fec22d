"""Positions and account as the exchange and older scripts name them. What is not known is null, never zero."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from src.database.position_rows import position_from
from src.domain.enums import MarginType
from src.domain.positions import PositionRecord, Protection

_MARGIN_WORDS = {MarginType.ISOLATED: "isolated", MarginType.CROSSED: "cross"}
_PERCENT_DIGITS = Decimal("0.0001")
_ACCOUNT_NAMES = {
    "totalWalletBalance": "wallet_balance",
    "totalUnrealizedProfit": "unrealized_pnl",
    "totalMarginBalance": "margin_balance",
    "availableBalance": "available_balance",
    "totalPositionInitialMargin": "initial_margin",
    "totalMaintMargin": "maintenance_margin",
}


def side_of(record: PositionRecord) -> str:
    return "LONG" if record.position.quantity > 0 else "SHORT"


def position(row: Any) -> dict[str, Any]:
    """A row of ``/api/positions``."""
    record = position_from(row)
    held = record.position
    size = abs(held.quantity)
    margin = size * held.entry_price / record.leverage
    pnl = None if record.mark_price is None else held.unrealized_pnl(record.mark_price)
    return {
        "symbol": held.symbol,
        "side": side_of(record),
        "positionSide": held.position_side,
        "positionAmt": held.quantity,
        "entryPrice": held.entry_price,
        "markPrice": record.mark_price,
        "unRealizedProfit": pnl,
        "unrealizedPnl": pnl,
        "unrealizedPnlPct": _percent(pnl, margin),
        "leverage": record.leverage,
        "marginType": _MARGIN_WORDS[record.margin_type],
        "positionValue": None if record.mark_price is None else size * record.mark_price,
        "notional": size * held.entry_price,
        "initialMargin": margin,
        "liquidationPrice": record.liquidation_price,
        "liquidationDistancePct": _distance(record),
        "takeProfitPrice": record.take_profit_price,
        "stopLossPrice": record.stop_loss_price,
        "protection": record.protection,
        "is_ours": record.protection is not Protection.FOREIGN,
        "entry_client_order_id": record.entry_client_order_id,
        "opened_at": record.opened_at or None,
        "as_of": record.as_of,
    }


def account(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """``/api/account``, from what the bot last wrote; all null before it has read the account."""
    known = state or {}
    amounts = {name: known.get(ours) for name, ours in _ACCOUNT_NAMES.items()}
    return {**amounts, "margin_ratio": _margin_ratio(known), "as_of": known.get("at")}


def _margin_ratio(known: Mapping[str, Any]) -> Decimal | None:
    """Maintenance margin in percent of the margin balance: at 100 the exchange liquidates."""
    if "maintenance_margin" not in known or "margin_balance" not in known:
        return None
    return _percent(Decimal(known["maintenance_margin"]), Decimal(known["margin_balance"]))


def _distance(record: PositionRecord) -> Decimal | None:
    if record.mark_price is None or record.liquidation_price is None:
        return None
    return _percent(abs(record.mark_price - record.liquidation_price), record.mark_price)


def _percent(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None or whole <= 0 else (100 * part / whole).quantize(_PERCENT_DIGITS)
