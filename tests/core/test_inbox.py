import threading

from src.core.inbox import MOST_LIQUIDATIONS, Backlog, Inbox, TraderEvent
from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.domain.messages import Due, Duty
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_update


def test_of_quotes_only_the_newest_waits() -> None:
    inbox = Inbox()
    inbox.post(a_quote(1, 2))
    inbox.post(a_mark(5))
    inbox.post(a_quote(3, 4))
    assert inbox.drain(0) == [a_quote(3, 4), a_mark(5)]
    assert inbox.drain(0) == []


def test_fills_overtake_liquidations_and_none_is_lost() -> None:
    inbox = Inbox()
    liquidations = [a_liquidation(n + 1) for n in range(700)]
    for liquidation in liquidations:
        inbox.post(liquidation)
    inbox.post(an_update())
    assert inbox.backlog == Backlog(waiting=700)
    first, second = inbox.drain(0), inbox.drain(0)
    assert first[0] == an_update()
    assert [*first[1:], *second] == liquidations


def test_of_more_liquidations_than_can_wait_the_oldest_go_and_are_counted() -> None:
    inbox = Inbox()
    inbox.post(an_update())
    for number in range(MOST_LIQUIDATIONS + 3):
        inbox.post(a_liquidation(number + 1))
    assert inbox.backlog == Backlog(waiting=MOST_LIQUIDATIONS, dropped=3)
    assert inbox.drain(0)[:2] == [an_update(), a_liquidation(4)]


def test_how_long_our_own_events_waited_is_told() -> None:
    clock = ManualClock(NOW)
    inbox = Inbox(clock)
    inbox.post(an_update())
    clock.advance(40)
    inbox.post(an_update())
    inbox.drain(0)
    assert inbox.backlog.lag_ms == 40
    inbox.post(a_liquidation())
    clock.advance(40)
    inbox.drain(0)
    assert inbox.backlog.lag_ms == 0


def test_a_waiting_reader_is_woken() -> None:
    inbox, got = Inbox(), []
    reader = threading.Thread(target=lambda: got.extend(inbox.drain(10)))
    reader.start()
    inbox.post(Due(Duty.AUDIT, NOW))
    reader.join(20)
    assert got == [Due(Duty.AUDIT, NOW)]


def test_a_closed_inbox_is_emptied_before_it_ends() -> None:
    inbox = Inbox()
    inbox.post(a_liquidation(side=Side.BUY))
    inbox.close()
    assert not inbox.is_closed
    assert len(inbox.drain(10)) == 1
    assert inbox.is_closed
    assert inbox.drain(10) == []


def test_what_belongs_together_is_handed_out_together() -> None:
    inbox, batches = Inbox(), []
    together: list[TraderEvent] = [an_update(), Due(Duty.AUDIT, NOW)]
    reader = threading.Thread(target=lambda: batches.append(inbox.drain(10)))
    reader.start()
    inbox.post_all(together)
    reader.join(20)
    assert batches == [together]
