"""Anything may happen in any order: the trader keeps its promises, and ends up agreeing with the exchange."""

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.domain.enums import OrderRole, PositionSide, Side
from src.domain.messages import (
    CancelOrder,
    CancelRefused,
    Command,
    CommandFailed,
    Due,
    Duty,
    OperatorAction,
    OrderRefused,
    OrderUnresolved,
    Stream,
    StreamUp,
    SubmitOrder,
)
from tests.builders import a_mark, some_settings
from tests.core.rig import Rig, role_of
from tests.core.tiny_exchange import SLOTS, Standing, TinyExchange

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
FATES = st.sampled_from(
    ["done"] * 4 + ["refused", "would trigger", "never left", "answer lost", "request lost", "late"]
)
POSITION_CAP, TOTAL_CAP, LEVERAGE = D(120), D(150), 10


class TraderMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        limits = {"cooldown_sec": 0, "max_total_exposure_usdt": 150, "max_open_orders_per_symbol": 3}
        self.rig = Rig(Path(self.directory.name) / "bot.db", some_settings(limits, max_position_usdt=120))
        self.exchange = TinyExchange(self.rig.clock)
        self.waiting: list[Command] = []
        self.late: list[Command] = []
        self._start()

    # The market and the exchange

    @rule(side=st.sampled_from(list(Side)))
    def liquidate(self, side: Side) -> None:
        self._liquidate(side)

    @precondition(lambda self: self.exchange.open_orders(ENTRY))
    @rule(which=st.integers(0, 9), steps=st.integers(1, 12))
    def fill_an_entry(self, which: int, steps: int) -> None:
        order = self._one_of(self.exchange.open_orders(ENTRY), which)
        self.exchange.trade(order, min(order.rest, D(steps) / 1000))

    @precondition(lambda self: self.exchange.open_orders(STOP, TAKE))
    @rule(which=st.integers(0, 9))
    def trigger(self, which: int) -> None:
        self.exchange.trigger(self._one_of(self.exchange.open_orders(STOP, TAKE), which))

    @precondition(lambda self: self.waiting)
    @rule(fate=FATES, which=st.integers(0, 9))
    def serve(self, fate: str, which: int) -> None:
        """Lanes run side by side: any command that waits may be the next."""
        self._serve(self.waiting.pop(which % len(self.waiting)), fate)

    @rule()
    def catch_up(self) -> None:
        self._catch_up()

    @rule(side=st.sampled_from(list(Side)), steps=st.integers(1, 10))
    def enter(self, side: Side, steps: int) -> None:
        """The whole way to a position that is protected, where nothing stands against it."""
        self._liquidate(side)
        self._catch_up()
        for order in self.exchange.open_orders(ENTRY)[-1:]:
            self.exchange.trade(order, min(order.rest, D(steps) / 1000))
        self._catch_up()

    @precondition(lambda self: self.late)
    @rule()
    def arrive_late(self) -> None:
        self.exchange.execute(self.late.pop(0))

    @precondition(lambda self: self.exchange.stream)
    @rule(how=st.sampled_from(["in order", "in order", "other way", "twice", "lost", "half"]))
    def deliver(self, how: str) -> None:
        events = self.exchange.stream.pop(0)
        match how:
            case "other way":
                events = events[::-1]
            case "twice":
                events = events * 2
            case "lost":
                events = ()
            case "half":
                events = events[:1]
        for event in events:
            self._took(self.rig.feed(event))

    # Time and people

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self._wait(seconds)

    @rule(duty=st.sampled_from([Duty.CLEANUP, Duty.RECONCILE]))
    def remind(self, duty: Duty) -> None:
        self._took(self.rig.feed(Due(duty, self.rig.now)))

    @rule(action=st.sampled_from([OperatorAction.FLATTEN, OperatorAction.HALT]), seconds=st.integers(0, 5))
    def keep_back(self, action: OperatorAction, seconds: int) -> None:
        self._took(self.rig.command(action))
        self._wait(seconds)
        self._took(self.rig.command(OperatorAction.RESUME))

    @rule(fraction=st.sampled_from(["0.3", "1"]), side=st.sampled_from(SLOTS))
    def close(self, fraction: str, side: PositionSide) -> None:
        details = {"symbol": "BTCUSDT", "position_side": side, "fraction": D(fraction)}
        self._took(self.rig.command(OperatorAction.CLOSE_POSITION, **details))

    @rule()
    def restart(self) -> None:
        """Commands that waited and news on their way are gone."""
        self.waiting.clear()
        self.exchange.stream.clear()
        self.rig = self.rig.restart()
        self._start()

    # What always holds

    @invariant()
    def exposure_stays_within_its_caps(self) -> None:
        margins = [self._margin(side) for side in SLOTS]
        assert sum(margins) <= min(POSITION_CAP, TOTAL_CAP)

    @invariant()
    def fills_are_booked_once(self) -> None:
        booked = self.rig.rows("SELECT trade_id, symbol FROM fills")
        assert len({(row["symbol"], row["trade_id"]) for row in booked}) == len(booked) <= len(self.exchange.trades)

    def teardown(self) -> None:
        try:
            self._settle()
            self._agree()
        finally:
            self.rig.close()
            self.directory.cleanup()

    def _settle(self) -> None:
        """Everything works for a while; what was lost is found."""
        for command in self.late:
            self.exchange.execute(command)
        self.late.clear()
        self._took(self.rig.command(OperatorAction.PAUSE))
        for second in range(75):
            self._catch_up()
            if second % 15 == 0:
                self._took(self.rig.feed(Due(Duty.RECONCILE, self.rig.now), Due(Duty.CLEANUP, self.rig.now)))
            self._tick()

    def _catch_up(self) -> None:
        """Every command is done, all news arrive."""
        while self.waiting or self.exchange.stream:
            for event in [event for events in self.exchange.stream for event in events]:
                self._took(self.rig.feed(event))
            self.exchange.stream.clear()
            for command in self.waiting[:]:
                self.waiting.remove(command)
                self._serve(command, "done")

    def _agree(self) -> None:
        assert self.exchange.open_orders(ENTRY, CLOSE) == []
        for side in SLOTS:
            held, known = self.exchange.position(side), self.rig.position(side)
            assert held.quantity == known.quantity
            standing = [each for each in self.exchange.open_orders(STOP, TAKE) if each.request.position_side is side]
            roles = sorted(role_of(each.request) for each in standing)
            assert roles.count(STOP) == (1 if held.is_open else 0), (held, roles)
            assert held.is_open or roles == []
        booked = {row["trade_id"] for row in self.rig.rows("SELECT trade_id FROM fills")}
        assert booked == {fill.trade_id for fill in self.exchange.trades}

    # How it is done

    def _start(self) -> None:
        now = self.rig.now
        self._prices()
        self._took(self.rig.feed(Due(Duty.RECONCILE, now), StreamUp(Stream.MARKET, now), StreamUp(Stream.USER, now)))
        self._serve(self.waiting.pop(0), "done")
        self._tick()

    def _liquidate(self, side: Side) -> None:
        self._prices()
        self._took(self.rig.liquidate(side=side))

    def _wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self._tick()

    def _tick(self) -> None:
        self.rig.clock.advance(1000)
        self._prices()
        self._took(self.rig.audit())
        self._every_position_is_covered()

    def _every_position_is_covered(self) -> None:
        for holding in self.rig.desk.books.open_holdings():
            if holding.is_ours and holding.close_reason is None:
                in_slot = self.rig.desk.books.orders_in(holding.slot)
                assert any(order.role is STOP and order.is_open for order in in_slot), holding

    def _prices(self) -> None:
        self.rig.feed(a_mark(at=self.rig.now, received_at=self.rig.now), self.exchange.quote())

    def _serve(self, command: Command, fate: str) -> None:
        now = self.rig.now
        if isinstance(command, SubmitOrder):
            name, symbol = command.request.client_order_id, command.request.symbol
            refusals = {"refused": -1111, "would trigger": -2021, "never left": None}
            if command.not_after is not None and now > command.not_after:
                fate = "never left"
            if fate in refusals:
                self._took(self.rig.feed(OrderRefused(symbol, name, refusals[fate], fate, now)))
                return
            if fate in ("answer lost", "request lost", "late"):
                if fate == "answer lost":
                    self.exchange.execute(command)
                elif fate == "late":
                    self.late.append(command)
                self._took(self.rig.feed(OrderUnresolved(symbol, name, fate, now)))
                return
        elif fate != "done":
            self._fail(command, fate)
            return
        for event in self.exchange.execute(command):
            self._took(self.rig.feed(event))

    def _fail(self, command: Command, fate: str) -> None:
        now = self.rig.now
        match command:
            case CancelOrder(symbol, name) if fate == "answer lost":
                self.exchange.execute(command)
                self._took(self.rig.feed(OrderUnresolved(symbol, name, fate, now)))
            case CancelOrder(symbol, name):
                self._took(self.rig.feed(CancelRefused(symbol, name, None, fate, now)))
            case _:
                self._took(self.rig.feed(CommandFailed(command, None, fate, now)))

    def _took(self, commands: list[Command]) -> None:
        self.waiting += commands

    def _margin(self, side: PositionSide) -> Decimal:
        held = self.exchange.position(side)
        entries = [each for each in self.exchange.open_orders(ENTRY) if each.request.position_side is side]
        resting = sum((each.rest * (each.request.price or D(0)) for each in entries), D(0))
        return (abs(held.quantity) * held.entry_price + resting) / LEVERAGE

    @staticmethod
    def _one_of(orders: list[Standing], which: int) -> Standing:
        return orders[which % len(orders)]


TestTrader = TraderMachine.TestCase
TestTrader.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
