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


def hear_all(story: TraderMachine) -> None:
    while story.world.exchange.stream:
        story.hear(how="in order")


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
    hear_all(story)
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


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_position_that_a_person_turns_round_is_his(tell: Tell, is_heard: bool) -> None:
    """It was taken for ours, and got a stop loss."""
    story = tell(False)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.trade_by_hand(side=Side.SELL, which=0, steps=5)
    if not is_heard:
        story.world.lose_news()
    for _ in range(3):
        story.wait(seconds=12)


def test_a_position_of_the_same_size_that_a_person_puts_in_the_place_of_ours_unheard_is_his(tell: Tell) -> None:
    """Nothing told the two apart; our stop loss stayed behind his for as long as it stood."""
    story = tell(True)
    story.begin(begin="position", side=Side.SELL, steps=3)
    story.reduce_by_hand(which=0, steps=3)
    story.trade_by_hand(side=Side.BUY, which=0, steps=3)
    story.world.lose_news()
    for _ in range(7):
        story.wait(seconds=12)


@pytest.mark.parametrize("blow", [Blow.SLOW, Blow.LATE])
def test_a_stop_that_comes_to_rest_once_a_person_has_replaced_its_position_goes(tell: Tell, blow: Blow) -> None:
    """Nobody looked for it there: it would have closed his."""
    story = tell(True)
    story.begin(begin="entry", side=Side.SELL, steps=10)
    story.strike(kind=Target.STOP_LOSS, blow=blow)
    story.fill(which=0, steps=10)
    hear_all(story)
    for lane in range(story.world.gateway.lanes):
        story.serve(lane=lane)
    story.reduce_by_hand(which=0, steps=10)
    story.trade_by_hand(side=Side.BUY, which=0, steps=3)
    hear_all(story)
    story.come_late()
    for _ in range(3):
        story.wait(seconds=12)


def test_what_our_close_leaves_of_a_position_that_was_enlarged_unheard_is_still_ours(tell: Tell) -> None:
    """Our own trades added up to flat; what was left was taken for a stranger's, and bare."""
    story = tell(True)
    story.begin(begin="position", side=Side.SELL, steps=10)
    story.silence(is_lost=False, seconds=10)
    story.trade_by_hand(side=Side.BUY, which=0, steps=5)
    story.close(fraction="1", which=0)
    for _ in range(3):
        story.wait(seconds=12)


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


def test_what_was_traded_by_hand_before_a_start_is_found_though_news_came_before_the_first_look(tell: Tell) -> None:
    """The news made the position look as the last run had left it: two trades in it were never booked."""
    story = tell(False)
    story.begin(begin="position", side=Side.SELL, steps=7)
    story.trade_by_hand(side=Side.BUY, which=3, steps=1)
    story.reduce_by_hand(which=1, steps=1)
    story.die(how="between", when=0)
    story.reduce_by_hand(which=0, steps=1)
