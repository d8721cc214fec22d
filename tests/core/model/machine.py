"""What may happen, in any order: the rules from which Hypothesis makes its stories, and shrinks those that fail."""

import os
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from src.domain.enums import OrderRole, OrderType, PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.messages import Due, Duty, OperatorAction
from src.domain.orders import OrderRequest
from src.domain.positions import Position
from tests.builders import a_liquidation
from tests.core.model.exchange import SYMBOL
from tests.core.model.network import Blow, Target
from tests.core.model.world import World

D = Decimal
ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
SIDES, KINDS, BLOWS = (st.sampled_from(list(each)) for each in (Side, Target, Blow))
WHICH, STEPS = st.integers(0, 9), st.integers(1, 10)
_FAR_BELOW = D(47_600)
MOST_BY_HAND = D(150)
"""Nobody adds to positions that bind so much."""

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "500" if os.environ.get("CI") else "20"))
"""In each of two position modes. Where CI is set Hypothesis tells the same stories each time the same modules are
loaded, for it draws on their constants; elsewhere new ones, and a night may tell twenty thousand of them. A story that
ends badly is kept in test_trader_model_stories.py."""
IS_OPENED_BY_HAND = "MODEL_BY_HAND" in os.environ
"""Whether people open positions of their own. A night with it still finds trades by hand, around a start, that are
never booked: until it finds none, the stories that are kept tell of it, and it fails no change of something else."""
PROFILE = settings(
    max_examples=EXAMPLES, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


class TraderMachine(RuleBasedStateMachine):
    hedge_mode = True

    def __init__(self) -> None:
        super().__init__()
        self.world = World(hedge_mode=self.hedge_mode)
        self.world.tick()

    @property
    def _slots(self) -> tuple[PositionSide, ...]:
        return self.world.exchange.slots

    @initialize(begin=st.sampled_from(["position", "entry", "flat"]), side=SIDES, steps=STEPS)
    def begin(self, begin: str, side: Side, steps: int) -> None:
        """Most stories begin with something at stake."""
        if begin != "flat":
            self.signal(side)
            self.world.catch_up()
        if begin == "position":
            self.fill(0, steps)
            self.world.catch_up()

    # The market

    @rule(side=SIDES)
    def signal(self, side: Side) -> None:
        """Longs or shorts are liquidated, enough of them."""
        world = self.world
        world.tell_prices()
        now = world.clock.now_ms()
        times = {"traded_at": now, "event_at": now, "received_at": now}
        world.feed(a_liquidation(side=side, average_price=world.exchange.middle, **times))

    @rule(side=SIDES, steps=STEPS, kind=KINDS, blow=st.none() | BLOWS)
    def enter(self, side: Side, steps: int, kind: Target, blow: Blow | None) -> None:
        """The whole way to a position that is protected, with one stumble at most."""
        self.world.catch_up()
        if blow is not None:
            self.strike(kind, blow)
        self.signal(side)
        self.world.catch_up()
        self.fill(-1, steps)
        self.world.catch_up()

    @precondition(lambda self: self.world.exchange.open_orders(ENTRY))
    @rule(which=WHICH, steps=STEPS)
    def fill(self, which: int, steps: int) -> None:
        """Somebody takes an entry, or a part of it."""
        entries = self.world.exchange.open_orders(ENTRY)
        if entries:
            order = entries[which % len(entries)]
            beyond = order.price - order.side.sign * D("0.1")
            self.world.exchange.trade_at(beyond, min(D(steps) / 1000, order.quantity - order.filled_quantity))

    @rule(bps=st.integers(-300, 300))
    def move(self, bps: int) -> None:
        """The price jumps: stop losses and take profits fire."""
        self.world.exchange.move((D(50_000) * (1 + D(bps) / 10_000)).quantize(D("0.1")))
        self.world.tell_prices()

    # The network

    @rule(kind=KINDS, blow=BLOWS)
    def strike(self, kind: Target, blow: Blow) -> None:
        """The next command of a kind is struck."""
        self.world.blows.append((kind, blow))

    @rule(lane=st.integers(0, 3))
    def serve(self, lane: int) -> None:
        """Lanes run side by side: any may be the next."""
        self.world.serve(lane)

    @precondition(lambda self: self.world.answers or self.world.exchange.late)
    @rule()
    def come_late(self) -> None:
        """A slow answer is there, and the matcher comes to an order it had laid aside."""
        self.world.hear_answer()
        if self.world.exchange.late:
            self.world.arrive_late()

    @precondition(lambda self: self.world.exchange.stream)
    @rule(how=st.sampled_from(["in order", "swapped", "twice", "lost"]))
    def hear(self, how: str) -> None:
        """The private stream tells something, or should have."""
        stream = self.world.exchange.stream
        match how:
            case "swapped":
                stream[:2] = stream[:2][::-1]
            case "twice":
                stream.insert(0, stream[0])
            case "lost":
                self.world.lose_news(1)
        self.world.hear()

    @rule(seconds=st.integers(1, 10), is_lost=st.booleans())
    def silence(self, seconds: int, is_lost: bool) -> None:
        """What the private stream tells for a while comes later, or never."""
        if is_lost:
            self.world.cut_stream(seconds)
        else:
            self.world.hold_news(seconds)

    # Time and people

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.tick()
            self.world.laws.hold()

    @rule(action=st.sampled_from([OperatorAction.FLATTEN, OperatorAction.HALT, OperatorAction.PAUSE]))
    def keep_back(self, action: OperatorAction) -> None:
        self.world.command(action)
        self.world.tick()
        self.world.command(OperatorAction.RESUME)

    @precondition(lambda self: self.world.exchange.open_positions())
    @rule(fraction=st.sampled_from(["0.3", "1"]), which=WHICH)
    def close(self, fraction: str, which: int) -> None:
        slot = self._slots[which % len(self._slots)]
        self.world.command(OperatorAction.CLOSE_POSITION, symbol=SYMBOL, position_side=slot, fraction=D(fraction))

    @precondition(lambda self: self.world.exchange.open_orders(STOP, TAKE))
    @rule(which=WHICH)
    def cancel_protection_by_hand(self, which: int) -> None:
        self.world.laws.excuse(5)
        orders = self.world.exchange.open_orders(STOP, TAKE)
        self.world.exchange.cancel_by_hand(orders[which % len(orders)].client_order_id)

    @precondition(lambda self: self.world.exchange.open_positions())
    @rule(which=WHICH, steps=STEPS)
    def reduce_by_hand(self, which: int, steps: int) -> None:
        held = self.world.exchange.open_positions()
        self.world.exchange.by_hand(a_reduction(held[which % len(held)], D(steps) / 1000))

    @precondition(lambda self: IS_OPENED_BY_HAND and self.world.exchange.margin() < MOST_BY_HAND)
    @rule(side=SIDES, which=WHICH, steps=STEPS)
    def trade_by_hand(self, side: Side, which: int, steps: int) -> None:
        """A person opens a position of his own, or enlarges what stands there; in one-way mode he may turn it round."""
        slot = self._slots[which % len(self._slots)]
        self.world.exchange.by_hand(a_trade(slot, side, D(steps) / 1000))

    @precondition(lambda self: self.world.exchange.open_positions())
    @rule()
    def order_by_hand(self) -> None:
        """An order far away, which the bot is to leave alone; the next time, its owner takes it back."""
        others = self.world.exchange.open_orders(None)
        if others:
            self.world.exchange.cancel_by_hand(others[0].client_order_id)
        elif self.world.exchange.middle <= 50_000:
            self.world.exchange.by_hand(an_order_far_away(self._slots[0]))

    # The process

    @rule(how=st.sampled_from(["between", "within", "cleanly"]), when=st.integers(0, 30))
    def die(self, how: str, when: int) -> None:
        """Between two batches, in the middle of a transaction that is rolled back, or as a person asks for it."""
        match how:
            case "between":
                self.world.restart(when % 6)
            case "within":
                self.world.kill_within(when)
            case _:
                self.world.feed(Due(Duty.STOP, self.world.clock.now_ms()))
                self.world.tick()
                self.world.restart(1)

    # What always holds

    @invariant()
    def the_laws_hold(self) -> None:
        self.world.laws.hold()

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            self.world.close()


def a_reduction(position: Position, quantity: Decimal) -> OrderRequest:
    """What the account's owner sends to make a position smaller."""
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=position.side.opposite,
        position_side=position.position_side,
        type=OrderType.MARKET,
        quantity=Quantity(min(abs(position.quantity), quantity)),
        reduce_only=position.position_side is PositionSide.BOTH,
    )


def a_trade(slot: PositionSide, side: Side, quantity: Decimal) -> OrderRequest:
    """What the account's owner sends to trade for himself."""
    sides = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=sides.get(slot, side),
        position_side=slot,
        type=OrderType.MARKET,
        quantity=Quantity(quantity),
    )


def an_order_far_away(slot: PositionSide) -> OrderRequest:
    return OrderRequest(
        client_order_id="",
        symbol=SYMBOL,
        side=Side.BUY,
        position_side=slot,
        type=OrderType.LIMIT,
        quantity=Quantity(D("0.001")),
        price=Price(_FAR_BELOW),
        time_in_force=TimeInForce.GTC,
    )
