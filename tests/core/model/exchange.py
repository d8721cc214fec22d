"""The real engine behind the gateway's ``Exchange`` port, with injectable network faults in between."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from src.domain.clock import ManualClock
from src.domain.commands import (
    CancelOrder,
    CheckPositions,
    Command,
    FetchBrackets,
    FetchFills,
    FetchIncome,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    OrderWrite,
    QueryOrder,
    SetLeverage,
    SetMarginType,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.errors import OutcomeUnknown, Rejected, Unreachable
from src.domain.events import (
    AccountConfigured,
    AccountUpdate,
    BracketsFetched,
    Event,
    FillsFetched,
    IncomeFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    Outcome,
    PositionsChecked,
    SnapshotTaken,
)
from src.domain.market import MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Position, PositionReport, Snapshot
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.engine.state import EngineEvent
from src.exchange.port import Answer, answer_to
from src.sandbox.account.audit import ProtectionMonitor
from src.sandbox.account.position_reports import PositionReports
from src.sandbox.faults import Faults
from src.sandbox.streams.user_events import EventLatency, TradeEventOrder
from tests.builders import a_mark, a_quote, an_instrument
from tests.core.model.faulty_network import Fault, Target, client_order_id_of, role_of, target_of
from tests.core.model.ownership import Ownership

D = Decimal
SYMBOL = "BTCUSDT"
LEVERAGE = 10
_MANUAL_DELAY_MS = 200
"""Manual orders are further apart than two events about the same trade."""

_REJECTION_CODES = {Fault.REJECTED: -1111, Fault.WOULD_TRIGGER: -2021}


class ModelExchange:
    """Implements the ``Exchange`` port. Its state is the truth; pending user data events wait in ``stream``."""

    def __init__(self, clock: ManualClock, *, hedge_mode: bool, multi_assets: bool = False) -> None:
        self.clock = clock
        self.position_sides = (PositionSide.LONG, PositionSide.SHORT) if hedge_mode else (PositionSide.BOTH,)
        self.engine = Engine({SYMBOL: an_instrument()}, Fees(), hedge_mode=hedge_mode)
        self.stream: list[Event] = []
        self.arrived: Counter[str] = Counter()
        self.late: list[SubmitOrder | CancelOrder] = []
        self.protection = ProtectionMonitor()
        self._event_times = EventLatency()
        self.irregularities = Faults()
        """Kinds of the sandbox that change the order and stamps of events and position reports."""
        self._event_order = TradeEventOrder(self.irregularities)
        self._position_reports = PositionReports(self.irregularities)
        self.ownership = Ownership(self.position_sides)
        self.take_fault: Callable[[Target], Fault | None] = lambda _: None
        """The fault of the next command of a kind."""
        self.last_fault: Fault | None = None
        self.is_excused = False
        """An entry was executed after it was rightly considered lost, so limits no longer apply."""
        self._unknown_ends: dict[int, str] = {}
        """The word in which an order ended, by order id, where the exchange documents none of that name."""
        self._manual_orders = 0
        self.external_orders = 0
        """Number of external orders that should be open."""
        self.middle = D(50_000)
        self._open_account(multi_assets=multi_assets)

    def _open_account(self, *, multi_assets: bool) -> None:
        now = self.clock.now_ms()
        self.engine.deposit("USDT", D(1000), now)
        self.engine.set_leverage(SYMBOL, LEVERAGE, now)
        if multi_assets:  # all margin is crossed then
            self.engine.deposit("USDC", D(500), now)
            self.engine.set_multi_assets(True)
        else:
            self.engine.set_margin_type(SYMBOL, MarginType.ISOLATED, now)
        self.move(self.middle)
        self.stream.clear()

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Execute the command, or apply the pending fault."""
        fault = self.last_fault = self.take_fault(target_of(command))
        self.clock.advance(1)
        if isinstance(command, SubmitOrder):
            self.arrived[command.request.client_order_id] += 1
        is_write = isinstance(command, SubmitOrder | CancelOrder)
        match fault:
            case None | Fault.SLOW:
                return self._perform(command)
            case Fault.REJECTED | Fault.WOULD_TRIGGER if is_write:
                raise Rejected(_REJECTION_CODES[fault], fault)
            case Fault.RESPONSE_LOST if is_write:
                self._try(command)
            case Fault.LATE if isinstance(command, SubmitOrder | CancelOrder):
                self.late.append(command)
            case Fault.REQUEST_LOST if is_write:
                pass
            case _:
                raise Unreachable(fault)
        raise OutcomeUnknown(fault)

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        """Execute the commands in one request, or apply a fault that is pending for one of them.

        A rejection is that of the first one, any other fault that of the request.
        """
        faults = (self.take_fault(target_of(each)) for each in commands)
        fault = self.last_fault = next((each for each in faults if each is not None), None)
        self.clock.advance(1)
        self.arrived.update(client_order_id_of(each) for each in commands if isinstance(each, SubmitOrder))
        match fault:
            case None | Fault.SLOW:
                return [answer_to(each, self._perform) for each in commands]
            case Fault.REJECTED | Fault.WOULD_TRIGGER:
                others = [answer_to(each, self._perform) for each in commands[1:]]
                return [Rejected(_REJECTION_CODES[fault], fault), *others]
            case Fault.NOT_SENT:
                raise Unreachable(fault)
            case Fault.RESPONSE_LOST:
                for each in commands:
                    self._try(each)
            case Fault.LATE:
                self.late += commands
        raise OutcomeUnknown(fault)

    def snapshot(self, reason: str) -> Snapshot:
        """Current account state; it is delivered later."""
        requested_at = self.clock.now_ms()
        self.clock.advance(1)
        engine = self.engine
        return Snapshot(
            requested_at=requested_at,
            taken_at=self.clock.now_ms(),
            hedge_mode=engine.hedge_mode,
            multi_assets_mode=engine.multi_assets_mode,
            account=engine.account(),
            balances=engine.balances(),
            positions=self._reports(),
            open_orders=tuple(engine.open_orders()),
        )

    def _perform(self, command: Command) -> list[Outcome]:
        engine, now = self.engine, self.clock.now_ms()
        match command:
            case SubmitOrder(request):
                self._publish(engine.submit(request, now))
                return [engine.order(SYMBOL, client_order_id=request.client_order_id)]
            case CancelOrder(symbol, name):
                self._publish(engine.cancel(symbol, now, client_order_id=name))
                return [engine.order(SYMBOL, client_order_id=name)]
            case QueryOrder(symbol, name):
                return [self._query(symbol, name)]
            case FetchFills(symbol, since_ms):
                return [FillsFetched(symbol, self._trade_list(since_ms), now, since_ms)]
            case FetchOrders(symbol, since_ms):
                orders = tuple(each for each in engine.all_orders(symbol) if each.event_at >= since_ms)
                reported = [self._as_reported(each) for each in orders]
                known = tuple(each for each in reported if isinstance(each, OrderUpdate))
                unknown = tuple(each for each in reported if isinstance(each, UnrecognizedOrder))
                return [OrdersFetched(symbol, known, since_ms, now, unknown)]
            case FetchInstruments():
                return [InstrumentsFetched((an_instrument(),), now)]
            case FetchBrackets():
                return [BracketsFetched(engine.brackets(), now)]
            case FetchIncome(since_ms, kind, symbol):
                recent = (each for each in engine.incomes() if each.type == kind and each.paid_at >= since_ms)
                incomes = tuple(each for each in recent if symbol in (None, each.symbol))
                return [IncomeFetched(incomes, now, kind, symbol)]
            case TakeSnapshot(reason):
                return [SnapshotTaken(self.snapshot(reason), reason)]
            case CheckPositions():
                return [PositionsChecked(self._reports(), now)]
            case SetMarginType() | SetLeverage():
                return [AccountConfigured(command, now)]
            case FetchQuote():
                return [self._quote()]
            case _:
                raise AssertionError(f"unexpected command: {command}")

    def _reports(self) -> tuple[PositionReport, ...]:
        return tuple(self._position_reports.apply(self.engine.positions()))

    def _query(self, symbol: str, name: str) -> OrderUpdate | UnrecognizedOrder | OrderNotFound:
        try:
            return self._as_reported(self.engine.order(symbol, client_order_id=name))
        except Rejected:  # the engine rejects a query only for an unknown order
            return OrderNotFound(symbol, name, self.clock.now_ms())

    def _trade_list(self, since_ms: int) -> tuple[Fill, ...]:
        """Trades carry only the exchange's order id (Account Trade List)."""
        return tuple(replace(each, client_order_id="") for each in self.fills() if each.traded_at >= since_ms)

    def _try(self, command: Command) -> None:
        try:
            self._perform(command)
        except Rejected:
            return

    def deliver_late(self, *, is_considered_lost: bool) -> None:
        """Execute the oldest delayed command."""
        self.is_excused |= is_considered_lost
        self._try(self.late.pop(0))

    def move(self, middle: Decimal) -> None:
        """Move order book and mark price to this price."""
        self.middle = middle
        mark, quote = self.prices()
        self._publish(self.engine.on_quote(quote))
        self._publish(self.engine.on_mark(mark))

    def _quote(self) -> Quote:
        half, now = D("0.1"), self.clock.now_ms()
        return a_quote(self.middle - half, self.middle + half, at=now, received_at=now)

    def prices(self) -> tuple[MarkPrice, Quote]:
        """Current prices as the market stream sends them."""
        now = self.clock.now_ms()
        return a_mark(self.middle, at=now, received_at=now), self._quote()

    def trade_at(self, price: Decimal, quantity: Decimal) -> None:
        """Trade at a price in the market; open orders that it reaches fill."""
        self._publish(self.engine.on_trade(SYMBOL, price, quantity, self.clock.now_ms()))

    def place_manual_order(self, request: OrderRequest) -> None:
        """Place a manual order, with an id that is not the bot's."""
        self._manual_orders += 1
        self.clock.advance(_MANUAL_DELAY_MS)
        self._publish(
            self.engine.submit(replace(request, client_order_id=f"web_{self._manual_orders}"), self.clock.now_ms())
        )
        self.external_orders = len(self.open_orders(None))

    def cancel_manually(self, client_order_id: str) -> None:
        self.clock.advance(1)
        self._publish(self.engine.cancel(SYMBOL, self.clock.now_ms(), client_order_id=client_order_id))
        self.external_orders = len(self.open_orders(None))

    def end_in_unknown_word(self, client_order_id: str, word: str) -> None:
        """End an open order of the bot as the exchange's self-trade prevention may."""
        order = self.engine.order(SYMBOL, client_order_id=client_order_id)
        self._unknown_ends[order.order_id] = word
        self.cancel_manually(client_order_id)

    def _as_reported(self, order: OrderUpdate) -> OrderUpdate | UnrecognizedOrder:
        word = self._unknown_ends.get(order.order_id)
        if word is None or not order.status.is_terminal:
            return order
        return UnrecognizedOrder(order.symbol, order.client_order_id, order.order_id, f"status {word}", status=word)

    def _publish(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, OrderUpdate) and event.fill is not None:
                self.ownership.record(event.fill, is_excused=self.is_excused)
        for each in self._event_order.arrange(events):
            event, event_at = each.event, self._event_times.event_time(each.happened_at) + each.skew_ms
            dated = replace(event, event_at=event_at)
            self.stream.append(self._as_reported(dated) if isinstance(dated, OrderUpdate) else dated)
            if isinstance(event, AccountUpdate):
                self._position_reports.record(event)
            if isinstance(event, OrderUpdate | AccountUpdate):
                self.protection.observe(self.our_positions(), self.engine.open_orders(), self.clock.now_ms())

    def positions(self) -> list[Position]:
        return [report.position for report in self.engine.positions()]

    def open_positions(self) -> list[Position]:
        return [each for each in self.positions() if each.is_open]

    def our_positions(self) -> list[Position]:
        spans = self.ownership.spans
        return [each for each in self.open_positions() if spans[each.position_side].is_ours]

    def has_seen(self, client_order_id: str) -> bool:
        """Whether the command has reached the matching engine."""
        is_late = any(client_order_id_of(each) == client_order_id for each in self.late)
        return client_order_id in self.arrived and not is_late

    def open_orders(self, *roles: OrderRole | None) -> list[OrderUpdate]:
        """Open orders of these roles; None means external orders."""
        return [each for each in self.engine.open_orders(SYMBOL) if role_of(each.client_order_id) in roles]

    def fills(self) -> list[Fill]:
        return self.engine.fills(SYMBOL)

    def net(self, trade_ids: Iterable[int]) -> Decimal:
        """Effect of these trades on the wallet balance."""
        counted = set(trade_ids)
        fills = [each for each in self.fills() if each.trade_id in counted]
        return sum((each.realized_pnl - each.commission for each in fills), D(0))

    def margin(self) -> Decimal:
        """Margin of positions and open entries, at their own prices."""
        held = sum((abs(each.quantity) * each.entry_price for each in self.positions()), D(0))
        entries = self.open_orders(OrderRole.ENTRY)
        return (held + sum(((each.quantity - each.filled_quantity) * each.price for each in entries), D(0))) / LEVERAGE
