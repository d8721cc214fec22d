"""Stories that once ended badly, told again each time: what Hypothesis found stays found."""

from collections.abc import Callable, Iterator

import pytest

from src.domain.commands import OperatorAction
from src.domain.enums import Side
from tests.core.model.faulty_network import Fault, Target
from tests.core.model.state_machine import TraderMachine

StartStory = Callable[[bool], TraderMachine]


@pytest.fixture
def start_story() -> Iterator[StartStory]:
    """Begins a story; at its end everything settles and both books agree, or it fails."""
    stories: list[TraderMachine] = []

    def begin(hedge_mode: bool) -> TraderMachine:
        stories.append(type("Story", (TraderMachine,), {"hedge_mode": hedge_mode})())
        return stories[-1]

    yield begin
    for story in stories:
        story.invariants_hold()
        story.teardown()


def hear_all(story: TraderMachine) -> None:
    while story.simulation.exchange.stream:
        story.deliver(how="in order")


@pytest.mark.parametrize("hedge_mode", [True, False])
def test_the_rest_of_an_entry_fills_in_the_instant_in_which_its_position_was_closed(
    start_story: StartStory, hedge_mode: bool
) -> None:
    """It was taken for a foreign position, and left without a stop for good."""
    story = start_story(hedge_mode)
    story.begin(begin="position", side=Side.SELL, steps=4)
    story.close(fraction="1", which=0)
    for lane in range(story.simulation.gateway.lanes):
        if story.simulation.exchange.open_positions():
            story.execute_next(lane=lane)
    hear_all(story)
    story.fill(which=0, steps=10)
    story.wait(seconds=8)


def test_what_filled_in_the_instant_of_a_report_is_not_forgotten_when_the_rest_is_closed(
    start_story: StartStory,
) -> None:
    """The books held less than the trades that were booked; what was left was taken for a stranger's, and bare."""
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


def test_what_a_late_report_of_an_instant_left_out_is_still_ours_when_the_rest_is_closed(
    start_story: StartStory,
) -> None:
    """The same by another way: the trades of one instant were told before the reports of it."""
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


def test_what_seems_gone_by_trades_that_do_not_add_up_is_still_ours_when_a_report_shows_it(
    start_story: StartStory,
) -> None:
    """News of trades in one instant was lost, a trade by hand led the books to flat: what stood there was taken for a
    stranger's, and bare."""
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
def test_a_position_that_a_person_turns_round_is_his(start_story: StartStory, is_received: bool) -> None:
    """It was taken for ours, and got a stop loss."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.trade_manually(side=Side.SELL, which=0, steps=5)
    if not is_received:
        story.simulation.drop_events()
    for _ in range(3):
        story.wait(seconds=12)


def test_external_position_of_same_size_is_not_ours(start_story: StartStory) -> None:
    """Nothing told the two apart; our stop loss stayed behind his for as long as it stood."""
    story = start_story(True)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.reduce_manually(which=0, steps=3)
    story.trade_manually(side=Side.BUY, which=0, steps=3)
    story.simulation.drop_events()
    for _ in range(7):
        story.wait(seconds=12)


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE])
def test_a_stop_that_comes_to_rest_once_a_person_has_replaced_its_position_goes(
    start_story: StartStory, fault: Fault
) -> None:
    """Nobody looked for it there: it would have closed his."""
    story = start_story(True)
    story.begin(begin="entry", side=Side.SELL, steps=10)
    story.inject_fault(kind=Target.STOP_LOSS, fault=fault)
    story.fill(which=0, steps=10)
    hear_all(story)
    for lane in range(story.simulation.gateway.lanes):
        story.execute_next(lane=lane)
    story.reduce_manually(which=0, steps=10)
    story.trade_manually(side=Side.BUY, which=0, steps=3)
    hear_all(story)
    story.deliver_late()
    for _ in range(3):
        story.wait(seconds=12)


def test_what_our_close_leaves_of_a_position_that_was_enlarged_unheard_is_still_ours(start_story: StartStory) -> None:
    """Our own trades added up to flat; what was left was taken for a stranger's, and bare."""
    story = start_story(True)
    story.begin(begin="position", side=Side.SELL, steps=10)
    story.interrupt_stream(is_lost=False, seconds=10)
    story.trade_manually(side=Side.BUY, which=0, steps=5)
    story.close(fraction="1", which=0)
    for _ in range(3):
        story.wait(seconds=12)


def test_an_entry_that_fills_in_the_instant_of_a_take_profit_is_ours_after_a_restart(start_story: StartStory) -> None:
    """The slot was taken for flat when the process ended, and what stood there for a stranger's, and bare."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=2)
    story.move(bps=200)
    story.deliver(how="in order")
    story.fill(which=7, steps=2)
    story.deliver(how="swapped")
    story.interrupt_stream(is_lost=False, seconds=7)
    story.kill(how="cleanly", when=1)
    story.wait(seconds=5)


def test_what_was_traded_by_hand_before_a_start_is_found_though_news_came_before_the_first_look(
    start_story: StartStory,
) -> None:
    """The news made the position look as the last run had left it: two trades in it were never booked."""
    story = start_story(False)
    story.begin(begin="position", side=Side.SELL, steps=7)
    story.trade_manually(side=Side.BUY, which=3, steps=1)
    story.reduce_manually(which=1, steps=1)
    story.kill(how="between", when=0)
    story.reduce_manually(which=0, steps=1)
