"""Streams are trusted by what they bring; what was missed is read before an entry is made."""

import json
from pathlib import Path
from threading import Event

from src.core.inbox import MOST_LIQUIDATIONS, Inbox
from src.core.vitals import Vitals
from src.domain.clock import ManualClock
from src.domain.messages import Command, Due, Duty, SnapshotTaken, Stream, StreamDown, StreamUp, TakeSnapshot
from tests.builders import a_liquidation, a_mark, a_quote
from tests.core.rig import Rig


def reason(rig: Rig) -> str:
    return rig.desk.standing.reason


def test_a_private_stream_that_was_down_is_trusted_after_a_snapshot(rig: Rig) -> None:
    rig.feed(StreamDown(Stream.USER, "reset", rig.now))
    assert reason(rig) == "the private stream is down: reset"
    rig.snapshot()
    assert reason(rig) == "the private stream is down: reset"
    rig.clock.advance(10)
    assert rig.feed(StreamUp(Stream.USER, rig.now)) == [TakeSnapshot("user stream up")]
    assert "is being read" in reason(rig)
    rig.snapshot()
    assert reason(rig) == ""
    assert [each["state"] for each in rig.journal("state")][-2:] == ["REDUCE_ONLY", "ACTIVE"]


def test_a_snapshot_asked_for_before_the_stream_came_up_proves_nothing(rig: Rig) -> None:
    rig.feed(Due(Duty.RECONCILE, rig.now))
    early = rig.a_snapshot()
    rig.clock.advance(10)
    rig.feed(StreamDown(Stream.USER, "reset", rig.now), StreamUp(Stream.USER, rig.now))
    assert rig.feed(SnapshotTaken(early, "reconcile"))[-1] == TakeSnapshot(
        "the private stream came up after the last question"
    )
    assert "is being read" in reason(rig)


def test_a_silent_market_keeps_entries_back(rig: Rig) -> None:
    rig.clock.advance(10_000)
    rig.audit()
    assert reason(rig) == ""
    rig.clock.advance(1000)
    rig.feed(a_quote(received_at=rig.now))
    rig.audit()
    assert reason(rig) == "no market price for 11 s"
    rig.prices()
    rig.audit()
    assert reason(rig) == ""


def test_a_market_stream_that_is_down_keeps_entries_back(rig: Rig) -> None:
    rig.feed(StreamDown(Stream.MARKET, "cut", rig.now))
    rig.wait(2000)
    assert reason(rig) == "the market stream is down: cut"
    rig.feed(StreamUp(Stream.MARKET, rig.now))
    rig.wait(1000)
    assert reason(rig) == ""


def test_a_clock_that_is_off_keeps_entries_back(rig: Rig) -> None:
    rig.vitals = Vitals(weight_limit=2400, clock_offset_ms=-1001)
    rig.audit()
    assert "clock is 1001 ms ahead of the exchange's" in reason(rig)


def test_a_computer_whose_clock_is_set_while_we_run_keeps_entries_back(rig: Rig) -> None:
    rig.vitals = Vitals(weight_limit=2400, clock_offset_ms=10, clock_strayed_ms=-3_600_000)
    rig.audit()
    assert "clock is 3600010 ms behind the exchange's" in reason(rig)
    [told] = rig.rows("SELECT value FROM state WHERE key = 'bot'")
    assert json.loads(told["value"])["heartbeat_at"] == rig.now - 3_600_000
    rig.vitals = Vitals(weight_limit=2400, clock_offset_ms=10)
    rig.audit()
    assert reason(rig) == ""


def test_prices_alone_open_no_transaction(rig: Rig) -> None:
    before = len(rig.rows("SELECT * FROM journal"))
    assert rig.feed(a_mark(), a_quote()) == []
    assert rig.feed() == []
    assert len(rig.rows("SELECT * FROM journal")) == before


def test_the_trader_handles_what_its_inbox_brings_until_it_is_closed(path: Path) -> None:
    rig = Rig(path)
    inbox, left = Inbox(), list[Command]()
    beats = Event()
    inbox.post(a_liquidation())
    inbox.close()
    rig.trader.run(inbox, left.extend, beats.set)
    assert beats.is_set()
    assert left == [TakeSnapshot("reconcile")]
    assert len(rig.verdicts()) == 1


def test_a_backlog_of_liquidations_keeps_entries_back(path: Path) -> None:
    rig = Rig(path, clock=ManualClock(a_liquidation().traded_at))
    inbox = Inbox()
    inbox.close()
    rig.trader.run(inbox, lambda _: None, lambda: None)
    rig.connect()
    for _ in range(5001):
        inbox.post(a_liquidation())
    rig.audit()
    assert reason(rig) == "5001 liquidations wait to be judged"


def test_liquidations_that_came_too_fast_are_told(path: Path) -> None:
    rig = Rig(path, clock=ManualClock(a_liquidation().traded_at))
    inbox = Inbox()
    inbox.close()
    rig.trader.run(inbox, lambda _: None, lambda: None)
    rig.connect()
    for _ in range(MOST_LIQUIDATIONS + 2):
        inbox.post(a_liquidation())
    for _ in range(2):
        rig.audit()
    assert [each["message"] for each in rig.journal("alert")] == ["2 liquidations came too fast to be stored or judged"]
    [told] = rig.rows("SELECT value FROM state WHERE key = 'inbox'")
    assert json.loads(told["value"]) == {"waiting": MOST_LIQUIDATIONS, "dropped": 2, "lag_ms": 0}


def test_old_history_is_pruned_when_due(rig: Rig) -> None:
    rig.liquidate(1000)
    rig.clock.advance(40 * 24 * 3_600_000)
    rig.feed(Due(Duty.PRUNE, rig.now))
    assert rig.rows("SELECT * FROM liquidations") == []
