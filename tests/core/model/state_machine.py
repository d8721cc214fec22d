"""A Hypothesis state machine: random sequences of market, network and operator actions on the trader."""

import os
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, OrderType, PositionSide, Side, TimeInForce
from src.domain.events import Task, TaskDue
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest
from src.domain.positions import Position
from src.sandbox.faults import FOREVER, FaultKind
from src.sandbox.faults import Fault as SandboxFault
from src.sandbox.streams.user_events import MAX_SKEW_MS
from tests.builders import a_liquidation
from tests.core.model.exchange import SYMBOL
from tests.core.model.faulty_network import Fault, Target
from tests.core.model.simulation import Simulation

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
SIDES, KINDS, FAULTS = (st.sampled_from(list(each)) for each in (Side, Target, Fault))
SKEWS = st.just(0) | st.integers(-MAX_SKEW_MS, MAX_SKEW_MS)
"""Stamp of an account event after that of its trade, ms."""
REPORT_KINDS = (FaultKind.POSITION_TIME_ZERO, FaultKind.POSITION_TIME_OF_ACCOUNT, FaultKind.FLAT_OMITTED)
WHICH, STEPS = st.integers(0, 9), st.integers(1, 10)
_FAR_BELOW = D(47_600)
MAX_MANUAL_MARGIN = D(150)
"""No manual trades above this margin."""

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "500" if os.environ.get("CI") else "20"))
"""Number of examples in each position mode. On CI they are the same in each run, elsewhere they are random. A sequence
that fails is kept in test_regressions.py."""
PROFILE = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


class TraderMachine(RuleBasedStateMachine):
    hedge_mode = True
    multi_assets = False
    """Whether the account holds USDC too, and both assets back its positions."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(hedge_mode=self.hedge_mode, multi_assets=self.multi_assets)
        self.simulation.tick()

    @property
    def _position_sides(self) -> tuple[PositionSide, ...]:
        return self.simulation.exchange.position_sides

    @initialize(account_first=st.booleans(), skew_ms=SKEWS, report=st.sampled_from([None, *REPORT_KINDS]))
    def regularity(self, account_first: bool, skew_ms: int, report: FaultKind | None) -> None:
        """How regular the exchange's events and position reports are."""
        kinds = {FaultKind.STAMPS_DIFFER: skew_ms}
        if account_first:
            kinds[FaultKind.ACCOUNT_EVENT_FIRST] = 50
        if report is not None:
            kinds[report] = 0
        for kind, value in kinds.items():
            if value or kind is not FaultKind.STAMPS_DIFFER:
                self.simulation.exchange.irregularities.inject(SandboxFault(kind, FOREVER, value=value))

    @initialize(batch_orders=st.booleans())
    def batching(self, batch_orders: bool) -> None:
        """Whether orders that are due together leave in one request."""
        self.simulation.batch_orders = batch_orders

    @initialize(begin=st.sampled_from(["position", "entry", "flat"]), side=SIDES, steps=STEPS)
    def begin(self, begin: str, side: Side, steps: int) -> None:
        """Start most examples with an entry or a position."""
        if begin != "flat":
            self.signal(side)
            self.simulation.catch_up()
        if begin == "position":
            self.fill(0, steps)
            self.simulation.catch_up()

    @rule(side=SIDES)
    def signal(self, side: Side) -> None:
        """A liquidation large enough to trigger an entry."""
        self._liquidate(side)

    @rule(fault=st.none() | FAULTS)
    def signal_on_both_sides(self, fault: Fault | None) -> None:
        """Two liquidations in one instant: in hedge mode their entries may share a request, and its fault."""
        if fault is not None:
            self.inject_fault(Target.ENTRY, fault)
        self._liquidate(*Side)

    def _liquidate(self, *sides: Side) -> None:
        simulation = self.simulation
        simulation.publish_prices()
        now = simulation.clock.now_ms()
        times = {"traded_at": now, "event_at": now, "received_at": now}
        middle = simulation.exchange.middle
        simulation.feed(*(a_liquidation(side=side, average_price=middle, **times) for side in sides))

    @rule(side=SIDES, steps=STEPS, kind=KINDS, fault=st.none() | FAULTS)
    def enter(self, side: Side, steps: int, kind: Target, fault: Fault | None) -> None:
        """From a signal to a protected position, with at most one fault."""
        self.simulation.catch_up()
        if fault is not None:
            self.inject_fault(kind, fault)
        self.signal(side)
        self.simulation.catch_up()
        self.fill(-1, steps)
        self.simulation.catch_up()

    @precondition(lambda self: self.simulation.exchange.open_orders(ENTRY))
    @rule(which=WHICH, steps=STEPS)
    def fill(self, which: int, steps: int) -> None:
        """Fill an entry, completely or in part."""
        entries = self.simulation.exchange.open_orders(ENTRY)
        if entries:
            order = entries[which % len(entries)]
            through = order.price - order.side.sign * D("0.1")
            self.simulation.exchange.trade_at(through, min(D(steps) / 1000, order.quantity - order.filled_quantity))

    @rule(bps=st.integers(-300, 300))
    def move(self, bps: int) -> None:
        """Move the price, which may trigger stop losses and take profits."""
        self.simulation.exchange.move((D(50_000) * (1 + D(bps) / 10_000)).quantize(D("0.1")))
        self.simulation.publish_prices()

    @rule(kind=KINDS, fault=FAULTS)
    def inject_fault(self, kind: Target, fault: Fault) -> None:
        """Inject a fault into the next command of a kind."""
        self.simulation.faults.append((kind, fault))

    @rule(lane=st.integers(0, 3))
    def execute_next(self, lane: int) -> None:
        """Execute the next command of one of the concurrent lanes."""
        self.simulation.execute_next(lane)

    @precondition(lambda self: self.simulation.responses or self.simulation.exchange.late)
    @rule()
    def deliver_late(self) -> None:
        """Deliver a delayed response and execute a delayed order."""
        self.simulation.deliver_response()
        if self.simulation.exchange.late:
            self.simulation.deliver_late()

    @precondition(lambda self: self.simulation.exchange.stream)
    @rule(how=st.sampled_from(["in order", "swapped", "twice", "lost"]))
    def deliver(self, how: str) -> None:
        """Deliver user data events in order, swapped or duplicated, or lose one."""
        stream = self.simulation.exchange.stream
        match how:
            case "swapped":
                stream[:2] = stream[:2][::-1]
            case "twice":
                stream.insert(0, stream[0])
            case "lost":
                self.simulation.drop_events(1)
        self.simulation.deliver_next()

    @rule(seconds=st.integers(1, 10), is_lost=st.booleans())
    def interrupt_stream(self, seconds: int, is_lost: bool) -> None:
        """Delay the user data stream or disconnect it."""
        if is_lost:
            self.simulation.cut_stream(seconds)
        else:
            self.simulation.delay_events(seconds)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.simulation.tick()
            self.simulation.invariants.check()

    @rule(action=st.sampled_from([OperatorAction.FLATTEN, OperatorAction.HALT, OperatorAction.PAUSE]))
    def halt_entries(self, action: OperatorAction) -> None:
        self.simulation.command(action)
        self.simulation.tick()
        self.simulation.command(OperatorAction.RESUME)

    @precondition(lambda self: self.simulation.exchange.open_positions())
    @rule(fraction=st.sampled_from(["0.3", "1"]), which=WHICH)
    def close(self, fraction: str, which: int) -> None:
        position_side = self._position_sides[which % len(self._position_sides)]
        self.simulation.command(
            OperatorAction.CLOSE_POSITION, symbol=SYMBOL, position_side=position_side, close_fraction=D(fraction)
        )

    @precondition(lambda self: self.simulation.exchange.open_orders(STOP, TAKE))
    @rule(which=WHICH)
    def cancel_protection_manually(self, which: int) -> None:
        self.simulation.invariants.allow_delay(5)
        orders = self.simulation.exchange.open_orders(STOP, TAKE)
        self.simulation.exchange.cancel_manually(orders[which % len(orders)].client_order_id)

    @precondition(lambda self: self.simulation.exchange.open_orders(ENTRY, STOP, TAKE))
    @rule(which=WHICH, word=st.sampled_from(["EXPIRED_IN_MATCH", "EXPIRE_TAKER"]))
    def end_in_unknown_word(self, which: int, word: str) -> None:
        """The exchange ends an order of the bot in a word that it does not document."""
        self.simulation.invariants.allow_delay(5)
        orders = self.simulation.exchange.open_orders(ENTRY, STOP, TAKE)
        self.simulation.exchange.end_in_unknown_word(orders[which % len(orders)].client_order_id, word)

    @precondition(lambda self: self.simulation.exchange.open_positions())
    @rule(which=WHICH, steps=STEPS)
    def reduce_manually(self, which: int, steps: int) -> None:
        held = self.simulation.exchange.open_positions()
        self.simulation.exchange.place_manual_order(a_reduction(held[which % len(held)], D(steps) / 1000))

    @precondition(lambda self: self.simulation.exchange.margin() < MAX_MANUAL_MARGIN)
    @rule(side=SIDES, which=WHICH, steps=STEPS)
    def trade_manually(self, side: Side, which: int, steps: int) -> None:
        """Open or increase a position manually; in one-way mode this may flip it."""
        position_side = self._position_sides[which % len(self._position_sides)]
        self.simulation.exchange.place_manual_order(a_trade(position_side, side, D(steps) / 1000))

    @precondition(lambda self: self.simulation.exchange.open_positions())
    @rule()
    def order_manually(self) -> None:
        """Place an external order far from the market, or cancel it if there is one."""
        others = self.simulation.exchange.open_orders(None)
        if others:
            self.simulation.exchange.cancel_manually(others[0].client_order_id)
        elif self.simulation.exchange.middle <= 50_000:
            self.simulation.exchange.place_manual_order(an_order_far_away(self._position_sides[0]))

    @rule(how=st.sampled_from(["between", "within", "cleanly"]), when=st.integers(0, 30))
    def kill(self, how: str, when: int) -> None:
        """Stop the process between two batches, within a transaction, or cleanly."""
        match how:
            case "between":
                self.simulation.restart(when % 6)
            case "within":
                self.simulation.kill_within(when)
            case _:
                self.simulation.feed(TaskDue(Task.STOP, self.simulation.clock.now_ms()))
                self.simulation.tick()
                self.simulation.restart(1)

    @invariant()
    def invariants_hold(self) -> None:
        self.simulation.invariants.check()

    def teardown(self) -> None:
        try:
            self.simulation.settle()
        finally:
            self.simulation.close()


def a_reduction(position: Position, quantity: Decimal) -> OrderRequest:
    """A manual order that reduces a position."""
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=position.side.opposite,
        position_side=position.position_side,
        type=OrderType.MARKET,
        quantity=Quantity(min(abs(position.quantity), quantity)),
        reduce_only=position.position_side is PositionSide.BOTH,
    )


def a_trade(position_side: PositionSide, side: Side, quantity: Decimal) -> OrderRequest:
    """A manual market order."""
    sides = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=sides.get(position_side, side),
        position_side=position_side,
        type=OrderType.MARKET,
        quantity=Quantity(quantity),
    )


def an_order_far_away(position_side: PositionSide) -> OrderRequest:
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=Side.BUY,
        position_side=position_side,
        type=OrderType.LIMIT,
        quantity=Quantity(D("0.001")),
        price=Price(_FAR_BELOW),
        time_in_force=TimeInForce.GTC,
    )
