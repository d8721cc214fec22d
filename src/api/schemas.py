"""JSON rows for the dashboard and for older scripts. Fees are signed: a fee that was paid is negative."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from src.database.queries.account import PositionQuestion
from src.database.queries.fills import ExternalIncome, FillRecord, FundingRecord
from src.database.queries.orders import OrderRow
from src.database.round_trips import signed_fee, uncounted_amounts
from src.database.tables.positions import position_from
from src.domain.enums import IncomeType, MarginType, OrderRole
from src.domain.numbers import ZERO
from src.domain.positions import PositionRecord, Protection

_PROTECTIVE = frozenset({OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS})
_MARGIN_TYPE_NAMES = {MarginType.ISOLATED: "isolated", MarginType.CROSSED: "cross"}
_PERCENT_DIGITS = Decimal("0.0001")
_ACCOUNT_KEYS = {
    "totalWalletBalance": "wallet_balance",
    "totalUnrealizedProfit": "unrealized_pnl",
    "totalMarginBalance": "margin_balance",
    "availableBalance": "available_balance",
    "totalPositionInitialMargin": "initial_margin",
    "totalMaintMargin": "maintenance_margin",
}


def trade_row(row: OrderRow, fills: Iterable[FillRecord], funding_fee: Decimal = ZERO) -> dict[str, Any]:
    """A row of ``/api/trades``: an order with its fills and its result."""
    traded = list(fills)
    fee = sum((signed_fee(fill) for fill in traded), ZERO)
    net = row.realized_pnl + fee + funding_fee
    return {
        "id": row.id,
        "timestamp": row.created_at,
        "symbol": row.symbol,
        "order_id": row.order_id,
        "client_order_id": row.client_order_id,
        "side": row.side,
        "position_side": row.position_side,
        "qty": row.quantity,
        "price": row.price,
        "stop_price": row.stop_price,
        "status": row.status,
        "order_status": row.order_status,
        "order_type": row.order_type,
        "role": row.role,
        "parent_order_id": row.entry_client_order_id,
        "exchange_trade_id": ",".join(str(fill.trade_id) for fill in traded) or None,
        "realized_pnl": row.realized_pnl,
        "commission": -row.commission,
        "commission_asset": row.commission_asset,
        "fee": fee,
        "not_included": uncounted_amounts(traded),
        "filled_qty": row.filled_quantity,
        "avg_price": row.average_price,
        "funding_fee": funding_fee,
        "total_pnl": net,
        "net_pnl": net,
        "reason": row.reason,
        "updated_at": row.updated_at,
    }


def open_order_row(row: OrderRow) -> dict[str, Any]:
    """A row of ``/api/orders``: an open order of the bot."""
    return {
        "id": row.id,
        "client_order_id": row.client_order_id,
        "order_id": row.order_id,
        "symbol": row.symbol,
        "side": row.side,
        "position_side": row.position_side,
        "type": row.order_type,
        "role": row.role,
        "purpose": _purpose(row.role),
        "is_ours": True,
        "quantity": row.quantity,
        "filled_quantity": row.filled_quantity,
        "price": row.price,
        "stop_price": row.stop_price,
        "status": row.order_status,
        "is_simulated": row.status != row.order_status,
        "parent_order_id": row.entry_client_order_id,
        "created_at": row.created_at,
    }


def external_order_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``/api/orders`` for an external order, as the bot reported it."""
    return {"role": None, "filled_quantity": None, "created_at": None, **item, "purpose": "external", "is_ours": False}


def income_rows(fills: Iterable[FillRecord], funding: Iterable[FundingRecord]) -> list[dict[str, Any]]:
    """Realised PnL, fees and funding, oldest first, in the format of the exchange's income history."""
    rows = [row for fill in fills for row in _fill_income(fill)]
    for payment in funding:
        names = {"asset": payment.asset, "symbol": payment.symbol, "trade_id": None, "order": None}
        rows.append({"timestamp": payment.paid_at, "income_type": "FUNDING_FEE", "income": payment.amount, **names})
    return sorted(rows, key=lambda row: int(row["timestamp"]))


def _fill_income(fill: FillRecord) -> list[dict[str, Any]]:
    names = {"symbol": fill.symbol, "trade_id": str(fill.trade_id), "order": fill.client_order_id}
    amounts = (("REALIZED_PNL", fill.realized_pnl, None), ("COMMISSION", -fill.commission, fill.commission_asset))
    return [
        {"timestamp": fill.traded_at, "income_type": kind, "income": amount, "asset": asset, **names}
        for kind, amount, asset in amounts
        if amount
    ]


def pnl_breakdown(
    fills: Iterable[FillRecord], funding: Iterable[FundingRecord], external: Iterable[ExternalIncome] = ()
) -> dict[str, Any]:
    """The result of an order and its related orders: PnL, fees, funding and their sum, with manual trades."""
    traded, paid_funding, by_hand = list(fills), list(funding), list(external)
    fees = [each.value or ZERO for each in by_hand if each.type == IncomeType.COMMISSION]
    profits = [each.value or ZERO for each in by_hand if each.type != IncomeType.COMMISSION]
    realized = sum((fill.realized_pnl for fill in traded), sum(profits, ZERO))
    commission = sum((signed_fee(fill) for fill in traded), sum(fees, ZERO))
    funding_fee = sum((payment.value or ZERO for payment in paid_funding), ZERO)
    return {
        "realized_pnl": realized,
        "commission": commission,
        "funding_fee": funding_fee,
        "total_pnl": realized + commission + funding_fee,
        "net_pnl": realized + commission + funding_fee,
        "not_included": uncounted_amounts(traded, paid_funding),
        "has_manual_trades": bool(by_hand),
        "details": income_rows(traded, paid_funding),
    }


def _purpose(role: str) -> str:
    if role in _PROTECTIVE:
        return "protective"
    return "entry" if role == OrderRole.ENTRY else "close"


def side_of(record: PositionRecord) -> str:
    return "LONG" if record.position.quantity > 0 else "SHORT"


def position_row(row: Any) -> dict[str, Any]:
    """A row of ``/api/positions``."""
    record = position_from(row)
    position = record.position
    size = abs(position.quantity)
    margin = size * position.entry_price / record.leverage
    pnl = None if record.mark_price is None or position.is_entry_unknown else position.unrealized_pnl(record.mark_price)
    return {
        "symbol": position.symbol,
        "side": side_of(record),
        "positionSide": position.position_side,
        "positionAmt": position.quantity,
        "entryPrice": position.entry_price,
        "markPrice": record.mark_price,
        "unRealizedProfit": pnl,
        "unrealizedPnl": pnl,
        "unrealizedPnlPct": _percent(pnl, margin),
        "leverage": record.leverage,
        "marginType": _MARGIN_TYPE_NAMES[record.margin_type],
        "positionValue": None if record.mark_price is None else size * record.mark_price,
        "notional": size * position.entry_price,
        "initialMargin": margin,
        "liquidationPrice": record.liquidation_price,
        "liquidationDistancePct": _liquidation_distance(record),
        "takeProfitPrice": record.take_profit_price,
        "stopLossPrice": record.stop_loss_price,
        "protection": record.protection,
        "is_ours": record.protection is not Protection.EXTERNAL,
        "entry_client_order_id": record.entry_client_order_id,
        "opened_at": record.opened_at or None,
        "as_of": record.as_of,
    }


def position_question(question: PositionQuestion) -> dict[str, Any]:
    """A question about a position in ``/api/health``; ``summary`` says what differs."""
    return {**asdict(question), "side": question.side, "summary": question.summary}


def account_summary(reported: Mapping[str, Any] | None) -> dict[str, Any]:
    """``/api/account`` from the bot's last report; all values are null before the first one."""
    known = reported or {}
    amounts = {name: known.get(key) for name, key in _ACCOUNT_KEYS.items()}
    return {**amounts, "margin_ratio": _margin_ratio(known), "as_of": known.get("at")}


def _margin_ratio(known: Mapping[str, Any]) -> Decimal | None:
    """Maintenance margin in percent of the margin balance; the exchange liquidates at 100."""
    if "maintenance_margin" not in known or "margin_balance" not in known:
        return None
    return _percent(Decimal(known["maintenance_margin"]), Decimal(known["margin_balance"]))


def _liquidation_distance(record: PositionRecord) -> Decimal | None:
    if record.mark_price is None or record.liquidation_price is None:
        return None
    return _percent(abs(record.mark_price - record.liquidation_price), record.mark_price)


def _percent(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None or whole <= 0 else (100 * part / whole).quantize(_PERCENT_DIGITS)


def instrument_row(instrument: Any) -> dict[str, Any]:
    """A row of ``/api/exchange/symbols``, from an ``Instrument`` or its database row."""
    return {
        "symbol": instrument.symbol,
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "pricePrecision": instrument.price_precision,
        "quantityPrecision": instrument.quantity_precision,
        "tickSize": instrument.tick,
        "stepSize": instrument.step,
        "minQty": instrument.min_quantity,
        "minNotional": instrument.min_notional,
        "status": instrument.status,
    }
