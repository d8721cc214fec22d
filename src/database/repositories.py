"""The store: everything the bot writes to its database, inside transactions of the trader's thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from pathlib import Path
from sqlite3 import OperationalError as DriverError
from typing import Any, TypeVar, overload

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase

from src.database.db import LIQUIDATION, insert_liquidation, json_round_trip, liquidation_values
from src.database.intent_log import IntentLog
from src.database.maintenance import Maintenance
from src.database.models import (
    AccountHistoryRow,
    DecisionRow,
    ExternalIncomeRow,
    FillRow,
    FundingPaymentRow,
    InstrumentRow,
    JournalRow,
    PositionRow,
    RunRow,
    SettingsVersionRow,
    StateRow,
)
from src.database.statements import Prepared, prepared_insert, prepared_upsert
from src.database.tables.market import (
    decision_values,
    last_entries,
    newest_liquidation,
    recent_liquidations,
)
from src.database.tables.orders import (
    PositionResult,
    add_fill,
    add_order,
    change_order,
    find_order,
    has_trade,
    open_orders,
    result_since,
    uncounted_fees,
)
from src.database.tables.positions import add_correction, position_from, position_values
from src.database.writer import DeferredWriter
from src.domain.assets import dollar_value
from src.domain.clock import DAY_MS, Clock
from src.domain.decisions import Decision
from src.domain.enums import PositionSide, Side
from src.domain.instrument import Instrument
from src.domain.market import Liquidation
from src.domain.numbers import ZERO
from src.domain.orders import Fill, Order
from src.domain.positions import AccountSummary, Correction, Income, PositionRecord

_EQUITY_INTERVAL_MS = 60_000
_FILLS_LISTED_MS = 7 * DAY_MS  # the exchange lists our trades of a week at a time (Account Trade List)
_DECISION, _JOURNAL = prepared_insert(DecisionRow), prepared_insert(JournalRow)
_REPLACE: dict[type[DeclarativeBase], tuple[Prepared, list[str]]] = {
    row: (prepared_upsert(row), [column.name for column in row.__table__.primary_key])
    for row in (PositionRow, AccountHistoryRow, StateRow)
}
Found = TypeVar("Found")
PAPER_ACCOUNT = "paper_account"
"""The state key of the paper exchange's account."""


class Store:
    """Everything that must survive a restart. One thread, one connection, one transaction at a time.

    While the database cannot be written, writes are deferred (``DeferredWriter``); pending orders, fills and state can
    still be read here. A store serves one mode: live trading never sees paper positions, nor the reverse.
    """

    def __init__(self, engine: Engine, clock: Clock, *, is_simulated: bool = False) -> None:
        self._clock = clock
        self._is_simulated = is_simulated
        self._writer = DeferredWriter(engine, clock)
        self.maintenance = Maintenance(self._writer, clock)
        self._last_equity_at = 0
        self._last_liquidation_id: int | None = None
        self._state_cache: dict[str, Mapping[str, Any] | None] = {}
        self._pending_orders: dict[str, Order] = {}
        self._pending_fills: set[tuple[str, int]] = set()
        self.results_version = 0
        """Increases with every fill and payment; results can be cached while it is unchanged."""
        self.intent_log = IntentLog(Path(engine.url.database or ""))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together or not at all; later if the database cannot be written now."""
        try:
            with self._writer.transaction():
                yield
        finally:
            if self._writer.is_flushed:
                self._pending_orders.clear()
                self._pending_fills.clear()

    @property
    def error(self) -> str | None:
        """Why the database cannot be written; None if everything is committed."""
        return self._writer.error

    def take_slowest_ms(self) -> int:
        """Return the slowest write since the last call, in milliseconds."""
        slowest, self._writer.slowest_ms = self._writer.slowest_ms, 0
        return slowest

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """Run a query inside the open transaction."""
        return self._writer.read(query)

    @overload
    def read_or_default(self, query: Callable[[Connection], Found | None]) -> Found | None: ...

    @overload
    def read_or_default(self, query: Callable[[Connection], Found], default: Found) -> Found: ...

    def read_or_default(self, query: Callable[[Connection], Any], default: Any = None) -> Any:
        """Run a query; return ``default`` if the database cannot be read now (F43).

        ``read`` raises instead: it is for the start, which must not go on without its records.
        """
        try:
            return self.read(query)
        except (OperationalError, DriverError):
            if self.error is None:
                raise
            return default

    def checkpoint(self) -> None:
        """Shorten the write-ahead log; only outside a transaction."""
        self._writer.checkpoint()

    def load_last_ids(self) -> None:
        """Load at the start what is needed later, when the database may be unreadable."""
        self._last_liquidation_id = self.read(newest_liquidation)

    # Market and decisions

    def insert_liquidations(self, liquidations: Sequence[Liquidation]) -> list[int]:
        """Store liquidations in order; return their row ids."""
        if not liquidations:
            return []
        if self._last_liquidation_id is None:
            self._last_liquidation_id = self.read(newest_liquidation)
        row_ids = [self._last_liquidation_id + number for number in range(1, len(liquidations) + 1)]
        self._last_liquidation_id = row_ids[-1]
        self.maintenance.has_new_liquidations = True
        if len(row_ids) == 1:  # the usual case; the rest is for bursts
            self._writer.write(
                partial(insert_liquidation, liquidation=liquidations[0], row_id=row_ids[0]), is_history=True
            )
        else:
            pairs = zip(row_ids, liquidations, strict=True)
            rows = [{"id": row_id, **liquidation_values(each)} for row_id, each in pairs]
            self._writer.write(lambda connection: LIQUIDATION.execute_many(connection, rows), is_history=True)
        return row_ids

    def record_decisions(self, decisions: Sequence[tuple[int, Decision]]) -> None:
        """Store decisions, each with the row id of its liquidation."""
        rows = [decision_values(decision, row_id) for row_id, decision in decisions]
        if rows:
            self._writer.write(lambda connection: _DECISION.execute_many(connection, rows), is_history=True)

    def recent_liquidations(self, since_ms: int) -> list[tuple[int, Liquidation]]:
        """Return liquidations traded after an instant with their row ids, oldest first; empty on a read error."""
        return self.read_or_default(partial(recent_liquidations, since_ms=since_ms), default=[])

    def last_entries(self) -> dict[tuple[str, Side], tuple[int, int]]:
        """Return the newest entry per symbol and side: exchange time and row id of its liquidation."""
        return self.read_or_default(last_entries, default={})

    # Orders and fills

    def record_order(self, order: Order, *, simulated: bool, source: str = "intent") -> None:
        """Record a new order before it is sent (I1)."""
        known = self._pend(order)
        now_ms = self._clock.now_ms()
        self._writer.write(lambda connection: add_order(connection, known, source, now_ms, simulated=simulated))

    def update_order(self, order: Order, source: str) -> None:
        """Store the current state of an order; add to its status history if it changed."""
        known = self._pend(order)
        now_ms = self._clock.now_ms()
        self._writer.write(lambda connection: change_order(connection, known, source, now_ms))

    def record_fill(self, fill: Fill) -> bool:
        """Store a fill once; False if it is already stored (I7)."""
        now_ms = self._clock.now_ms()
        if self.error is not None and self.has_fill(fill):
            return False
        self._pending_fills.add((fill.symbol, fill.trade_id))
        add = partial(add_fill, fill=fill, now_ms=now_ms, is_simulated=self._is_simulated)
        is_new = bool(self._writer.write(add, default=True))
        self._on_result(is_new)
        return is_new

    def has_fill(self, fill: Fill) -> bool:
        """Whether the fill is stored, or waits to be stored."""
        return self.has_trade(fill.symbol, fill.trade_id)

    def load_open_orders(self) -> list[Order]:
        """Return orders that are open, or that have filled recently and lack fills."""
        since_ms = self._clock.now_ms() - _FILLS_LISTED_MS
        return self.read(partial(open_orders, filled_since_ms=since_ms, is_simulated=self._is_simulated))

    def load_order(self, client_order_id: str) -> Order | None:
        pending = self._pending_orders.get(client_order_id)
        return pending or self.read_or_default(partial(find_order, client_order_id=client_order_id))

    def result_since(self, symbol: str, position_side: PositionSide, since_ms: int) -> PositionResult:
        """Sum up a position's fills from an instant on, see ``PositionResult``."""
        position_filter = partial(
            result_since, symbol=symbol, position_side=position_side, is_simulated=self._is_simulated
        )
        return self.read(partial(position_filter, since_ms=since_ms))

    def uncounted_fees(self, symbol: str, position_side: PositionSide, since_ms: int) -> dict[str, Decimal]:
        """Fees with an unknown value in dollars of a position's fills since an instant, by asset."""
        position = {"symbol": symbol, "position_side": position_side.value, "since_ms": since_ms}
        query = partial(uncounted_fees, position=position | self._mode_columns)
        fees: dict[str, Decimal] = {}
        for asset, fee in self.read_or_default(query) or ():
            fees[asset] = fees.get(asset, ZERO) + fee
        return fees

    # Account

    def record_funding(self, income: Income, value: Decimal | None = None, *, is_external: bool = False) -> bool:
        """Store a funding payment once; False if it is already stored. ``value`` is that of an asset not a dollar."""
        known_value = value if value is not None else dollar_value(income.asset, income.amount, lambda _: None)
        values = {name: asdict(income)[name] for name in ("transaction_id", "symbol", "asset", "amount", "paid_at")}
        values |= {"dollar_value": known_value, "is_external": is_external} | self._mode_columns
        statement = (
            upsert(FundingPaymentRow)
            .values(values)
            .on_conflict_do_nothing()
            .returning(FundingPaymentRow.transaction_id)
        )
        is_new = self._writer.write(lambda connection: connection.scalar(statement), default=0) is not None
        self._on_result(is_new)
        return is_new

    def record_external_income(self, income: Income, value: Decimal | None) -> bool:
        """Store a transfer, or a part of the result of a manual trade, once; False if it is already stored."""
        values = asdict(income) | {"dollar_value": value} | self._mode_columns
        statement = (
            upsert(ExternalIncomeRow)
            .values(values)
            .on_conflict_do_nothing()
            .returning(ExternalIncomeRow.transaction_id)
        )
        is_new = self._writer.write(lambda connection: connection.scalar(statement), default=0) is not None
        self._on_result(is_new)
        return is_new

    def complete_fee(self, income: Income, value: Decimal | None) -> bool:
        """Add the commission to a fill that was reported without one; False if there is no such fill."""
        row = FillRow
        is_it = (row.symbol == income.symbol) & (row.trade_id == income.trade_id) & (row.commission_asset == "")
        known = value if value is not None else dollar_value(income.asset, income.amount, lambda _: None)
        changes = {
            "commission": -income.amount,
            "commission_asset": income.asset,
            "commission_value": None if known is None else -known,
        }
        statement = update(row).where(is_it, row.is_simulated == self._is_simulated).values(changes)
        is_done = bool(self._writer.write(lambda connection: connection.execute(statement).rowcount, default=0))
        self._on_result(is_done)
        return is_done

    def has_trade(self, symbol: str, trade_id: int) -> bool:
        """Whether a trade is one of our recorded fills."""
        if (symbol, trade_id) in self._pending_fills:
            return True
        query = partial(has_trade, symbol=symbol, trade_id=trade_id, is_simulated=self._is_simulated)
        return self.read_or_default(query, default=False)

    def fills_without_fee(self, since_ms: int) -> dict[str, int]:
        """Return the symbols with fills without a reported commission, and the time of the oldest one, ms UTC."""
        row = FillRow
        is_lacking = (row.commission_asset == "") & (row.is_simulated == self._is_simulated)
        newest_first = (
            select(row.symbol, row.traded_at)
            .where(is_lacking, row.traded_at >= since_ms)
            .order_by(row.traded_at.desc())
        )
        return self.read_or_default(
            lambda connection: {each.symbol: each.traded_at for each in connection.execute(newest_first)}, default={}
        )

    def record_correction(self, correction: Correction) -> bool:
        """Store a position correction once; False if it is already stored."""
        add = partial(add_correction, correction=correction, is_simulated=self._is_simulated)
        return bool(self._writer.write(add, default=False))

    def last_funding_at(self) -> int | None:
        query = select(func.max(FundingPaymentRow.paid_at)).where(FundingPaymentRow.is_simulated == self._is_simulated)
        return self.read_or_default(lambda connection: connection.scalar(query))

    def save_position(self, record: PositionRecord) -> None:
        self._replace(PositionRow, position_values(record) | self._mode_columns)

    def remove_position(self, symbol: str, position_side: PositionSide) -> None:
        row = PositionRow
        position_filter = (row.symbol == symbol, row.position_side == position_side.value)
        statement = delete(row).where(*position_filter, row.is_simulated == self._is_simulated)
        name = (row, symbol, position_side.value, self._is_simulated)
        self._writer.write(lambda connection: connection.execute(statement), name)
        self.maintenance.has_new_results = True  # a position that a person closed ends with it

    def load_positions(self) -> list[PositionRecord]:
        query = select(PositionRow.__table__).where(PositionRow.is_simulated == self._is_simulated)
        return self.read(lambda connection: [position_from(row) for row in connection.execute(query)])

    def save_account(self, summary: AccountSummary, at: int, transfers: Decimal = ZERO) -> None:
        """Store a point of the equity curve, at most one per minute."""
        if at - self._last_equity_at >= _EQUITY_INTERVAL_MS:
            self._last_equity_at = at
            self._replace(
                AccountHistoryRow, {"recorded_at": at, **asdict(summary), "transfers": transfers} | self._mode_columns
            )

    def save_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Replace the stored list of symbols, for the dashboard and the next start."""
        rows = [asdict(each) for each in instruments]
        self._writer.write(lambda connection: connection.execute(delete(InstrumentRow)))
        if rows:
            self._writer.write(lambda connection: connection.execute(insert(InstrumentRow), rows))

    def load_instruments(self) -> dict[str, Instrument]:
        """Return the instruments by symbol, as last saved."""
        query = select(InstrumentRow.__table__)
        found = self.read(lambda connection: [Instrument(**row) for row in connection.execute(query).mappings()])
        return {each.symbol: each for each in found}

    # Journal, state, runs

    def journal(self, kind: str, payload: Mapping[str, object], symbol: str | None = None) -> None:
        entry = {"id": None, "recorded_at": self._clock.now_ms(), "kind": kind, "symbol": symbol}
        values = entry | {"payload": dict(payload)}
        self._writer.write(lambda connection: _JOURNAL.execute(connection, values), is_history=True)

    def add_settings_version(
        self, document: Mapping[str, object], previous: Mapping[str, object], message: str
    ) -> None:
        """Keep a settings document that was edited by hand and applied."""
        values = {"saved_at": self._clock.now_ms(), "document": dict(document), "previous": dict(previous)}
        values["message"] = message
        self._writer.write(lambda connection: connection.execute(insert(SettingsVersionRow), values), is_history=True)

    def set_state(self, key: str, value: Mapping[str, object]) -> None:
        self._state_cache[key] = dict(value)
        self._replace(StateRow, {"key": key, "value": dict(value), "updated_at": self._clock.now_ms()})

    def get_state(self, key: str) -> dict[str, Any] | None:
        """Return a state value. Only the store writes it, so it is cached, and known while the database fails."""
        if key not in self._state_cache:
            query = select(StateRow.value).where(StateRow.key == key)
            self._state_cache[key] = self.read(lambda connection: connection.scalar(query))
        return json_round_trip(self._state_cache[key])

    def begin_run(self, version: str, pid: int) -> bool:
        """Record the start of a run; False if the last one did not end cleanly."""
        newest = select(RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)
        ended_at = self.read(lambda connection: connection.execute(newest).first())
        values = {"version": version, "pid": pid, "started_at": self._clock.now_ms(), "ended_at": None}
        self._writer.write(lambda connection: connection.execute(insert(RunRow).values(values)))
        return ended_at is None or ended_at[0] is not None

    def end_run(self) -> None:
        newest = select(func.max(RunRow.id)).scalar_subquery()
        statement = update(RunRow).where(RunRow.id == newest).values(ended_at=self._clock.now_ms())
        self._writer.write(lambda connection: connection.execute(statement))

    def _on_result(self, is_new: bool) -> None:
        self.results_version += is_new
        self.maintenance.has_new_results |= is_new

    @property
    def _mode_columns(self) -> dict[str, Any]:
        return {"is_simulated": self._is_simulated}

    def _pend(self, order: Order) -> Order:
        """Keep a copy of the order until it is committed."""
        pending = self._pending_orders[order.client_order_id] = copy(order)
        return pending

    def _replace(self, row: type[DeclarativeBase], values: dict[str, Any]) -> None:
        """Insert a row, or update the one with the same key."""
        statement, keys = _REPLACE[row]
        name = (row, *(values[key] for key in keys))
        self._writer.write(lambda connection: statement.execute(connection, values), name)
