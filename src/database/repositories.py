"""The write side of the ledger. The trader's thread owns it; every write stands in a transaction it has opened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import DeclarativeBase

from src.database.db import insert_liquidation, liquidation_values
from src.database.fill_rows import add_fill, with_fills
from src.database.models import (
    SIMULATED,
    DecisionRow,
    EquityRow,
    FillRow,
    FundingRow,
    InstrumentRow,
    JournalRow,
    LiquidationRow,
    OrderRelationshipRow,
    OrderStatusRow,
    PositionRow,
    RunRow,
    StateRow,
    TradeRow,
)
from src.database.order_rows import new_trade, order_from, trade_changes
from src.database.position_rows import position_from, position_values
from src.domain.clock import Clock
from src.domain.decisions import Decision
from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.errors import InvariantError
from src.domain.instrument import Instrument
from src.domain.market import Liquidation
from src.domain.orders import Fill, Order
from src.domain.positions import AccountSummary, Income, PositionRecord

ZERO = Decimal(0)
_EQUITY_EVERY_MS = 60_000
_HISTORY_KEPT_MS = 30 * 24 * 3_600_000  # market history and journal
_FILLS_TOLD_MS = 7 * 24 * 3_600_000  # the exchange lists our trades of a week at a time (Account Trade List)
Found = TypeVar("Found")
PAPER_ACCOUNT = "paper_account"
"""The state row that holds what the paper exchange must not forget."""
_OPEN = tuple(status for status in OrderStatus if not status.is_terminal)


class Store:
    """What must survive. One thread, one connection, one transaction at a time.

    It reads and writes the account of one mode: a real bot knows nothing of paper positions, nor the reverse.
    """

    def __init__(self, engine: Engine, clock: Clock, *, is_simulated: bool = False) -> None:
        self._engine = engine
        self._clock = clock
        self._is_simulated = is_simulated
        self._open: Connection | None = None
        self._last_equity_at = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, or not at all."""
        if self._open is not None:
            raise InvariantError("a transaction is open already")
        with self._engine.begin() as connection:
            self._open = connection
            try:
                yield
            finally:
                self._open = None

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """What a query finds, writes of the open transaction included."""
        return query(self._connection)

    # Market and decisions

    def insert_liquidations(self, liquidations: Sequence[Liquidation]) -> list[int]:
        """Store them in order; their row ids."""
        if len(liquidations) == 1:  # the quiet market; the rest is for bursts
            return [insert_liquidation(self._connection, liquidations[0])]
        if not liquidations:
            return []
        first = (self._connection.scalar(select(func.max(LiquidationRow.id))) or 0) + 1
        row_ids = list(range(first, first + len(liquidations)))
        rows = [{"id": row_id, **liquidation_values(each)} for row_id, each in zip(row_ids, liquidations, strict=True)]
        self._connection.execute(insert(LiquidationRow), rows)
        return row_ids

    def record_decisions(self, decisions: Sequence[tuple[int, Decision]]) -> None:
        """Store the verdicts on liquidations, each under its liquidation's row id."""
        rows = [{"liquidation_id": row_id, **asdict(decision)} for row_id, decision in decisions]
        if rows:
            self._connection.execute(insert(DecisionRow), rows)

    def recent_liquidations(self, since_ms: int) -> list[tuple[int, Liquidation]]:
        """Those traded after an instant, with their row ids, oldest first."""
        query = select(LiquidationRow.__table__).where(LiquidationRow.traded_at > since_ms).order_by(LiquidationRow.id)
        return [(row.id, _liquidation_from(row)) for row in self._connection.execute(query)]

    def last_entries(self) -> dict[tuple[str, Side], tuple[int, int]]:
        """The newest entry per symbol and side: exchange time and row id of its liquidation."""
        newest = (
            select(func.max(DecisionRow.liquidation_id))
            .where(DecisionRow.gate.is_(None))
            .group_by(DecisionRow.symbol, DecisionRow.liquidation_side)
        )
        row = LiquidationRow
        query = select(row.id, row.symbol, row.side, row.traded_at).where(row.id.in_(newest))
        found = self._connection.execute(query)
        return {(each.symbol, Side(each.side).opposite): (each.traded_at, each.id) for each in found}

    # Orders and fills

    def record_order(self, order: Order, *, simulated: bool) -> None:
        """The intent, before it leaves (I1)."""
        self._connection.execute(insert(TradeRow).values(new_trade(order, simulated=simulated)))
        if order.parent is not None:
            request = order.request
            self._add(
                OrderRelationshipRow,
                related_order_id=order.client_order_id,
                main_order_id=order.parent,
                symbol=order.symbol,
                position_side=request.position_side.value,
                role=order.role.value,
                created_at=order.created_at,
            )
        self._add_status(order, "intent")

    def update_order(self, order: Order, source: str) -> None:
        """What we know of it now; its life gains a line where status or fills changed."""
        own = TradeRow.client_order_id == order.client_order_id
        before = self._connection.execute(
            select(TradeRow.status, TradeRow.order_status, TradeRow.filled_quantity).where(own)
        ).one()
        changes = trade_changes(order, before.status, self._clock.now_ms())
        self._connection.execute(update(TradeRow).where(own).values(changes))
        if (before.order_status, before.filled_quantity) != (order.status.value, order.filled_quantity):
            self._add_status(order, source)

    def record_fill(self, fill: Fill) -> bool:
        """Count a trade once; False where it is known already (I7)."""
        return add_fill(self._connection, fill, self._clock.now_ms(), is_simulated=self._is_simulated)

    def load_open_orders(self) -> list[Order]:
        """Orders that may still fill, or whose fills of the last days are not all here."""
        row = TradeRow
        is_recent = (row.filled_quantity != ZERO) & (row.updated_at > self._clock.now_ms() - _FILLS_TOLD_MS)
        is_of_mode = (row.status == SIMULATED) if self._is_simulated else (row.status != SIMULATED)
        query = select(row.__table__).where(is_of_mode, row.order_status.in_(_OPEN) | is_recent).order_by(row.id)
        orders = [with_fills(self._connection, order_from(each)) for each in self._connection.execute(query)]
        return [order for order in orders if order.is_open or order.lacks_fills]

    def load_order(self, client_order_id: str) -> Order | None:
        query = select(TradeRow.__table__).where(TradeRow.client_order_id == client_order_id)
        row = self._connection.execute(query).first()
        return None if row is None else with_fills(self._connection, order_from(row))

    def result_since(self, symbol: str, position_side: PositionSide, since_ms: int) -> tuple[Decimal, Decimal]:
        """Realised profit and commission of a slot's trades from an instant on."""
        row = FillRow
        query = select(row.realized_pnl, row.commission).where(
            row.symbol == symbol,
            row.position_side == position_side.value,
            row.traded_at >= since_ms,
            row.is_simulated == self._is_simulated,
        )
        found = self._connection.execute(query).all()
        return sum((each.realized_pnl for each in found), ZERO), sum((each.commission for each in found), ZERO)

    # Account

    def record_funding(self, income: Income) -> bool:
        """Count a funding payment once; False where it is known already."""
        values = {name: value for name, value in asdict(income).items() if name != "type"} | self._mark
        statement = upsert(FundingRow).values(values).on_conflict_do_nothing().returning(FundingRow.transaction_id)
        return self._connection.scalar(statement) is not None

    def last_funding_at(self) -> int | None:
        row = FundingRow
        return self._connection.scalar(select(func.max(row.at)).where(row.is_simulated == self._is_simulated))

    def save_position(self, record: PositionRecord) -> None:
        self._replace(PositionRow, position_values(record) | self._mark)

    def remove_position(self, symbol: str, position_side: PositionSide) -> None:
        row = PositionRow
        slot = (row.symbol == symbol, row.position_side == position_side.value)
        self._connection.execute(delete(row).where(*slot, row.is_simulated == self._is_simulated))

    def load_positions(self) -> list[PositionRecord]:
        query = select(PositionRow.__table__).where(PositionRow.is_simulated == self._is_simulated)
        return [position_from(row) for row in self._connection.execute(query)]

    def save_account(self, summary: AccountSummary, at: int) -> None:
        """A point of the equity curve, at most one a minute."""
        if at - self._last_equity_at >= _EQUITY_EVERY_MS:
            self._last_equity_at = at
            self._replace(EquityRow, {"at": at, **asdict(summary)} | self._mark)

    def save_instruments(self, instruments: Sequence[Instrument]) -> None:
        """The exchange's list, replaced as a whole."""
        self._connection.execute(delete(InstrumentRow))
        columns = {column.name for column in InstrumentRow.__table__.columns}
        rows = [{name: value for name, value in asdict(each).items() if name in columns} for each in instruments]
        if rows:
            self._connection.execute(insert(InstrumentRow), rows)

    # Journal, state, runs

    def journal(self, kind: str, payload: Mapping[str, object], symbol: str | None = None) -> None:
        self._add(JournalRow, at=self._clock.now_ms(), kind=kind, symbol=symbol, payload=dict(payload))

    def set_state(self, key: str, value: Mapping[str, object]) -> None:
        self._replace(StateRow, {"key": key, "value": dict(value), "updated_at": self._clock.now_ms()})

    def get_state(self, key: str) -> dict[str, Any] | None:
        return self._connection.scalar(select(StateRow.value).where(StateRow.key == key))

    def begin_run(self, version: str, pid: int) -> bool:
        """Open a run; False where the last one was not ended by itself."""
        ended_at = self._connection.execute(select(RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)).first()
        self._add(RunRow, version=version, pid=pid, started_at=self._clock.now_ms(), ended_at=None)
        return ended_at is None or ended_at[0] is not None

    def end_run(self) -> None:
        newest = select(func.max(RunRow.id)).scalar_subquery()
        self._connection.execute(update(RunRow).where(RunRow.id == newest).values(ended_at=self._clock.now_ms()))

    def prune(self, before_ms: int, most: int = 5_000) -> int:
        """Delete old market history and news, a bounded number at a time; orders, fills and funding stay (S13)."""
        old = select(LiquidationRow.id).where(LiquidationRow.traded_at < before_ms).limit(most)
        news = select(JournalRow.id).where(JournalRow.at < before_ms).limit(most)
        gone = self._connection.execute(delete(LiquidationRow).where(LiquidationRow.id.in_(old))).rowcount
        return gone + self._connection.execute(delete(JournalRow).where(JournalRow.id.in_(news))).rowcount

    def prune_history(self) -> int:
        """Delete a bounded part of what is older than is kept; how many rows. Costs nothing where all is young."""
        return self.prune(self._clock.now_ms() - _HISTORY_KEPT_MS)

    @property
    def _mark(self) -> dict[str, Any]:
        return {"is_simulated": self._is_simulated}

    @property
    def _connection(self) -> Connection:
        if self._open is None:
            raise InvariantError("the store was used outside a transaction")
        return self._open

    def _add(self, row: type[DeclarativeBase], **values: object) -> None:
        self._connection.execute(insert(row).values(**values))

    def _replace(self, row: type[DeclarativeBase], values: dict[str, Any]) -> None:
        """Insert, or update the row with the same key."""
        keys = [column.name for column in row.__table__.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        self._connection.execute(upsert(row).values(values).on_conflict_do_update(index_elements=keys, set_=rest))

    def _add_status(self, order: Order, source: str) -> None:
        self._add(
            OrderStatusRow,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            status=order.status.value,
            filled_quantity=order.filled_quantity,
            at=self._clock.now_ms(),
            source=source,
            reason=order.reason,
        )


def _liquidation_from(row: Any) -> Liquidation:
    return Liquidation(
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        average_price=row.average_price,
        filled_quantity=row.filled_quantity,
        traded_at=row.traded_at,
        event_at=row.event_at,
        received_at=row.received_at,
        type=OrderType(row.order_type),
        time_in_force=TimeInForce(row.time_in_force),
        status=row.status,
    )
