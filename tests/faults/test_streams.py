"""Streams that are cut, mute, late or disordered, and an exchange that answers by one way only (F19-F25)."""

import threading
import time
from dataclasses import replace

import pytest

from src.core import user_stream
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
PRIVATE = "user"


def is_held_back(harness: FaultHarness, why: str) -> bool:
    state, reason = harness.trading_status()
    return state != "ACTIVE" and why in reason


def trades_again(harness: FaultHarness) -> None:
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "it trades again")


def cut(harness: FaultHarness, path: str = PRIVATE) -> None:
    """The connection breaks, and no new one can be made."""
    harness.inject(FaultKind.STREAM_REFUSED, path=path, times=FOREVER)
    harness.inject(FaultKind.STREAM_CUT, path=path)


def test_f19_without_rest_entries_halt_and_the_position_is_followed(harness: FaultHarness) -> None:
    harness.open_position()
    harness.inject(FaultKind.UNAVAILABLE, times=FOREVER)
    harness.measure("entries blocked", lambda: is_held_back(harness, "the account cannot be read"), 10)
    harness.move(harness.mid_price)
    harness.liquidate()
    time.sleep(10)  # a while of it: thirty such pieces make the five minutes
    assert len(harness.received_orders(ENTRY)) == 1
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the resting stop closes")
    harness.measure("reported by the stream", lambda: harness.recorded_position() == 0, 5)
    trades_again(harness)
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


def test_f19_a_fill_without_rest_is_protected_when_it_is_back_and_nothing_was_stormed(harness: FaultHarness) -> None:
    harness.trigger_entry()
    down = Fault(FaultKind.UNAVAILABLE, times=FOREVER)
    harness.exchange.inject(down)
    harness.fill()
    wait_until(lambda: harness.recorded_position(), 10, "the stream tells the fill")
    time.sleep(12)
    assert len(harness.received_orders(STOP)) <= 4
    harness.exchange.clear_faults()
    harness.wait_protected(15)
    trades_again(harness)
    harness.check_consistency(unprotected_ms=30_000)  # nobody can place a stop meanwhile


def test_f20_without_streams_fills_are_protected_and_stops_booked_by_reading(harness: FaultHarness) -> None:
    harness.trigger_entry()
    cut(harness, "")
    harness.measure("entries blocked", lambda: is_held_back(harness, "the user data stream is down"), 10)
    harness.fill()
    harness.wait_protected()
    time.sleep(10)  # a while of it: thirty such pieces make the five minutes
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.close_position()
    wait_until(lambda: not harness.position, 15, "a person's wish is carried out")
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    wait_until(lambda: harness.recorded_net() == harness.net(), 10, "its trades are booked")
    trades_again(harness)
    harness.check_consistency()


def test_f20_a_stop_that_fires_without_streams_is_booked(harness: FaultHarness) -> None:
    harness.open_position()
    cut(harness, "")
    wait_until(lambda: is_held_back(harness, "the user data stream is down"), 10)
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the resting stop closes")
    harness.measure(
        "stop recorded", lambda: harness.recorded_position() == 0 and harness.recorded_net() == harness.net(), 10
    )
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    trades_again(harness)
    harness.check_consistency()


def test_f21_a_private_stream_that_is_mute_is_opened_anew(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    harness.silence_user_stream()
    harness.trigger_entry()
    harness.measure(
        "silent user data stream detected", lambda: harness.was_blocked("the user data stream missed an update"), 15
    )
    harness.fill()
    harness.wait_protected()
    trades_again(harness)
    harness.check_consistency()


def test_f21_a_private_stream_that_withholds_a_fill_is_opened_anew(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    harness.trigger_entry()
    harness.silence_user_stream()
    harness.fill()
    harness.measure("unreported fill protected", lambda: len(harness.orders(STOP)) == 1, 5)
    harness.measure(
        "silent user data stream detected", lambda: harness.was_blocked("the user data stream missed an update"), 15
    )
    trades_again(harness)
    harness.check_consistency()


def test_f21_a_market_stream_that_is_mute_halts_entries_and_is_opened_anew(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.STREAM_SILENT, path="markPrice", times=FOREVER)
    harness.measure("silent market stream detected", lambda: is_held_back(harness, "market"), 15)
    harness.exchange.clear_faults()
    harness.inject(FaultKind.STREAM_SILENT, path="@", times=FOREVER)
    wait_until(lambda: is_held_back(harness, "the market stream is down: no message"), 15, "a mute socket is given up")
    trades_again(harness)
    harness.check_consistency()


def test_f22_fills_lost_in_a_gap_are_found_and_booked_once(harness: FaultHarness) -> None:
    harness.trigger_entry()
    cut(harness)
    harness.fill()
    harness.exchange.clear_faults()
    harness.wait_protected()
    harness.measure("lost fill recorded", lambda: len(harness.rows("SELECT 1 FROM fills")) == len(harness.fills()), 30)
    trades_again(harness)
    harness.check_consistency()


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATED, FaultKind.REORDERED])
def test_f23_events_twice_or_in_the_wrong_order_end_as_if_in_order(harness: FaultHarness, kind: FaultKind) -> None:
    harness.inject(kind, path=PRIVATE, times=FOREVER)
    entry = harness.open_position()
    harness.shift("-3")
    wait_until(lambda: not harness.position, 2, "the resting stop closes")
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


def test_f23_a_stream_that_speaks_before_the_answer_ends_as_if_in_order(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DROPPED_REPLY, ENTRY, path="-e", method="POST")
    entry = harness.trigger_entry()
    harness.fill()
    harness.wait_protected()
    harness.publish_update(replace(harness.orders(STOP)[0], event_at=0))  # as old as can be
    wait_until(lambda: harness.status(entry) == "FILLED", 10)
    harness.check_consistency()


def test_f23_events_a_minute_late_change_nothing_any_more(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.LATE, path=PRIVATE, times=FOREVER, value=12_000)  # a minute, and none of it waited for
    harness.fill()
    harness.wait_protected()
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 30, "what was late has come")
    time.sleep(8)
    assert len(harness.received_orders(STOP)) == len(harness.orders(STOP)) == 1
    harness.check_consistency()


def test_f24_a_listen_key_that_ends_is_replaced_and_the_account_read(harness: FaultHarness) -> None:
    harness.trigger_entry()
    harness.inject(FaultKind.LISTEN_KEY_EXPIRED)
    wait_until(lambda: harness.state("user_stream").get("state") == "up" and is_key_alive(harness), 10, "a new key")
    harness.fill()
    harness.wait_protected()
    trades_again(harness)
    harness.check_consistency()


def test_f24_a_listen_key_that_cannot_be_extended_is_replaced(
    harness: FaultHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.open_position()
    end_key_in_silence(harness)
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)  # half an hour has passed: -1125
    harness.measure("new listen key", lambda: is_key_alive(harness), 10)
    harness.shift("-3")
    wait_until(lambda: not harness.position and harness.recorded_position() == 0, 5, "the new stream tells")
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    harness.check_consistency()


def test_f24_a_listen_key_that_nobody_extended_ends_and_the_silence_is_noticed(harness: FaultHarness) -> None:
    harness.wait_past_stream_start()
    end_key_in_silence(harness)
    harness.trigger_entry()
    harness.measure("new listen key after silence", lambda: is_key_alive(harness), 10)
    harness.fill()
    harness.wait_protected()
    trades_again(harness)
    harness.check_consistency()


def end_key_in_silence(harness: FaultHarness) -> None:
    with harness.exchange.lock:
        harness.exchange.listen_key.close()


def is_key_alive(harness: FaultHarness) -> bool:
    with harness.exchange.lock:
        key = harness.exchange.listen_key.active(harness.exchange.now_ms())
    return key is not None and harness.exchange._streams.has_subscriber(key)


def test_f25_a_stream_cut_as_an_entry_leaves_is_read_after_first(harness: FaultHarness) -> None:
    harness.inject(FaultKind.DELAY, ENTRY, value=600)
    hunting = threading.Thread(target=harness.trigger_entry)
    hunting.start()
    wait_until(harness.decided_entries, 30, "an entry is decided")
    harness.inject(FaultKind.STREAM_CUT, path=PRIVATE)
    hunting.join(60)
    assert len(harness.received_orders(ENTRY)) == 1
    harness.fill()
    harness.wait_protected(10)
    trades_again(harness)
    harness.check_consistency()
