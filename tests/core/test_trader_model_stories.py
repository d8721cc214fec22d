"""Stories that once ended badly, told again each time: what Hypothesis found stays found."""

from collections.abc import Callable, Iterator

import pytest

from src.domain.enums import Side
from src.domain.messages import OperatorAction
from tests.core.model.machine import TraderMachine
from tests.core.model.network import Blow, Target

Tell = Callable[[bool], TraderMachine]


@pytest.fixture
def tell() -> Iterator[Tell]:
    """Begins a story; at its end everything settles and both books agree, or it fails."""
    told: list[TraderMachine] = []

    def begin(hedge_mode: bool) -> TraderMachine:
        told.append(type("Story", (TraderMachine,), {"hedge_mode": hedge_mode})())
        return told[-1]

    yield begin
    for story in told:
        story.the_laws_hold()
        story.teardown()


@pytest.mark.parametrize("hedge_mode", [True, False])
def test_the_rest_of_an_entry_fills_in_the_instant_in_which_its_position_was_closed(
    tell: Tell, hedge_mode: bool
) -> None:
    """It was taken for a foreign position, and left without a stop for good."""
    story = tell(hedge_mode)
    story.begin(begin="position", side=Side.SELL, steps=4)
    story.close(fraction="1", which=0)
    for lane in range(story.world.gateway.lanes):
        if story.world.exchange.open_positions():
            story.serve(lane=lane)
    while story.world.exchange.stream:
        story.hear(how="in order")
    story.fill(which=0, steps=10)
    story.wait(seconds=8)


def test_what_filled_in_the_instant_of_a_report_is_not_forgotten_when_the_rest_is_closed(tell: Tell) -> None:
    """The books held less than the trades that were booked; what was left was taken for a stranger's, and bare."""
    story = tell(False)
    story.begin(begin="flat", side=Side.BUY, steps=5)
    story.silence(is_lost=False, seconds=1)
    story.enter(blow=Blow.REQUEST_LOST, kind=Target.STOP_LOSS, side=Side.SELL, steps=3)
    story.silence(is_lost=False, seconds=7)
    story.hear(how="in order")
    story.strike(blow=Blow.ANSWER_LOST, kind=Target.READ)
    story.silence(is_lost=True, seconds=7)
    story.silence(is_lost=False, seconds=2)
    story.wait(seconds=9)
    story.strike(blow=Blow.ANSWER_LOST, kind=Target.STOP_LOSS)
    story.wait(seconds=5)
    story.enter(blow=None, kind=Target.CANCEL, side=Side.BUY, steps=4)
    story.enter(blow=Blow.REQUEST_LOST, kind=Target.STOP_LOSS, side=Side.SELL, steps=10)
    story.close(fraction="0.3", which=5)
    story.fill(steps=3, which=4)
    story.silence(is_lost=True, seconds=4)
    for side, steps in ((Side.SELL, 1), (Side.BUY, 9), (Side.BUY, 3)):
        story.enter(blow=None, kind=Target.TAKE_PROFIT, side=side, steps=steps)
    story.close(fraction="1", which=4)
    story.hear(how="lost")


def test_what_a_late_report_of_an_instant_left_out_is_still_ours_when_the_rest_is_closed(tell: Tell) -> None:
    """The same by another way: the trades of one instant were told before the reports of it."""
    story = tell(False)
    story.begin(begin="flat", steps=4, side=Side.BUY)
    story.silence(is_lost=False, seconds=8)
    story.keep_back(action=OperatorAction.PAUSE)
    story.silence(is_lost=False, seconds=5)
    story.keep_back(action=OperatorAction.HALT)
    story.wait(seconds=2)
    story.keep_back(action=OperatorAction.FLATTEN)
    story.keep_back(action=OperatorAction.HALT)
    story.signal(side=Side.BUY)
    story.silence(is_lost=False, seconds=10)
    story.signal(side=Side.BUY)
    story.silence(is_lost=True, seconds=6)
    story.wait(seconds=12)
    story.fill(steps=5, which=4)
    story.signal(side=Side.BUY)
    story.signal(side=Side.SELL)
    story.hear(how="in order")
    story.silence(is_lost=False, seconds=6)
    story.fill(steps=8, which=5)
    story.keep_back(action=OperatorAction.PAUSE)
    story.hear(how="twice")
    story.fill(steps=7, which=1)
    story.keep_back(action=OperatorAction.PAUSE)
    story.silence(is_lost=False, seconds=8)
    story.silence(is_lost=False, seconds=8)
    story.keep_back(action=OperatorAction.FLATTEN)
    story.hear(how="in order")
    story.signal(side=Side.SELL)
    story.wait(seconds=1)
    story.silence(is_lost=False, seconds=9)


def test_what_seems_gone_by_trades_that_do_not_add_up_is_still_ours_when_a_report_shows_it(tell: Tell) -> None:
    """News of trades in one instant was lost, a trade by hand led the books to flat: what stood there was taken for a
    stranger's, and bare."""
    story = tell(False)
    story.begin(begin="position", steps=8, side=Side.BUY)
    story.signal(side=Side.BUY)
    story.reduce_by_hand(steps=9, which=0)
    story.enter(blow=None, kind=Target.ENTRY, side=Side.BUY, steps=3)
    story.reduce_by_hand(steps=8, which=0)
    story.silence(is_lost=True, seconds=5)
    story.move(bps=156)
    story.hear(how="lost")
    story.wait(seconds=6)
    story.reduce_by_hand(steps=9, which=0)
    story.hear(how="in order")
    story.hear(how="in order")


def test_an_entry_that_fills_in_the_instant_of_a_take_profit_is_ours_after_a_restart(tell: Tell) -> None:
    """The slot was taken for flat when the process ended, and what stood there for a stranger's, and bare."""
    story = tell(False)
    story.begin(begin="position", side=Side.SELL, steps=2)
    story.move(bps=200)
    story.hear(how="in order")
    story.fill(which=7, steps=2)
    story.hear(how="swapped")
    story.silence(is_lost=False, seconds=7)
    story.die(how="cleanly", when=1)
    story.wait(seconds=5)
