"""Batches: facts first, then protection once per position, then liquidations."""

import logging
from pathlib import Path

import pytest

from src.core.event_queue import EventQueue
from src.domain.commands import CancelOrder, SubmitOrder
from src.domain.enums import OrderRole, OrderStatus
from src.domain.errors import InvariantError
from src.domain.positions import Position
from tests.builders import a_liquidation, some_settings
from tests.core.harness import LONG, D, Harness, role_of

STOP = OrderRole.STOP_LOSS


def test_fills_of_one_batch_place_one_stop(harness: Harness) -> None:
    entry = harness.enter()
    harness.clock.advance(10)
    fills = [harness.a_fill(entry, quantity) for quantity in ("0.004", "0.006")]
    first = harness.update_for(
        entry, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.004"), average_price=D(50_000), fill=fills[0]
    )
    last = harness.update_for(
        entry, status=OrderStatus.FILLED, filled_quantity=D("0.01"), average_price=D(50_000), fill=fills[1]
    )
    commands = harness.feed(first, last)
    roles = [role_of(command.request) for command in commands if isinstance(command, SubmitOrder)]
    assert roles.count(STOP) == 1
    assert harness.position().quantity == D("0.01")


def test_position_closed_within_batch_gets_no_stop(harness: Harness) -> None:
    entry = harness.enter()
    opened = harness.a_fill(entry)
    flat = harness.account_update(Position(*LONG))
    commands = harness.feed(harness.account_after(opened), harness.filled_by(entry, opened), flat)
    assert [command for command in commands if isinstance(command, SubmitOrder)] == []


def test_orphans_are_cancelled_when_batch_reopens_position(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    stop, take = harness.last(STOP), harness.last(OrderRole.TAKE_PROFIT)
    second = harness.enter()
    harness.clock.advance(10)
    closed, opened = harness.a_fill(stop, price=49_000), harness.a_fill(second)
    reopened = Position(*LONG, opened.quantity, opened.price)
    commands = harness.feed(
        *(harness.account_update(Position(*LONG)), harness.filled_by(stop, closed)),
        *(harness.account_update(reopened), harness.filled_by(second, opened)),
    )
    assert CancelOrder("BTCUSDT", take.client_order_id) in commands
    assert harness.last(STOP).client_order_id.startswith(second.client_order_id[:-1])
    assert harness.context.portfolio.tracked(LONG).entry_order_id == second.client_order_id


def test_liquidation_is_evaluated_after_fills_of_its_batch(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0}, max_position_usdt=60)).connect()
    entry = harness.enter()
    fill = harness.a_fill(entry)
    liquidation = a_liquidation(60_000, traded_at=harness.now, event_at=harness.now, received_at=harness.now)
    harness.feed(liquidation, harness.account_after(fill), harness.filled_by(entry, fill))
    assert harness.verdicts() == [None, "position_cap"]


def test_log_lines_wait_until_no_event_is_left(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hunter")
    harness.liquidate()
    assert harness.context.has_log_lines
    assert "entry placed" not in caplog.text
    event_queue = EventQueue()
    event_queue.close()
    harness.trader.run(event_queue, lambda _: None, lambda: None)
    assert "entry placed" in caplog.text
    assert not harness.context.has_log_lines


def test_log_lines_are_written_before_they_are_too_many(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hunter")
    for number in range(49):
        harness.context.log_later("line %s", number)
    assert not caplog.messages
    harness.context.log_later("line %s", 49)
    assert caplog.messages == [f"line {number}" for number in range(50)]


def test_log_lines_are_written_although_prices_arrive_all_the_time(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="hunter")
    harness.liquidate()
    event_queue = EventQueue()
    written: list[bool] = []

    def heartbeat() -> None:
        written.append("entry placed" in caplog.text)
        event_queue.put(harness.context.quotes["BTCUSDT"])
        if len(written) == 3:
            event_queue.close()

    harness.trader.run(event_queue, lambda _: None, heartbeat)
    assert written == [False, True, True]


def test_log_lines_are_written_when_the_trader_fails(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="hunter")
    harness.liquidate()

    def fail() -> None:
        raise InvariantError("broken")

    with pytest.raises(InvariantError):
        harness.trader.run(EventQueue(), lambda _: None, fail)
    assert "entry placed" in caplog.text
