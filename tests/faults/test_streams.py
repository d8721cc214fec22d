"""Streams that are cut, silent, late or out of order, and outages of REST or streams (F19-F25)."""

import threading
import time
from dataclasses import replace

import pytest

from src.core import user_stream
from src.core.health import rest_health
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
USER_STREAM = "user"


def is_blocked(harness: FaultHarness, expected: str) -> bool:
    state, reason = harness.trading_status()
    return state != "ACTIVE" and expected in reason


def resume_trading(harness: FaultHarness) -> None:
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "trading resumes")


def cut(harness: FaultHarness, path: str = USER_STREAM) -> None:
    """Cut the connection and reject new ones."""
    harness.inject(FaultKind.STREAM_REFUSED, path=path, times=FOREVER)
    harness.inject(FaultKind.STREAM_CUT, path=path)


def test_f19_rest_down_blocks_entries_and_streams_are_used(harness: FaultHarness) -> None:
    harness.open_position()
    harness.inject(FaultKind.UNAVAILABLE, times=FOREVER)
    harness.measure("entries blocked", lambda: is_blocked(harness, "the account cannot be read"), 10)
    harness.move(harness.mid_price)
    harness.liquidate()
    time.sleep(10)  # represents five minutes
    assert len(harness.received_orders(ENTRY)) == 1
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the stop closes the position")
    harness.measure("reported by the stream", lambda: harness.recorded_position() == 0, 5)
    resume_trading(harness)
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


def test_f19_fill_without_rest_is_protected_afterwards(harness: FaultHarness) -> None:
    harness.trigger_entry()
    down = Fault(FaultKind.UNAVAILABLE, times=FOREVER)
    harness.exchange.inject(down)
    harness.fill()
    wait_until(lambda: harness.recorded_position(), 10, "the stream reports the fill")
    time.sleep(12)
    assert len(harness.received_orders(STOP)) <= 4
    harness.exchange.clear_faults()
    harness.wait_protected(15)
    resume_trading(harness)
    harness.check_consistency(unprotected_ms=30_000)  # no stop can be placed meanwhile


def test_f20_fills_without_streams_are_found_by_polling(harness: FaultHarness) -> None:
    harness.trigger_entry()
    cut(harness, "")
    harness.measure("entries blocked", lambda: is_blocked(harness, "the user data stream is down"), 10)
    harness.fill()
    harness.wait_protected()
    time.sleep(10)  # represents five minutes
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.close_position()
    wait_until(lambda: not harness.position, 15, "the command is executed")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    wait_until(lambda: harness.recorded_net() == harness.net(), 10, "its trades are recorded")
    resume_trading(harness)
    harness.check_consistency()


def test_f20_stop_triggered_without_streams_is_recorded(harness: FaultHarness) -> None:
    harness.open_position()
    cut(harness, "")
    wait_until(lambda: is_blocked(harness, "the user data stream is down"), 10)
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the stop closes the position")
    harness.measure(
        "stop recorded", lambda: harness.recorded_position() == 0 and harness.recorded_net() == harness.net(), 10
    )
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    resume_trading(harness)
    harness.check_consistency()


def test_f21_silent_user_stream_is_reconnected(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    harness.silence_user_stream()
    harness.trigger_entry()
    harness.measure(
        "silent user data stream detected", lambda: harness.was_blocked("the user data stream missed an update"), 15
    )
    harness.fill()
    harness.wait_protected()
    resume_trading(harness)
    harness.check_consistency()


def test_f21_user_stream_that_omits_a_fill_is_reconnected(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    harness.trigger_entry()
    harness.silence_user_stream()
    harness.fill()
    harness.measure("unreported fill protected", lambda: len(harness.orders(STOP)) == 1, 5)
    harness.measure(
        "silent user data stream detected", lambda: harness.was_blocked("the user data stream missed an update"), 15
    )
    resume_trading(harness)
    harness.check_consistency()


def test_f21_silent_market_stream_blocks_entries_and_reconnects(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.STREAM_SILENT, path="markPrice", times=FOREVER)
    harness.measure("silent market stream detected", lambda: is_blocked(harness, "market"), 15)
    harness.exchange.clear_faults()
    harness.inject(FaultKind.STREAM_SILENT, path="@", times=FOREVER)
    wait_until(lambda: is_blocked(harness, "the market stream is down: no message"), 15, "a silent socket is closed")
    resume_trading(harness)
    harness.check_consistency()


def test_f22_fills_lost_in_a_gap_are_recorded_once(harness: FaultHarness) -> None:
    harness.trigger_entry()
    cut(harness)
    harness.fill()
    harness.exchange.clear_faults()
    harness.wait_protected()
    harness.measure("lost fill recorded", lambda: len(harness.rows("SELECT 1 FROM fills")) == len(harness.fills()), 30)
    resume_trading(harness)
    harness.check_consistency()


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATED, FaultKind.REORDERED])
def test_f23_duplicate_or_reordered_events_change_nothing(harness: FaultHarness, kind: FaultKind) -> None:
    harness.inject(kind, path=USER_STREAM, times=FOREVER)
    entry = harness.open_position()
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the stop closes the position")
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


def test_f23_event_before_the_response_changes_nothing(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DROPPED_REPLY, ENTRY, path="-e", method="POST")
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.publish_update(replace(harness.orders(STOP)[0], event_at=0))  # older than any other event
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f23_late_events_change_nothing(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.LATE, path=USER_STREAM, times=FOREVER, value=12_000)  # represents a minute
    harness.fill()
    harness.wait_protected()
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "the late events have arrived")
    time.sleep(8)
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.check_consistency()


def test_f24_expired_listen_key_is_replaced(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.LISTEN_KEY_EXPIRED)
    wait_until(lambda: harness.state("user_stream").get("state") == "up" and is_key_alive(harness), 10, "a new key")
    harness.fill()
    harness.wait_protected()
    resume_trading(harness)
    harness.check_consistency()


def test_f24_listen_key_that_cannot_be_renewed_is_replaced(
    harness: FaultHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.open_position()
    close_listen_key_silently(harness)
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)  # as after half an hour: -1125
    harness.measure("new listen key", lambda: is_key_alive(harness), 10)
    harness.shift("-3")
    wait_until(lambda: not harness.position and harness.recorded_position() == 0, 5, "the new stream reports it")
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    harness.check_consistency()


def test_f24_silence_after_listen_key_expiry_is_detected(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    close_listen_key_silently(harness)
    harness.trigger_entry()
    harness.measure("new listen key after silence", lambda: is_key_alive(harness), 10)
    harness.fill()
    harness.wait_protected()
    resume_trading(harness)
    harness.check_consistency()


def close_listen_key_silently(harness: FaultHarness) -> None:
    with harness.exchange.lock:
        harness.exchange.listen_key.close()


def renewals(harness: FaultHarness) -> int:
    """Requests for the listen key that the pending fault has answered."""
    return sum(FOREVER - fault.times for fault in harness.exchange.faults.pending() if fault.path == "listenKey") // 2


def is_key_alive(harness: FaultHarness) -> bool:
    with harness.exchange.lock:
        key = harness.exchange.listen_key.active(harness.exchange.now_ms())
    return key is not None and harness.exchange._streams.has_subscriber(key)


def test_f25_stream_cut_during_an_entry_is_recovered(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DELAY, ENTRY, value=600)
    entering = threading.Thread(target=harness.trigger_entry)
    entering.start()
    wait_until(harness.decided_entries, 30, "an entry is decided")
    harness.inject(FaultKind.STREAM_CUT, path=USER_STREAM)
    entering.join(60)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.fill()
    harness.wait_protected(10)
    resume_trading(harness)
    harness.check_consistency()


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.UNKNOWN_OUTCOME, FaultKind.REJECTED])
def test_failed_renewal_of_the_listen_key_keeps_the_stream(
    harness: FaultHarness, monkeypatch: pytest.MonkeyPatch, kind: FaultKind
) -> None:
    harness.open_position()
    since = max(row["id"] for row in harness.rows("SELECT id FROM journal"))
    harness.inject(kind, path="listenKey", times=FOREVER, value=1125)
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)  # as after half an hour
    wait_until(lambda: renewals(harness) >= 3, 15, "the key cannot be extended, again and again")
    assert not harness.rows("SELECT * FROM journal WHERE kind = 'state' AND id > :since", since=since)
    assert is_key_alive(harness)
    harness.shift("-3")
    wait_until(lambda: not harness.position and harness.recorded_position() == 0, 5, "the same stream reports it")
    harness.exchange.clear_faults()
    harness.check_consistency()


def test_maintenance_ends_with_everything_as_it_was(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 on everything and streams cut; each new connection is closed at once."""
    monkeypatch.setattr(rest_health, "MIN_OUTAGE_MS", 5_000)
    harness.open_position()
    held, protection = harness.position, harness.orders()
    since = max(row["id"] for row in harness.rows("SELECT id FROM journal"))
    harness.inject(FaultKind.UNAVAILABLE, times=FOREVER)
    cut(harness, "")
    time.sleep(20)  # represents half an hour
    assert len(harness.rows("SELECT id FROM journal WHERE id > :since", since=since)) <= 12
    assert harness.state("rate_limits")["weight_used"] < 1_200
    resume_trading(harness)
    wait_until(lambda: [each for each in harness.alerts() if "could not be reached" in each], 10, "a summary")
    [summary] = [each for each in harness.alerts() if "could not be reached" in each]
    assert summary.endswith("all positions are as before")
    assert (harness.position, harness.orders()) == (held, protection)
    harness.check_consistency()


def test_connections_closed_at_once_leave_weight_and_time_to_trade(harness: FaultHarness) -> None:
    harness.open_position()
    used = harness.bot._limits.weight_used  # what the bot publishes is up to a second old
    cut(harness, "")
    time.sleep(20)
    refusals = [each for each in harness.exchange.faults.pending() if each.kind is FaultKind.STREAM_REFUSED]
    assert FOREVER - refusals[0].times <= 24, "connections of both streams in 20 s"
    assert harness.bot._limits.weight_used - used < 1_000, "of 2,400 a minute"
    resume_trading(harness)
    harness.check_consistency()
