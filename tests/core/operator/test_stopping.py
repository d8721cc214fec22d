"""A graceful stop: settled when nothing can cost money without a bot, else everything is named."""

from pathlib import Path

from src.domain.enums import OrderRole, OrderStatus
from src.domain.events import Task, TaskDue
from tests.builders import a_position, some_settings
from tests.core.harness import Harness

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS


def stop(harness: Harness) -> None:
    harness.feed(TaskDue(Task.STOP, harness.now))


def report(harness: Harness) -> list[str]:
    """The time to stop is over; returns the alerts."""
    harness.feed(TaskDue(Task.STOP_TIMEOUT, harness.now))
    assert harness.trader.graceful_stop.reported.is_set()
    return [each["message"] for each in harness.journal("alert") if each["level"] == "error"]


def is_settled(harness: Harness) -> bool:
    return harness.trader.graceful_stop.settled.is_set()


def test_stop_without_orders_is_settled_at_once(harness: Harness) -> None:
    assert not is_settled(harness)
    stop(harness)
    assert is_settled(harness)
    assert report(harness) == []


def test_protected_position_is_settled(harness: Harness) -> None:
    harness.open_position()
    stop(harness)
    assert is_settled(harness)


def test_stop_cancels_again_whenever_the_entry_is_found_open(harness: Harness) -> None:
    entry = harness.enter()
    stop(harness)
    for _ in range(8):
        harness.lose_response(entry)
        harness.accept(entry)
        harness.wait(1000)
    assert len(harness.cancelled()) >= 8  # more often than the five attempts after which retries are slow otherwise
    assert not is_settled(harness)
    harness.end_order(entry)
    assert is_settled(harness)


def test_unanswered_entry_counts_as_open(harness: Harness) -> None:
    harness.liquidate()
    entry = harness.last(ENTRY)
    harness.lose_response(entry)
    stop(harness)
    assert not is_settled(harness)
    [message] = report(harness)
    assert message.startswith(f"the bot stops, and the entry {entry.client_order_id} of BTCUSDT (BUY, quantity 0.010,")
    assert "Cancel it on the exchange's site, or start the bot again" in message


def test_filled_entry_is_settled_once_its_position_has_a_stop(harness: Harness) -> None:
    entry = harness.enter()
    stop(harness)
    harness.fill(entry)
    assert not is_settled(harness)
    [message] = report(harness)
    assert "no stop loss of its position BTCUSDT LONG (quantity 0.010) is confirmed" in message
    harness.accept(harness.last(STOP))
    assert is_settled(harness)


def test_filled_entry_with_unknown_trades_is_named(harness: Harness) -> None:
    entry = harness.enter()
    stop(harness)
    fill = harness.a_fill(entry)
    harness.feed(harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=fill.quantity))
    assert not is_settled(harness)
    assert "has just filled, its trades are not known yet" in report(harness)[0]


def test_position_without_a_stop_by_the_settings_is_settled(path: Path) -> None:
    harness = Harness(path, some_settings(stop_loss_enabled=False)).connect()
    harness.fill(harness.enter())
    stop(harness)
    assert is_settled(harness)


def test_position_without_settings_and_stop_is_named(harness: Harness) -> None:
    harness.enter()
    harness.context.settings = some_settings().model_copy(update={"symbols": {}})
    harness.fill(harness.last(ENTRY))
    stop(harness)
    assert not is_settled(harness)
    assert "no stop loss of its position BTCUSDT LONG (quantity 0.010) is confirmed" in report(harness)[0]


def test_external_position_is_settled(harness: Harness) -> None:
    harness.feed(harness.account_update(a_position("0.5")))
    stop(harness)
    assert is_settled(harness)
