"""What trading brought lately: the net of a day, the last exits, the entries of a minute. Exact, from the books."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, or_, select

from src.database.models import FillRow, TradeRow
from src.database.queries.fills import funding
from src.domain.enums import OrderRole

ZERO = Decimal(0)


def net_since(connection: Connection, since_ms: int, *, is_simulated: bool) -> Decimal:
    """Realised profit less fees of one mode's fills, and its funding. A fee in another asset is left out."""
    row = FillRow
    columns = (row.symbol, row.realized_pnl, row.commission, row.commission_asset)
    booked = connection.execute(select(*columns).where(row.traded_at >= since_ms, row.is_simulated == is_simulated))
    payments = (each.amount for each in funding(connection, since_ms) if each.is_simulated == is_simulated)
    return sum((fill.realized_pnl - _fee(fill) for fill in booked), sum(payments, ZERO))


def exits_after(connection: Connection, fill: int, most: int, *, is_simulated: bool) -> list[Decimal]:
    """Realised results of the newest exits booked after a fill, newest first; forced orders are exits too."""
    query = (
        select(FillRow.client_order_id, FillRow.realized_pnl)
        .outerjoin(TradeRow, TradeRow.client_order_id == FillRow.client_order_id)
        .where(FillRow.id > fill, FillRow.is_simulated == is_simulated)
        .where(or_(TradeRow.role.is_(None), TradeRow.role != OrderRole.ENTRY.value))
        .order_by(FillRow.traded_at.desc(), FillRow.id.desc())
    )
    exits: defaultdict[str, Decimal] = defaultdict(Decimal)
    with connection.execute(query) as found:
        for row in found:
            if len(exits) == most and row.client_order_id not in exits:
                break
            exits[row.client_order_id] += row.realized_pnl
    return list(exits.values())


def newest_fill(connection: Connection) -> int:
    """The number of the fill booked last; 0 before the first."""
    return connection.scalar(select(func.max(FillRow.id))) or 0


def entries_since(connection: Connection, since_ms: int) -> int:
    """Entries that were decided after an instant, whatever became of them."""
    query = select(func.count()).where(TradeRow.role == OrderRole.ENTRY.value, TradeRow.created_at > since_ms)
    return connection.scalar(query) or 0


def _fee(fill: Any) -> Decimal:
    return fill.commission if fill.symbol.endswith(fill.commission_asset) else ZERO
