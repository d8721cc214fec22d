"""Streams that are cut, mute, late or disordered, and an exchange that answers by one way only (F19-F25)."""

import threading
import time
from dataclasses import replace

import pytest

from src.core import user_stream
from src.domain.enums import OrderRole
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP, TAKE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
PRIVATE = "user"


def is_held_back(rig: Rig, why: str) -> bool:
    state, reason = rig.trading()
    return state != "ACTIVE" and why in reason


def trades_again(rig: Rig) -> None:
    rig.exchange.clear_faults()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "it trades again")


def cut(rig: Rig, path: str = PRIVATE) -> None:
    """The connection breaks, and no new one can be made."""
    rig.inject(FaultKind.STREAM_REFUSED, path=path, times=FOREVER)
    rig.inject(FaultKind.STREAM_CUT, path=path)


def test_f19_without_rest_entries_halt_and_the_position_is_followed(rig: Rig) -> None:
    rig.open_position()
    rig.inject(FaultKind.UNAVAILABLE, times=FOREVER)
    rig.measure("entries halted", lambda: is_held_back(rig, "the account cannot be read"), 10)
    rig.move(rig.middle)
    rig.liquidate()
    time.sleep(10)  # a while of it: thirty such pieces make the five minutes
    assert len(rig.arrived(ENTRY)) == 1
    assert len(rig.orders(STOP)) == len(rig.arrived(STOP)) == 1
    rig.shift("-3")
    wait_until(lambda: not rig.position, 2, "the resting stop closes")
    rig.measure("told by the stream", lambda: rig.booked_position() == 0, 5)
    trades_again(rig)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


def test_f19_a_fill_without_rest_is_protected_when_it_is_back_and_nothing_was_stormed(rig: Rig) -> None:
    rig.hunt()
    down = Fault(FaultKind.UNAVAILABLE, times=FOREVER)
    rig.exchange.inject(down)
    rig.fill()
    wait_until(lambda: rig.booked_position(), 10, "the stream tells the fill")
    time.sleep(12)
    assert len(rig.arrived(STOP)) <= 4
    rig.exchange.clear_faults()
    rig.wait_protected(15)
    trades_again(rig)
    rig.check_books(naked_ms=30_000)  # nobody can place a stop meanwhile


def test_f20_without_streams_fills_are_protected_and_stops_booked_by_reading(rig: Rig) -> None:
    rig.hunt()
    cut(rig, "")
    rig.measure("entries halted", lambda: is_held_back(rig, "the private stream is down"), 10)
    rig.fill()
    rig.wait_protected()
    time.sleep(10)  # a while of it: thirty such pieces make the five minutes
    assert len(rig.arrived(STOP)) == len(rig.orders(STOP)) == 1
    rig.close_position()
    wait_until(lambda: not rig.position, 15, "a person's wish is carried out")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    wait_until(lambda: rig.booked_net() == rig.net(), 10, "its trades are booked")
    trades_again(rig)
    rig.check_books()


def test_f20_a_stop_that_fires_without_streams_is_booked(rig: Rig) -> None:
    rig.open_position()
    cut(rig, "")
    wait_until(lambda: is_held_back(rig, "the private stream is down"), 10)
    rig.shift("-3")
    wait_until(lambda: not rig.position, 2, "the resting stop closes")
    rig.measure("a stop is booked", lambda: rig.booked_position() == 0 and rig.booked_net() == rig.net(), 10)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    trades_again(rig)
    rig.check_books()


def test_f21_a_private_stream_that_is_mute_is_opened_anew(rig: Rig) -> None:
    rig.wait_private_proof()
    rig.mute()
    rig.hunt()
    rig.measure("the private stream is called mute", lambda: rig.was_held_back("the private stream is mute"), 15)
    rig.fill()
    rig.wait_protected()
    trades_again(rig)
    rig.check_books()


def test_f21_a_private_stream_that_withholds_a_fill_is_opened_anew(rig: Rig) -> None:
    rig.wait_private_proof()
    rig.hunt()
    rig.mute()
    rig.fill()
    rig.measure("a mute fill is protected", lambda: len(rig.orders(STOP)) == 1, 5)
    rig.measure("the private stream is called mute", lambda: rig.was_held_back("the private stream is mute"), 15)
    trades_again(rig)
    rig.check_books()


def test_f21_a_market_stream_that_is_mute_halts_entries_and_is_opened_anew(rig: Rig) -> None:
    rig.hunt()
    rig.inject(FaultKind.STREAM_MUTE, path="markPrice", times=FOREVER)
    rig.measure("the market stream is called silent", lambda: is_held_back(rig, "market"), 15)
    rig.exchange.clear_faults()
    rig.inject(FaultKind.STREAM_MUTE, path="@", times=FOREVER)
    wait_until(lambda: is_held_back(rig, "the market stream is down: no message"), 15, "a mute socket is given up")
    trades_again(rig)
    rig.check_books()


def test_f22_fills_lost_in_a_gap_are_found_and_booked_once(rig: Rig) -> None:
    rig.hunt()
    cut(rig)
    rig.fill()
    rig.exchange.clear_faults()
    rig.wait_protected()
    rig.measure("a lost fill is booked", lambda: len(rig.rows("SELECT 1 FROM fills")) == len(rig.fills()), 30)
    trades_again(rig)
    rig.check_books()


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATED, FaultKind.REORDERED])
def test_f23_events_twice_or_in_the_wrong_order_end_as_if_in_order(rig: Rig, kind: FaultKind) -> None:
    rig.inject(kind, path=PRIVATE, times=FOREVER)
    entry = rig.open_position()
    rig.shift("-3")
    wait_until(lambda: not rig.position, 2, "the resting stop closes")
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


def test_f23_a_stream_that_speaks_before_the_answer_ends_as_if_in_order(rig: Rig) -> None:
    rig.inject(FaultKind.DROPPED_REPLY, ENTRY, path="-e", method="POST")
    entry = rig.hunt()
    rig.fill()
    rig.wait_protected()
    rig.tell(replace(rig.orders(STOP)[0], event_at=0))  # as old as can be
    wait_until(lambda: rig.status(entry) == "FILLED", 10)
    rig.check_books()


def test_f23_events_a_minute_late_change_nothing_any_more(rig: Rig) -> None:
    rig.hunt()
    rig.inject(FaultKind.LATE, path=PRIVATE, times=FOREVER, value=12_000)  # a minute, and none of it waited for
    rig.fill()
    rig.wait_protected()
    rig.exchange.clear_faults()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 30, "what was late has come")
    time.sleep(8)
    assert len(rig.arrived(STOP)) == len(rig.orders(STOP)) == 1
    rig.check_books()


def test_f24_a_listen_key_that_ends_is_replaced_and_the_account_read(rig: Rig) -> None:
    rig.hunt()
    rig.inject(FaultKind.LISTEN_KEY_EXPIRED)
    wait_until(lambda: rig.state("user_stream").get("state") == "up" and is_key_alive(rig), 10, "a new key")
    rig.fill()
    rig.wait_protected()
    trades_again(rig)
    rig.check_books()


def test_f24_a_listen_key_that_cannot_be_extended_is_replaced(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.open_position()
    end_key_in_silence(rig)
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)  # half an hour has passed: -1125
    rig.measure("a new key is heard", lambda: is_key_alive(rig), 10)
    rig.shift("-3")
    wait_until(lambda: not rig.position and rig.booked_position() == 0, 5, "the new stream tells")
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    rig.check_books()


def test_f24_a_listen_key_that_nobody_extended_ends_and_the_silence_is_noticed(rig: Rig) -> None:
    rig.wait_private_proof()
    end_key_in_silence(rig)
    rig.hunt()
    rig.measure("a new key after silence is heard", lambda: is_key_alive(rig), 10)
    rig.fill()
    rig.wait_protected()
    trades_again(rig)
    rig.check_books()


def end_key_in_silence(rig: Rig) -> None:
    with rig.exchange.lock:
        rig.exchange.listen_key.close()


def is_key_alive(rig: Rig) -> bool:
    with rig.exchange.lock:
        key = rig.exchange.listen_key.active(rig.exchange.now_ms())
    return key is not None and rig.exchange._streams.is_wanted(key)


def test_f25_a_stream_cut_as_an_entry_leaves_is_read_after_first(rig: Rig) -> None:
    rig.inject(FaultKind.DELAY, ENTRY, value=600)
    hunting = threading.Thread(target=rig.hunt)
    hunting.start()
    wait_until(rig.decided, 30, "an entry is decided")
    rig.inject(FaultKind.STREAM_CUT, path=PRIVATE)
    hunting.join(60)
    assert len(rig.arrived(ENTRY)) == 1
    rig.fill()
    rig.wait_protected(10)
    trades_again(rig)
    rig.check_books()
