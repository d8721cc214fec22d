"""Sequences that Hypothesis once found to fail."""

from collections.abc import Callable, Iterator

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, Side
from tests.core.model.faulty_network import Fault, Target
from tests.core.model.state_machine import TraderMachine

StartStory = Callable[[bool], TraderMachine]


@pytest.fixture
def start_story() -> Iterator[StartStory]:
    """Starts a sequence; at its end database and exchange must agree."""
    stories: list[TraderMachine] = []

    def begin(hedge_mode: bool) -> TraderMachine:
        stories.append(type("Story", (TraderMachine,), {"hedge_mode": hedge_mode})())
        return stories[-1]

    yield begin
    for story in stories:
        story.invariants_hold()
        story.teardown()


def deliver_all(story: TraderMachine) -> None:
    while story.simulation.exchange.stream:
        story.deliver(how="in order")


@pytest.mark.parametrize("hedge_mode", [True, False])
def test_entry_filling_while_position_closes_is_ours(start_story: StartStory, hedge_mode: bool) -> None:
    """It was taken for external and left without a stop."""
    story = start_story(hedge_mode)
    story.begin(begin="position", side=Side.SELL, steps=4)
    story.close(fraction="1", which=0)
    for lane in range(story.simulation.gateway.lanes):
        if story.simulation.exchange.open_positions():
            story.execute_next(lane=lane)
    deliver_all(story)
    story.fill(which=0, steps=10)
    story.wait(seconds=8)


def test_fill_at_report_time_is_counted_after_close(
    start_story: StartStory,
) -> None:
    """The tracked quantity was less than the recorded trades; the rest was taken for external and unprotected."""
    story = start_story(False)
    story.begin(begin="flat", side=Side.BUY, steps=5)
    story.interrupt_stream(is_lost=False, seconds=1)
    story.enter(fault=Fault.REQUEST_LOST, kind=Target.STOP_LOSS, side=Side.SELL, steps=3)
    story.interrupt_stream(is_lost=False, seconds=7)
    story.deliver(how="in order")
    story.inject_fault(fault=Fault.RESPONSE_LOST, kind=Target.READ)
    story.interrupt_stream(is_lost=True, seconds=7)
    story.interrupt_stream(is_lost=False, seconds=2)
    story.wait(seconds=9)
    story.inject_fault(fault=Fault.RESPONSE_LOST, kind=Target.STOP_LOSS)
    story.wait(seconds=5)
    story.enter(fault=None, kind=Target.CANCEL, side=Side.BUY, steps=4)
    story.enter(fault=Fault.REQUEST_LOST, kind=Target.STOP_LOSS, side=Side.SELL, steps=10)
    story.close(fraction="0.3", which=5)
    story.fill(steps=3, which=4)
    story.interrupt_stream(is_lost=True, seconds=4)
    for side, steps in ((Side.SELL, 1), (Side.BUY, 9), (Side.BUY, 3)):
        story.enter(fault=None, kind=Target.TAKE_PROFIT, side=side, steps=steps)
    story.close(fraction="1", which=4)
    story.deliver(how="lost")


def test_fill_before_late_report_is_still_ours(
    start_story: StartStory,
) -> None:
    """Trades arrived before account reports with the same timestamp."""
    story = start_story(False)
    story.begin(begin="flat", steps=4, side=Side.BUY)
    story.interrupt_stream(is_lost=False, seconds=8)
    story.halt_entries(action=OperatorAction.PAUSE)
    story.interrupt_stream(is_lost=False, seconds=5)
    story.halt_entries(action=OperatorAction.HALT)
    story.wait(seconds=2)
    story.halt_entries(action=OperatorAction.FLATTEN)
    story.halt_entries(action=OperatorAction.HALT)
    story.signal(side=Side.BUY)
    story.interrupt_stream(is_lost=False, seconds=10)
    story.signal(side=Side.BUY)
    story.interrupt_stream(is_lost=True, seconds=6)
    story.wait(seconds=12)
    story.fill(steps=5, which=4)
    story.signal(side=Side.BUY)
    story.signal(side=Side.SELL)
    story.deliver(how="in order")
    story.interrupt_stream(is_lost=False, seconds=6)
    story.fill(steps=8, which=5)
    story.halt_entries(action=OperatorAction.PAUSE)
    story.deliver(how="twice")
    story.fill(steps=7, which=1)
    story.halt_entries(action=OperatorAction.PAUSE)
    story.interrupt_stream(is_lost=False, seconds=8)
    story.interrupt_stream(is_lost=False, seconds=8)
    story.halt_entries(action=OperatorAction.FLATTEN)
    story.deliver(how="in order")
    story.signal(side=Side.SELL)
    story.wait(seconds=1)
    story.interrupt_stream(is_lost=False, seconds=9)


def test_position_flat_by_incomplete_trades_is_still_ours(
    start_story: StartStory,
) -> None:
    """Some trades were lost and a manual one made the tracked quantity flat; the rest was taken for external."""
    story = start_story(False)
    story.begin(begin="position", steps=8, side=Side.BUY)
    story.signal(side=Side.BUY)
    story.reduce_manually(steps=9, which=0)
    story.enter(fault=None, kind=Target.ENTRY, side=Side.BUY, steps=3)
    story.reduce_manually(steps=8, which=0)
    story.interrupt_stream(is_lost=True, seconds=5)
    story.move(bps=156)
    story.deliver(how="lost")
    story.wait(seconds=6)
    story.reduce_manually(steps=9, which=0)
    story.deliver(how="in order")
    story.deliver(how="in order")


@pytest.mark.parametrize("is_received", [True, False])
def test_manually_flipped_position_is_external(start_story: StartStory, is_received: bool) -> None:
    """It was taken for the bot's and got a stop loss."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.trade_manually(side=Side.SELL, which=0, steps=5)
    if not is_received:
        story.simulation.drop_events()
    for _ in range(3):
        story.wait(seconds=12)


def test_external_position_of_same_size_is_not_ours(start_story: StartStory) -> None:
    """The two were not distinguished; the bot's stop loss stayed on the external position."""
    story = start_story(True)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.reduce_manually(which=0, steps=3)
    story.trade_manually(side=Side.BUY, which=0, steps=3)
    story.simulation.drop_events()
    for _ in range(7):
        story.wait(seconds=12)


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE])
def test_late_stop_on_external_position_is_cancelled(start_story: StartStory, fault: Fault) -> None:
    """It stayed open and would have closed the external position."""
    story = start_story(True)
    story.begin(begin="entry", side=Side.SELL, steps=10)
    story.inject_fault(kind=Target.STOP_LOSS, fault=fault)
    story.fill(which=0, steps=10)
    deliver_all(story)
    for lane in range(story.simulation.gateway.lanes):
        story.execute_next(lane=lane)
    story.reduce_manually(which=0, steps=10)
    story.trade_manually(side=Side.BUY, which=0, steps=3)
    deliver_all(story)
    story.deliver_late()
    for _ in range(3):
        story.wait(seconds=12)


def test_rest_of_manually_increased_position_is_ours(start_story: StartStory) -> None:
    """The bot's trades added up to flat; the rest was taken for external and unprotected."""
    story = start_story(True)
    story.begin(begin="position", side=Side.SELL, steps=10)
    story.interrupt_stream(is_lost=False, seconds=10)
    story.trade_manually(side=Side.BUY, which=0, steps=5)
    story.close(fraction="1", which=0)
    for _ in range(3):
        story.wait(seconds=12)


def test_entry_filling_with_take_profit_is_ours_after_restart(start_story: StartStory) -> None:
    """The position was taken for flat at shutdown and for external afterwards, and left unprotected."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=2)
    story.move(bps=200)
    story.deliver(how="in order")
    story.fill(which=7, steps=2)
    story.deliver(how="swapped")
    story.interrupt_stream(is_lost=False, seconds=7)
    story.kill(how="cleanly", when=1)
    story.wait(seconds=5)


def test_manual_trades_before_start_are_recorded(
    start_story: StartStory,
) -> None:
    """An update made the position look unchanged, so two trades were never recorded."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=7)
    story.trade_manually(side=Side.BUY, which=3, steps=1)
    story.reduce_manually(which=1, steps=1)
    story.kill(how="between", when=0)
    story.reduce_manually(which=0, steps=1)


@pytest.mark.parametrize("hedge_mode", [True, False])
def test_stop_that_ends_in_an_unknown_word_is_placed_again(start_story: StartStory, hedge_mode: bool) -> None:
    story = start_story(hedge_mode)
    story.begin(begin="position", side=Side.SELL, steps=10)
    exchange = story.simulation.exchange
    [before] = exchange.open_orders(OrderRole.STOP_LOSS)
    story.end_in_unknown_word(which=0, word="EXPIRED_IN_MATCH")
    assert exchange.open_orders(OrderRole.STOP_LOSS) == []
    story.wait(seconds=8)
    [after] = exchange.open_orders(OrderRole.STOP_LOSS)
    assert after.stop_price == before.stop_price
