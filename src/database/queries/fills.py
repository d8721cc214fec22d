"""Fills, funding payments and results, exact to the last digit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select

from src.database.models import ExternalIncomeRow, FillRow, FundingPaymentRow, TradeRow
from src.domain.enums import IncomeType, OrderRole, PositionSide
from src.domain.numbers import ZERO
from src.domain.orders import FORCED_ORDER_PREFIXES

END_OF_TIME = 2**62
"""Later than any instant, ms UTC."""
_FEW_FILLS = 2_000
_IDS_PER_QUERY = 10_000  # SQLite allows 32,766 values in a statement


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One trade of one of our orders, with the role of that order."""

    symbol: str
    trade_id: int
    client_order_id: str
    side: str
    position_side: str
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    commission: Decimal
    """Positive is a cost."""
    commission_asset: str
    commission_value: Decimal | None
    """The fee in dollars; None if its asset's price was unknown: then it is in no result."""
    is_maker: bool
    traded_at: int
    role: str | None
    """None if its order is external."""
    entry_client_order_id: str | None
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class FundingRecord:
    """One funding payment of a symbol; negative was paid."""

    transaction_id: int
    symbol: str
    asset: str
    amount: Decimal
    value: Decimal | None
    """In dollars; None if its asset's price was unknown: then it is in no result."""
    paid_at: int
    is_simulated: bool = False


def fills(connection: Connection, since_ms: int, symbol: str) -> list[FillRecord]:
    """Return the fills of a symbol in chronological order."""
    sides = FillRow.position_side.in_([side.value for side in PositionSide])  # of all sides: the index begins with them
    return _read(connection, _FILLS.where(FillRow.symbol == symbol, sides, FillRow.traded_at >= since_ms))


def fills_of_position(
    connection: Connection,
    symbol: str,
    position_side: PositionSide,
    since_ms: int,
    *,
    is_simulated: bool,
    until_ms: int = END_OF_TIME,
) -> list[FillRecord]:
    """Return the fills of one position key and mode in chronological order; both ends belong to the time."""
    row = FillRow
    own = (row.symbol == symbol) & (row.position_side == position_side.value) & (row.is_simulated == is_simulated)
    return _read(connection, _FILLS.where(own, row.traded_at >= since_ms, row.traded_at <= until_ms))


def fills_of(connection: Connection, client_order_ids: Sequence[str]) -> list[FillRecord]:
    """Return the fills of some orders in chronological order."""
    found: list[FillRecord] = []
    for start in range(0, len(client_order_ids), _IDS_PER_QUERY):
        names = client_order_ids[start : start + _IDS_PER_QUERY]
        found += _read(connection, _FILLS.where(FillRow.client_order_id.in_(names)))
    return sorted(found, key=lambda fill: (fill.traded_at, fill.symbol, fill.trade_id))


def funding(
    connection: Connection,
    since_ms: int,
    *,
    is_simulated: bool,
    symbol: str | None = None,
    is_external: bool = False,
    until_ms: int = END_OF_TIME,
) -> list[FundingRecord]:
    """Return the funding of the bot's positions, or of a person's own ones, in chronological order."""
    row = FundingPaymentRow
    columns = (row.transaction_id, row.symbol, row.asset, row.amount, row.dollar_value, row.paid_at, row.is_simulated)
    is_of_mode = (row.is_external == is_external, row.is_simulated == is_simulated)
    query = select(*columns).where(row.paid_at >= since_ms, row.paid_at <= until_ms, *is_of_mode)
    if symbol is not None:
        query = query.where(row.symbol == symbol)
    query = query.order_by(row.paid_at, row.transaction_id)
    return [FundingRecord(*found) for found in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class ExternalIncome:
    """A transfer, or a part of the result of a manual trade in a position of the bot."""

    type: str
    symbol: str
    asset: str
    amount: Decimal
    value: Decimal | None
    """In dollars; None if its asset's price was unknown."""
    paid_at: int
    is_simulated: bool = False

    @property
    def is_transfer(self) -> bool:
        return self.type == IncomeType.TRANSFER


def external_income(
    connection: Connection,
    since_ms: int,
    *,
    is_simulated: bool,
    symbol: str | None = None,
    until_ms: int = END_OF_TIME,
) -> list[ExternalIncome]:
    """Return transfers and results of manual trades in chronological order, without those of recorded fills."""
    row = ExternalIncomeRow
    is_ours = (
        (FillRow.symbol == row.symbol) & (FillRow.trade_id == row.trade_id) & (FillRow.is_simulated == row.is_simulated)
    )
    columns = (row.type, row.symbol, row.asset, row.amount, row.dollar_value, row.paid_at, row.is_simulated)
    query = select(*columns).outerjoin(FillRow, is_ours).where(row.paid_at >= since_ms, FillRow.id.is_(None))
    query = query.where(row.is_simulated == is_simulated, row.paid_at <= until_ms)
    if symbol is not None:
        query = query.where(row.symbol == symbol)
    return [ExternalIncome(*found) for found in connection.execute(query.order_by(row.paid_at, row.transaction_id))]


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
        FillRow.commission_value,
        FillRow.is_maker,
        FillRow.traded_at,
        TradeRow.role,
        TradeRow.entry_client_order_id,
        FillRow.is_simulated,
    )
    .outerjoin(TradeRow, TradeRow.client_order_id == FillRow.client_order_id)
    .order_by(FillRow.traded_at, FillRow.symbol, FillRow.trade_id)
)


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[FillRecord]:
    return [
        FillRecord(
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
            commission_value=row.commission_value,
            is_maker=row.is_maker,
            traded_at=row.traded_at,
            role=row.role,
            entry_client_order_id=row.entry_client_order_id,
            is_simulated=row.is_simulated,
        )
        for row in connection.execute(query)
    ]


def net_since(connection: Connection, since_ms: int, *, is_simulated: bool) -> Decimal:
    """Return realized PnL minus fees plus funding of one mode, in dollars; amounts of unknown value are left out.

    The results of manual trades in positions of the bot are part of it, transfers are not.
    """
    row = FillRow
    columns = (row.realized_pnl, row.commission_value)
    recorded = connection.execute(select(*columns).where(row.traded_at >= since_ms, row.is_simulated == is_simulated))
    payments = (each.value or ZERO for each in funding(connection, since_ms, is_simulated=is_simulated))
    income = external_income(connection, since_ms, is_simulated=is_simulated)
    by_hand = (each.value or ZERO for each in income if not each.is_transfer)
    other = sum(payments, sum(by_hand, ZERO))
    return sum((fill.realized_pnl - (fill.commission_value or ZERO) for fill in recorded), other)


def recent_exits(connection: Connection, fill_id: int, limit: int, *, is_simulated: bool) -> list[Decimal]:
    """Return realized PnL of the bot's newest exits recorded after a fill, newest first, liquidations included.

    Manual trades are no exits of the bot.
    """
    # Few fills are read by their ids and sorted; the sign keeps SQLite from reading all of them in order of time.
    is_few = newest_fill_id(connection) - fill_id <= _FEW_FILLS
    newest_first: ColumnElement[Any] = literal_column("+fills.traded_at") if is_few else FillRow.traded_at.expression
    is_forced = or_(*(FillRow.client_order_id.startswith(prefix, autoescape=True) for prefix in FORCED_ORDER_PREFIXES))
    query = (
        select(FillRow.client_order_id, FillRow.realized_pnl)
        .outerjoin(TradeRow, TradeRow.client_order_id == FillRow.client_order_id)
        .where(FillRow.id > fill_id, FillRow.is_simulated == is_simulated)
        .where(or_(TradeRow.role.is_(None) & is_forced, TradeRow.role != OrderRole.ENTRY.value))
        .order_by(newest_first.desc(), FillRow.id.desc())
    )
    exits: defaultdict[str, Decimal] = defaultdict(Decimal)
    with connection.execute(query) as found:
        for row in found:
            if len(exits) == limit and row.client_order_id not in exits:
                break
            exits[row.client_order_id] += row.realized_pnl
    return list(exits.values())


def newest_fill_id(connection: Connection) -> int:
    """Return the id of the fill recorded last; 0 if there is none."""
    return connection.scalar(select(func.max(FillRow.id))) or 0


def entries_since(connection: Connection, since_ms: int) -> int:
    """Count the entries placed after an instant, whatever their result."""
    is_entry = TradeRow.role == literal_column(f"'{OrderRole.ENTRY}'")  # as in the condition of the index
    query = select(func.count()).where(is_entry, TradeRow.created_at > since_ms)
    return connection.scalar(query) or 0
