"""A bot without threads: a real database and trader, a manual clock, and an exchange scripted by the test."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, text

from src.core.context import TraderContext
from src.core.events import ExchangeHealth, TraderEvent
from src.core.health.status import BotInfo
from src.core.trader import Trader
from src.database.db import open_reader, read_transaction
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.commands import CancelOrder, Command, OperatorAction, OperatorCommand, SubmitOrder
from src.domain.enums import IncomeType, MarginType, OrderRole, OrderStatus, PositionSide
from src.domain.events import (
    AccountUpdate,
    IncomeFetched,
    OrderRejected,
    OrderUnresolved,
    PositionChange,
    SnapshotTaken,
    Stream,
    StreamUp,
    Task,
    TaskDue,
)
from src.domain.orders import ClientOrderId, Fill, Order, OrderRequest, OrderUpdate
from src.domain.positions import Balance, Income, Position, PositionReport, Snapshot
from src.settings.config import Settings
from tests.builders import (
    NOW,
    a_fill,
    a_liquidation,
    a_mark,
    a_quote,
    a_report,
    a_snapshot,
    an_instrument,
    an_update,
    some_settings,
)

D = Decimal
LONG = ("BTCUSDT", PositionSide.LONG)
C = TypeVar("C")


class Harness:
    """Feed it events, then check its commands, portfolio and database."""

    def __init__(
        self,
        path: Path,
        settings: Settings | None = None,
        clock: ManualClock | None = None,
        identity: BotInfo | None = None,
        *,
        assume_yes: bool = False,
    ) -> None:
        self.path = path
        self.clock = clock or ManualClock(NOW)
        self.settings = settings or some_settings()
        self.identity = identity or BotInfo("1.0", 1, NOW, "sandbox", self.is_simulated)
        self.engine: Engine = open_database(path, NOW).engine
        self.exchange_health = ExchangeHealth(weight_limit=2400)
        self._draws = self._commands = 0
        self._last_order_id = 1000
        self.trade_id = 0
        self.sent: list[Command] = []
        """Every command, in the order it was sent."""
        self.context = self._new_context()
        self.context.assume_yes = assume_yes
        self.trader = Trader(self.context, self.identity, lambda: self.exchange_health)
        self.last_command = self.trader.restore()

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    @property
    def is_simulated(self) -> bool:
        return self.settings.globals_.simulate_only

    # Events in, commands out

    def feed(self, *events: TraderEvent) -> list[Command]:
        """Handle one batch; returns the commands."""
        commands = self.trader.handle(events)
        self.sent += commands
        return commands

    def connect(self, **snapshot: Any) -> "Harness":
        """Connect the streams, set prices and read the account, so that entries are allowed."""
        self.feed(StreamUp(Stream.MARKET, self.now), StreamUp(Stream.USER, self.now))
        self.prices()
        self.snapshot(**snapshot)
        self.answer_income(IncomeType.TRANSFER)
        self.audit()
        return self

    def answer_income(self, kind: IncomeType, *incomes: Income, symbol: str | None = None) -> list[Command]:
        """Feed the answer to the last request for income of a type."""
        return self.feed(IncomeFetched(incomes, self.now, kind, symbol))

    def prices(self, price: int = 50_000) -> None:
        mark = a_mark(price, at=self.now, received_at=self.now)
        quote = a_quote(D(price) - D("0.1"), D(price) + D("0.1"), at=self.now, received_at=self.now)
        self.feed(mark, quote)

    def snapshot(self, **changes: Any) -> list[Command]:
        """Feed a snapshot of the current account."""
        return self.feed(SnapshotTaken(self.a_snapshot(**changes), "test"))

    def a_snapshot(self, **changes: Any) -> Snapshot:
        if not self.settings.globals_.hedge_mode:
            changes = {"positions": (a_report(position_side=PositionSide.BOTH),), "hedge_mode": False, **changes}
        others = tuple(a_report(symbol=symbol) for symbol in self.settings.symbols if symbol != "BTCUSDT")
        whole = a_snapshot(requested_at=self.now, taken_at=self.now)
        return replace(whole, **{"positions": (*whole.positions, *others), **changes})

    def audit(self) -> list[Command]:
        return self.feed(TaskDue(Task.EVERY_SECOND, self.now))

    def wait(self, span_ms: int) -> list[Command]:
        """Let time pass with fresh prices and an audit every second; returns the commands."""
        commands: list[Command] = []
        for step in [1000] * (span_ms // 1000) + [span_ms % 1000]:
            self.clock.advance(step)
            self.prices()
            commands += self.audit()
        return commands

    def liquidate(self, notional: Decimal | int = 60_000, **changes: Any) -> list[Command]:
        times = {"traded_at": self.now, "event_at": self.now, "received_at": self.now}
        return self.feed(a_liquidation(notional, **{**times, **changes}))

    # The exchange, scripted

    def enter(self) -> OrderRequest:
        """Feed a liquidation that leads to an entry, and accept the entry."""
        self.liquidate()
        request = self.last(OrderRole.ENTRY)
        self.accept(request)
        return request

    def open_position(self, price: int = 50_000) -> OrderRequest:
        """Fill an entry completely, and accept its stop loss and take profit."""
        entry = self.enter()
        self.fill(entry, price=price)
        self.accept(self.last(OrderRole.STOP_LOSS))
        self.accept(self.last(OrderRole.TAKE_PROFIT))
        return entry

    def accept(self, request: OrderRequest) -> list[Command]:
        return self.feed(self.update_for(request))

    def reject(self, request: OrderRequest, code: int | None = -2019) -> list[Command]:
        return self.feed(OrderRejected(request.symbol, request.client_order_id, code, "refused", self.now))

    def command(self, action: OperatorAction, **details: Any) -> list[Command]:
        """Feed an operator command from the dashboard."""
        self._commands += 1
        return self.feed(OperatorCommand(self.now + self._commands, action, self.now, **details))

    def close_position(self) -> list[Command]:
        return self.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT")

    def lose_response(self, request: OrderRequest) -> list[Command]:
        """Feed the loss of the response to an order."""
        return self.feed(OrderUnresolved(request.symbol, request.client_order_id, "503", self.now))

    def end_order(self, request: OrderRequest, status: OrderStatus = OrderStatus.CANCELED) -> list[Command]:
        return self.feed(self.update_for(request, status=status, filled_quantity=self.filled(request)))

    def confirm_cancels(self) -> None:
        """Feed the confirmation of every cancel that was sent."""
        for order in self.context.portfolio.open_orders():
            if order.status is OrderStatus.PENDING_CANCEL:
                self.end_order(order.request)

    def update_for(self, request: OrderRequest, **changes: Any) -> OrderUpdate:
        """The current state of an order as the exchange reports it."""
        order = self.context.portfolio.orders.get(request.client_order_id)
        order_id = order.order_id if order is not None and order.order_id else self._next_order_id()
        return an_update(request, **{"order_id": order_id, "event_at": self.now, **changes})

    def fill(
        self, request: OrderRequest, quantity: object = None, price: object = None, pnl: object = 0
    ) -> list[Command]:
        """Feed a fill the way the exchange reports it: the account update first, then the order update."""
        fill = self.a_fill(request, quantity, price, pnl)
        return self.feed(self.account_after(fill), self.filled_by(request, fill))

    def a_fill(self, request: OrderRequest, quantity: object = None, price: object = None, pnl: object = 0) -> Fill:
        order = self.context.portfolio.orders[request.client_order_id]
        held = abs(self.position(request.position_side).quantity)
        whole = request.quantity - self.filled(request) if request.quantity else held
        self.trade_id += 1
        return a_fill(
            request,
            trade_id=self.trade_id,
            order_id=order.order_id or self._next_order_id(),
            quantity=whole if quantity is None else D(str(quantity)),
            price=D(str(price)) if price else request.price or request.stop_price or D(50_000),
            realized_pnl=D(str(pnl)),
            traded_at=self.now,
        )

    def filled_by(self, request: OrderRequest, fill: Fill) -> OrderUpdate:
        """ORDER_TRADE_UPDATE of a trade."""
        filled = self.filled(request) + fill.quantity
        is_whole = request.quantity is None or filled >= request.quantity
        return self.update_for(
            request,
            order_id=fill.order_id,
            status=OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED,
            filled_quantity=filled,
            average_price=fill.price,
            fill=fill,
        )

    def account_after(self, fill: Fill) -> AccountUpdate:
        """ACCOUNT_UPDATE of a trade: the position as it is after it."""
        position, _ = self.position(fill.position_side).apply_trade(fill.side, fill.quantity, fill.price)
        return replace(self.account_update(position), changed_at=fill.traded_at)

    def account_update(self, *positions: Position, reason: str = "ORDER", wallet: int = 1000) -> AccountUpdate:
        changes = tuple(PositionChange(each, MarginType.ISOLATED, D(0)) for each in positions)
        return AccountUpdate(reason, (Balance("USDT", D(wallet), D(wallet)),), changes, self.now, self.now)

    def report(self, side: PositionSide = PositionSide.LONG, **changes: Any) -> PositionReport:
        """The position as a snapshot would report it now; it was updated by its newest trade."""
        tracked = self.context.portfolio.tracked(("BTCUSDT", side))
        position, updated_at = tracked.position, max(tracked.filled_at, tracked.reported_at) or self.now
        return replace(
            a_report(position.quantity, position.entry_price, position_side=side, updated_at=updated_at), **changes
        )

    # Results

    def last(self, role: OrderRole) -> OrderRequest:
        """The newest request of a role that was sent."""
        return self.submitted(role)[-1]

    def submitted(self, role: OrderRole | None = None) -> list[OrderRequest]:
        requests = [command.request for command in self.commands_of(SubmitOrder)]
        return [request for request in requests if role in (None, role_of(request))]

    def commands_of(self, kind: type[C]) -> list[C]:
        """Sent commands of a type."""
        return [command for command in self.sent if isinstance(command, kind)]

    def cancelled(self) -> list[str]:
        return [command.client_order_id for command in self.commands_of(CancelOrder)]

    def order(self, request: OrderRequest) -> Order:
        return self.context.portfolio.orders[request.client_order_id]

    def filled(self, request: OrderRequest) -> Decimal:
        return self.order(request).filled_quantity

    def position(self, side: PositionSide = PositionSide.LONG) -> Position:
        return self.context.portfolio.tracked(("BTCUSDT", side)).position

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of the database as another process reads them."""
        reader = open_reader(self.path)
        with read_transaction(reader) as connection:
            return list(connection.execute(text(query), values).mappings())

    def journal(self, kind: str) -> list[Any]:
        rows = self.rows("SELECT payload FROM journal WHERE kind = :kind ORDER BY id", kind=kind)
        return [json.loads(row["payload"]) for row in rows]

    def verdicts(self) -> list[str | None]:
        """The gate that skipped each liquidation, in order; None for an entry."""
        return [row["gate"] for row in self.rows("SELECT gate FROM decisions ORDER BY liquidation_id")]

    # Lifecycle

    def restart(self, settings: Settings | None = None) -> "Harness":
        """Restart the process on the same database."""
        self.engine.dispose()
        again = Harness(self.path, settings or self.settings, self.clock, self.identity)
        again.trade_id, again._last_order_id = self.trade_id, self._last_order_id
        again._draws, again._commands = self._draws, self._commands
        return again

    def close(self) -> None:
        self.engine.dispose()

    def _new_context(self) -> TraderContext:
        instruments = {name: an_instrument(symbol=name) for name in self.settings.symbols}
        store = Store(self.engine, self.clock, is_simulated=self.is_simulated)
        return TraderContext(self.settings, instruments, store, self.clock, self._random_below, self.is_simulated)

    def _random_below(self, below: int) -> int:
        self._draws += 1
        return self._draws % below

    def _next_order_id(self) -> int:
        self._last_order_id += 1
        return self._last_order_id


def role_of(request: OrderRequest) -> OrderRole:
    parsed = ClientOrderId.parse(request.client_order_id)
    assert parsed is not None
    return parsed.role
