"""Stream health is judged by delivered data; after a gap, entries wait for a resync."""

import json
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest

from src.core.event_queue import MAX_LIQUIDATIONS, EventQueue
from src.core.events import ExchangeHealth, OrderResponse
from src.domain.clock import ManualClock
from src.domain.commands import CheckPositions, Command, QueryOrder, TakeSnapshot
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.events import (
    CommandFailed,
    PositionsChecked,
    SnapshotTaken,
    Stream,
    StreamDown,
    StreamUp,
    Task,
    TaskDue,
)
from src.domain.orders import OrderRequest
from tests.builders import a_liquidation, a_mark, a_quote, a_report
from tests.core.harness import Harness

D = Decimal
POLL = TakeSnapshot("the user data stream is unreliable", is_poll=True)


def reason(harness: Harness) -> str:
    return harness.context.trading_status.reason


def test_user_stream_is_trusted_after_snapshot(harness: Harness) -> None:
    harness.feed(StreamDown(Stream.USER, "reset", harness.now))
    assert reason(harness) == "the user data stream is down: reset"
    harness.snapshot()
    assert reason(harness) == "the user data stream is down: reset"
    harness.clock.advance(10)
    assert harness.feed(StreamUp(Stream.USER, harness.now)) == [TakeSnapshot("user data stream connected")]
    assert "resyncing the account" in reason(harness)
    harness.snapshot()
    assert reason(harness) == ""
    assert [each["state"] for each in harness.journal("state")][-2:] == ["REDUCE_ONLY", "ACTIVE"]


def test_snapshot_requested_before_connect_is_not_enough(harness: Harness) -> None:
    harness.feed(TaskDue(Task.RECONCILE, harness.now))
    early = harness.a_snapshot()
    harness.clock.advance(10)
    harness.feed(StreamDown(Stream.USER, "reset", harness.now), StreamUp(Stream.USER, harness.now))
    assert harness.feed(SnapshotTaken(early, "reconcile"))[-1] == TakeSnapshot(
        "user data stream connected after the last request"
    )
    assert "resyncing the account" in reason(harness)


def test_silent_market_stream_blocks_entries(harness: Harness) -> None:
    harness.clock.advance(10_000)
    harness.audit()
    assert reason(harness) == ""
    harness.clock.advance(1000)
    harness.feed(a_quote(received_at=harness.now))
    harness.audit()
    assert reason(harness) == "no market data for 11 s"
    harness.prices()
    harness.audit()
    assert reason(harness) == ""


def test_lost_market_stream_blocks_entries(harness: Harness) -> None:
    harness.feed(StreamDown(Stream.MARKET, "cut", harness.now))
    harness.wait(2000)
    assert reason(harness) == "the market stream is down: cut"
    harness.feed(StreamUp(Stream.MARKET, harness.now))
    harness.wait(1000)
    assert reason(harness) == ""


def test_clock_offset_blocks_entries(harness: Harness) -> None:
    harness.exchange_health = ExchangeHealth(weight_limit=2400, clock_offset_ms=-1001)
    harness.audit()
    assert "clock is 1001 ms ahead of the exchange's" in reason(harness)


def test_clock_change_while_running_blocks_entries(harness: Harness) -> None:
    harness.exchange_health = ExchangeHealth(weight_limit=2400, clock_offset_ms=10, clock_drift_ms=-3_600_000)
    harness.audit()
    assert "clock is 3600010 ms behind the exchange's" in reason(harness)
    [row] = harness.rows("SELECT value FROM bot_state WHERE key = 'bot'")
    assert json.loads(row["value"])["heartbeat_at"] == harness.now - 3_600_000
    harness.exchange_health = ExchangeHealth(weight_limit=2400, clock_offset_ms=10)
    harness.audit()
    assert reason(harness) == ""


def test_prices_alone_open_no_transaction(harness: Harness) -> None:
    before = len(harness.rows("SELECT * FROM journal"))
    assert harness.feed(a_mark(), a_quote()) == []
    assert harness.feed() == []
    assert len(harness.rows("SELECT * FROM journal")) == before


def test_trader_handles_queue_until_closed(path: Path) -> None:
    harness = Harness(path)
    event_queue, sent = EventQueue(), list[Command]()
    heartbeat = Event()
    event_queue.put(a_liquidation())
    event_queue.close()
    harness.trader.run(event_queue, sent.extend, heartbeat.set)
    assert heartbeat.is_set()
    assert sent == [TakeSnapshot("reconcile")]
    assert len(harness.verdicts()) == 1


def test_liquidation_backlog_blocks_entries(path: Path) -> None:
    harness = Harness(path, clock=ManualClock(a_liquidation().traded_at))
    harness.connect()
    event_queue = EventQueue()
    event_queue.put(TaskDue(Task.EVERY_SECOND, harness.now))
    for _ in range(5501):  # the first batch takes 500 of them
        event_queue.put(a_liquidation())
    event_queue.close()
    harness.trader.run(event_queue, lambda _: None, lambda: None)
    assert reason(harness) == "5001 liquidations are queued"


def test_dropped_liquidations_warn(path: Path) -> None:
    harness = Harness(path, clock=ManualClock(a_liquidation().traded_at))
    event_queue = EventQueue()
    harness.connect()
    for _ in range(MAX_LIQUIDATIONS + 2):
        event_queue.put(a_liquidation())
    harness.context.queue_stats = event_queue.stats
    for _ in range(2):
        harness.audit()
    assert [each["message"] for each in harness.journal("alert")] == ["2 liquidations dropped: queue full"]
    [row] = harness.rows("SELECT value FROM bot_state WHERE key = 'event_queue'")
    assert json.loads(row["value"]) == {"waiting": MAX_LIQUIDATIONS, "dropped": 2, "lag_ms": 0}


def test_old_history_is_pruned_when_due(harness: Harness) -> None:
    harness.liquidate(1000)
    harness.clock.advance(40 * 24 * 3_600_000)
    harness.feed(TaskDue(Task.PRUNE, harness.now))
    harness.context.store.maintenance.run()
    assert harness.rows("SELECT * FROM liquidations") == []


@pytest.fixture
def reconnect_requested(harness: Harness) -> Event:
    """Set when a reconnect of the user data stream is requested."""
    requested = Event()
    harness.context.reconnect_user_stream = requested.set
    return requested


def check_positions(harness: Harness) -> list[object]:
    return list(harness.feed(TaskDue(Task.CHECK_POSITIONS, harness.now)))


def enter_with_response_only(harness: Harness) -> OrderRequest:
    """An entry with a REST response, but no stream event."""
    harness.clock.advance(2000)
    harness.prices()
    harness.liquidate()
    request = harness.last(OrderRole.ENTRY)
    harness.feed(OrderResponse(harness.update_for(request)))
    return request


def test_mark_price_from_the_future_keeps_the_stream_no_longer_fresh(harness: Harness) -> None:
    harness.feed(a_mark(received_at=harness.now + 86_400_000))
    harness.clock.advance(11_000)
    harness.audit()
    assert reason(harness) == "no market data for 11 s"


def is_silent(harness: Harness) -> bool:
    return "the user data stream missed an update" in harness.context.trading_status.reason


def test_response_missing_on_stream_marks_it_silent(harness: Harness, reconnect_requested: Event) -> None:
    request = enter_with_response_only(harness)
    harness.wait(4000)
    assert not is_silent(harness)
    assert not reconnect_requested.is_set()
    harness.wait(1000)
    assert f"missed an update: order {request.client_order_id} is NEW" in harness.context.trading_status.reason
    assert reconnect_requested.is_set()
    harness.liquidate()
    assert harness.verdicts()[-1] == "trading_state"


def test_stream_that_repeats_the_response_is_healthy(harness: Harness, reconnect_requested: Event) -> None:
    harness.accept(enter_with_response_only(harness))
    harness.wait(20_000)
    assert not is_silent(harness)
    assert not reconnect_requested.is_set()


def test_stream_event_before_the_response_is_healthy(harness: Harness) -> None:
    harness.clock.advance(2000)
    harness.prices()
    harness.liquidate()
    request = harness.last(OrderRole.ENTRY)
    update = harness.update_for(request)
    harness.feed(update)
    harness.feed(OrderResponse(update))
    harness.wait(6000)
    assert not is_silent(harness)


def test_stream_event_newer_than_the_response_is_healthy(harness: Harness) -> None:
    harness.clock.advance(2000)
    harness.prices()
    harness.liquidate()
    request = harness.last(OrderRole.ENTRY)
    accepted = harness.update_for(request)
    harness.fill(request, D("0.001"))
    harness.feed(OrderResponse(accepted))
    harness.wait(6000)
    assert not is_silent(harness)


def test_stream_missing_the_last_event_is_silent(harness: Harness) -> None:
    request = enter_with_response_only(harness)
    harness.accept(request)
    harness.feed(OrderResponse(harness.update_for(request, status=OrderStatus.CANCELED)))
    harness.wait(6000)
    assert is_silent(harness)


def test_silent_stream_recovers_after_reconnect_and_snapshot(harness: Harness) -> None:
    request = enter_with_response_only(harness)
    harness.wait(6000)
    harness.snapshot(open_orders=(harness.update_for(request),))
    assert is_silent(harness)
    harness.feed(StreamUp(Stream.USER, harness.now))
    harness.snapshot(open_orders=(harness.update_for(request, event_at=harness.now - 7000),))
    harness.wait(10_000)
    assert harness.context.trading_status.reason == ""


def test_newer_order_in_snapshot_marks_stream_silent(harness: Harness) -> None:
    request = harness.enter()
    harness.clock.advance(2000)
    harness.snapshot(
        open_orders=(harness.update_for(request, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.001")),)
    )
    harness.wait(6000)
    assert is_silent(harness)


def test_event_before_connect_is_not_expected(harness: Harness) -> None:
    request = enter_with_response_only(harness)
    harness.feed(StreamDown(Stream.USER, "cut", harness.now), StreamUp(Stream.USER, harness.now))
    harness.snapshot(open_orders=(harness.update_for(request),))
    harness.wait(6000)
    assert not is_silent(harness)


def test_position_missing_on_stream_is_read_and_marks_it_silent(harness: Harness, reconnect_requested: Event) -> None:
    harness.clock.advance(2000)
    harness.prices()
    report = a_report("0.5", 50_000, updated_at=harness.now)
    assert harness.feed(PositionsChecked((report,), harness.now)) == [TakeSnapshot("a position differs")]
    harness.feed(SnapshotTaken(harness.a_snapshot(positions=(report,)), "a position differs"))
    harness.wait(5000)
    assert "missed an update: the position of BTCUSDT LONG is 0.5" in harness.context.trading_status.reason
    assert reconnect_requested.is_set()


def test_position_received_in_time_is_not_overdue(harness: Harness) -> None:
    harness.clock.advance(2000)
    report = a_report("0.5", 50_000, updated_at=harness.now)
    harness.feed(PositionsChecked((report,), harness.now))
    harness.feed(harness.account_update(report.position))
    harness.wait(6000)
    assert not is_silent(harness)


def test_matching_position_requests_nothing(harness: Harness) -> None:
    harness.open_position()
    assert harness.feed(PositionsChecked((harness.report(PositionSide.LONG),), harness.now)) == []


def test_one_position_check_at_a_time(harness: Harness) -> None:
    assert check_positions(harness) == [CheckPositions()]
    assert check_positions(harness) == []
    harness.feed(PositionsChecked((), harness.now))
    assert check_positions(harness) == [CheckPositions()]


def test_orders_of_differing_position_are_queried(harness: Harness) -> None:
    entry = harness.enter()
    harness.clock.advance(2000)
    report = a_report("0.010", 50_000, updated_at=harness.now)
    assert QueryOrder("BTCUSDT", entry.client_order_id) in harness.feed(PositionsChecked((report,), harness.now))


def test_account_is_polled_while_user_stream_is_down(harness: Harness) -> None:
    harness.feed(StreamDown(Stream.USER, "cut", harness.now))
    assert check_positions(harness) == [POLL]
    assert check_positions(harness) == []
    harness.snapshot()
    assert check_positions(harness) == [POLL]


def test_failed_position_check_blocks_entries(harness: Harness) -> None:
    check_positions(harness)
    harness.feed(CommandFailed(CheckPositions(), None, "HTTP 503", harness.now))
    assert harness.context.trading_status.reason == "the account cannot be read: HTTP 503"
    assert check_positions(harness) == [CheckPositions()]
    harness.feed(PositionsChecked((), harness.now))
    assert harness.context.trading_status.reason == ""


def test_unanswered_position_check_blocks_entries(harness: Harness) -> None:
    check_positions(harness)
    harness.wait(6000)
    assert harness.context.trading_status.reason == "the account cannot be read: no response for 6 s"
    harness.snapshot()
    assert harness.context.trading_status.reason == ""


def test_failed_polls_warn_once(harness: Harness) -> None:
    harness.feed(StreamDown(Stream.USER, "cut", harness.now))
    for _ in range(3):
        check_positions(harness)
        harness.feed(CommandFailed(POLL, None, "HTTP 503", harness.now))
        harness.clock.advance(2000)
    assert [each["message"] for each in harness.journal("alert")] == ["the account could not be read: HTTP 503"]


def reconnect(harness: Harness, stream: Stream, pause_ms: int = 1_000) -> list[Command]:
    """The connection is lost, and back after a pause."""
    harness.feed(StreamDown(stream, "cut", harness.now))
    harness.clock.advance(pause_ms)
    return harness.feed(StreamUp(stream, harness.now))


def test_liquidation_right_after_a_reconnect_is_traded(harness: Harness) -> None:
    """Half a second after it, before any mark price has come; the last one is still fresh."""
    reconnect(harness, Stream.MARKET)
    harness.clock.advance(500)
    harness.feed(a_quote(at=harness.now, received_at=harness.now))
    harness.liquidate()
    assert len(harness.submitted(OrderRole.ENTRY)) == 1


@pytest.mark.parametrize("kind", ["quote", "mark", "liquidation"])
def test_first_fresh_frame_of_any_kind_proves_the_market_stream(harness: Harness, kind: str) -> None:
    reconnect(harness, Stream.MARKET)
    assert reason(harness) == "the market stream is down: cut"
    now = {"at": harness.now, "received_at": harness.now}
    if kind == "liquidation":
        harness.liquidate(1)
    else:
        harness.feed(a_mark(**now) if kind == "mark" else a_quote(**now))
    assert reason(harness) == ""


def test_frames_of_before_prove_no_new_market_stream(harness: Harness) -> None:
    harness.clock.advance(60_000)
    before = harness.now
    reconnect(harness, Stream.MARKET)
    harness.feed(a_mark(at=before, received_at=before))
    assert reason(harness) == "the market stream is down: cut"
    harness.feed(StreamDown(Stream.MARKET, "cut", harness.now), StreamUp(Stream.MARKET, harness.now))
    harness.feed(a_quote(at=before - 30_000, received_at=harness.now))
    assert reason(harness) == "the market stream is down: cut"


def test_account_is_read_once_for_a_burst_of_reconnects(harness: Harness) -> None:
    read = TakeSnapshot("user data stream connected")
    reconnect(harness, Stream.USER)
    harness.snapshot()
    before = harness.commands_of(TakeSnapshot).count(read)
    for _ in range(8):
        reconnect(harness, Stream.USER)
        harness.wait(2_000)
    assert harness.commands_of(TakeSnapshot).count(read) == before
    assert "resyncing the account" in reason(harness)
    harness.wait(5_000)
    assert harness.commands_of(TakeSnapshot).count(read) == before + 1
    harness.snapshot()
    assert reason(harness) == ""


def test_polls_read_positions_only_when_half_the_weight_is_used(harness: Harness) -> None:
    harness.feed(StreamDown(Stream.USER, "cut", harness.now))
    harness.exchange_health = ExchangeHealth(weight_limit=2400, weight_used=1201)
    harness.audit()
    assert check_positions(harness) == [CheckPositions()]
    harness.exchange_health = ExchangeHealth(weight_limit=2400, weight_used=10)
    harness.audit()
    harness.feed(PositionsChecked((), harness.now))
    assert check_positions(harness) == [POLL]
