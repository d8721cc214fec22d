"""Orders as the dashboard and older scripts read them. Fees are signed: what was paid is negative."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from src.api.round_trips import paid
from src.database.queries.fills import BookedFill, BookedFunding
from src.database.queries.orders import OrderRow
from src.domain.enums import OrderRole

ZERO = Decimal(0)
_PROTECTIVE = frozenset({OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS})


def trade(row: OrderRow, fills: Iterable[BookedFill] = (), funding_fee: Decimal = ZERO) -> dict[str, Any]:
    """A row of ``/api/trades``: the order, what it traded and what came of it."""
    commission = -row.commission
    # A fee taken in another asset is not ours to convert: it is shown, and left out of the sum.
    is_counted = row.commission_asset is None or row.symbol.endswith(row.commission_asset)
    net = row.realized_pnl + (commission if is_counted else ZERO) + funding_fee
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
        "parent_order_id": row.parent_order_id,
        "exchange_trade_id": ",".join(str(fill.trade_id) for fill in fills) or None,
        "realized_pnl": row.realized_pnl,
        "commission": commission,
        "commission_asset": row.commission_asset,
        "filled_qty": row.filled_quantity,
        "avg_price": row.average_price,
        "funding_fee": funding_fee,
        "total_pnl": net,
        "net_pnl": net,
        "reason": row.reason,
        "updated_at": row.updated_at,
    }


def open_order(row: OrderRow) -> dict[str, Any]:
    """A row of ``/api/orders``: an order of ours that may still fill."""
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
        "parent_order_id": row.parent_order_id,
        "created_at": row.created_at,
    }


def foreign_order(item: Mapping[str, Any]) -> dict[str, Any]:
    """The same for an order that somebody else placed, as the bot reported it."""
    return {"role": None, "filled_quantity": None, "created_at": None, **item, "purpose": "foreign", "is_ours": False}


def income(fills: Iterable[BookedFill], funding: Iterable[BookedFunding]) -> list[dict[str, Any]]:
    """Every amount that was booked, oldest first, in the words of the exchange's income history."""
    rows = [row for fill in fills for row in _income_of(fill)]
    for payment in funding:
        names = {"asset": payment.asset, "symbol": payment.symbol, "trade_id": None, "order": None}
        rows.append({"timestamp": payment.at, "income_type": "FUNDING_FEE", "income": payment.amount, **names})
    return sorted(rows, key=lambda row: int(row["timestamp"]))


def _income_of(fill: BookedFill) -> list[dict[str, Any]]:
    names = {"symbol": fill.symbol, "trade_id": str(fill.trade_id), "order": fill.client_order_id}
    amounts = (("REALIZED_PNL", fill.realized_pnl, None), ("COMMISSION", -fill.commission, fill.commission_asset))
    return [
        {"timestamp": fill.traded_at, "income_type": kind, "income": amount, "asset": asset, **names}
        for kind, amount, asset in amounts
        if amount
    ]


def breakdown(fills: Iterable[BookedFill], funding: Iterable[BookedFunding]) -> dict[str, Any]:
    """What an order and those that belong to it came to."""
    traded, paid_funding = list(fills), list(funding)
    realized = sum((fill.realized_pnl for fill in traded), ZERO)
    commission = sum((paid(fill) for fill in traded), ZERO)
    funding_fee = sum((payment.amount for payment in paid_funding), ZERO)
    return {
        "realized_pnl": realized,
        "commission": commission,
        "funding_fee": funding_fee,
        "total_pnl": realized + commission + funding_fee,
        "net_pnl": realized + commission + funding_fee,
        "details": income(traded, paid_funding),
    }


def _purpose(role: str) -> str:
    if role in _PROTECTIVE:
        return "protective"
    return "entry" if role == OrderRole.ENTRY else "close"
