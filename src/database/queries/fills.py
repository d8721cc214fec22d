"""What was traded and paid: fills and funding, exact to the last digit."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, select

from src.database.models import FillRow, FundingRow, TradeRow

_NAMES_IN_A_QUERY = 10_000  # SQLite takes 32,766 values in a statement


@dataclass(frozen=True, slots=True)
class BookedFill:
    """One trade of one of our orders, and why that order existed."""

    symbol: str
    trade_id: int
    client_order_id: str
    side: str
    position_side: str
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    """What was paid: positive is a cost."""
    commission_asset: str
    is_maker: bool
    traded_at: int
    role: str | None
    """None where the order it belongs to is not ours."""
    parent: str | None
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class BookedFunding:
    """Funding of a symbol: negative was paid."""

    transaction_id: int
    symbol: str
    asset: str
    amount: Decimal
    at: int
    is_simulated: bool = False


def fills(connection: Connection, since_ms: int = 0, symbol: str | None = None) -> list[BookedFill]:
    """Fills in the order they happened."""
    query = _FILLS.where(FillRow.traded_at >= since_ms)
    if symbol is not None:
        query = query.where(FillRow.symbol == symbol)
    return _read(connection, query)


def fills_of(connection: Connection, client_order_ids: Sequence[str]) -> list[BookedFill]:
    """The fills of some orders, in the order they happened."""
    found: list[BookedFill] = []
    for start in range(0, len(client_order_ids), _NAMES_IN_A_QUERY):
        names = client_order_ids[start : start + _NAMES_IN_A_QUERY]
        found += _read(connection, _FILLS.where(FillRow.client_order_id.in_(names)))
    return sorted(found, key=lambda fill: (fill.traded_at, fill.symbol, fill.trade_id))


def funding(connection: Connection, since_ms: int = 0) -> list[BookedFunding]:
    """Funding in the order it happened."""
    row = FundingRow
    columns = (row.transaction_id, row.symbol, row.asset, row.amount, row.at, row.is_simulated)
    query = select(*columns).where(row.at >= since_ms).order_by(row.at, row.transaction_id)
    return [BookedFunding(*found) for found in connection.execute(query)]


_FILLS = (
    select(
        FillRow.symbol,
        FillRow.trade_id,
        FillRow.client_order_id,
        FillRow.side,
        FillRow.position_side,
        FillRow.quantity,
        FillRow.price,
        FillRow.realized_pnl,
        FillRow.commission,
        FillRow.commission_asset,
        FillRow.is_maker,
        FillRow.traded_at,
        TradeRow.role,
        TradeRow.parent_order_id,
        FillRow.is_simulated,
    )
    .outerjoin(TradeRow, TradeRow.client_order_id == FillRow.client_order_id)
    .order_by(FillRow.traded_at, FillRow.symbol, FillRow.trade_id)
)


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[BookedFill]:
    return [
        BookedFill(
            symbol=row.symbol,
            trade_id=row.trade_id,
            client_order_id=row.client_order_id,
            side=row.side,
            position_side=row.position_side,
            quantity=row.quantity,
            price=row.price,
            realized_pnl=row.realized_pnl,
            commission=row.commission,
            commission_asset=row.commission_asset,
            is_maker=row.is_maker,
            traded_at=row.traded_at,
            role=row.role,
            parent=row.parent_order_id,
            is_simulated=row.is_simulated,
        )
        for row in connection.execute(query)
    ]
