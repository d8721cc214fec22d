import threading

from src.core.event_queue import MAX_LIQUIDATIONS, EventQueue, QueueStats
from src.core.events import TraderEvent
from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.domain.events import AccountUpdate, Task, TaskDue
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_update


def test_only_newest_quote_is_kept() -> None:
    event_queue = EventQueue()
    event_queue.put(a_quote(1, 2))
    event_queue.put(a_mark(5))
    event_queue.put(a_quote(3, 4))
    assert event_queue.take_batch(0) == [a_quote(3, 4), a_mark(5)]
    assert event_queue.take_batch(0) == []


def test_fills_overtake_liquidations() -> None:
    event_queue = EventQueue()
    liquidations = [a_liquidation(n + 1) for n in range(700)]
    for liquidation in liquidations:
        event_queue.put(liquidation)
    event_queue.put(an_update())
    assert event_queue.stats == QueueStats(waiting=700)
    first, second = event_queue.take_batch(0), event_queue.take_batch(0)
    assert first[0] == an_update()
    assert [*first[1:], *second] == liquidations


def test_account_update_is_taken_with_the_order_update_of_its_trade() -> None:
    event_queue = EventQueue()
    account = AccountUpdate("ORDER", (), (), NOW, NOW)
    event_queue.put(account)
    sender = threading.Thread(target=event_queue.put, args=[an_update()])
    sender.start()
    batch = event_queue.take_batch(0)
    sender.join()
    assert batch + event_queue.take_batch(0) == [account, an_update()]
    event_queue.put(account)
    event_queue.put(a_liquidation(1))
    assert len(event_queue.take_batch(0)) == 2
    event_queue.put(account)
    assert event_queue.take_batch(0) == [account]


def test_oldest_liquidations_are_dropped_and_counted() -> None:
    event_queue = EventQueue()
    event_queue.put(an_update())
    for number in range(MAX_LIQUIDATIONS + 3):
        event_queue.put(a_liquidation(number + 1))
    assert event_queue.stats == QueueStats(waiting=MAX_LIQUIDATIONS, dropped=3)
    assert event_queue.take_batch(0)[:2] == [an_update(), a_liquidation(4)]


def test_lag_of_urgent_events_is_measured() -> None:
    clock = ManualClock(NOW)
    event_queue = EventQueue(clock)
    event_queue.put(an_update())
    clock.advance(40)
    event_queue.put(an_update())
    event_queue.take_batch(0)
    assert event_queue.stats.lag_ms == 40
    event_queue.put(a_liquidation())
    clock.advance(40)
    event_queue.take_batch(0)
    assert event_queue.stats.lag_ms == 0


def test_waiting_reader_is_woken() -> None:
    event_queue, got = EventQueue(), []
    reader = threading.Thread(target=lambda: got.extend(event_queue.take_batch(10)))
    reader.start()
    event_queue.put(TaskDue(Task.EVERY_SECOND, NOW))
    reader.join(20)
    assert got == [TaskDue(Task.EVERY_SECOND, NOW)]


def test_closed_queue_is_emptied_first() -> None:
    event_queue = EventQueue()
    event_queue.put(a_liquidation(side=Side.BUY))
    event_queue.close()
    assert not event_queue.is_closed
    assert len(event_queue.take_batch(10)) == 1
    assert event_queue.is_closed
    assert event_queue.take_batch(10) == []


def test_events_put_together_are_taken_together() -> None:
    event_queue, batches = EventQueue(), []
    together: list[TraderEvent] = [an_update(), TaskDue(Task.EVERY_SECOND, NOW)]
    reader = threading.Thread(target=lambda: batches.append(event_queue.take_batch(10)))
    reader.start()
    event_queue.put_all(together)
    reader.join(20)
    assert batches == [together]
