"""A position without a working stop for five seconds: alarm, no entries, MISSING, and closed where that is certain."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.core.trading_status import EntryBlock
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from tests.builders import a_position, a_report, an_update, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE
CAUSES = ["never sent", "every answer lost", "no rules", "no entry price", "no settings"]


def open_without_stop(harness: Harness, cause: str) -> None:
    """Open a position that gets no working stop, and let ``cause`` last."""
    entry = harness.enter()
    match cause:
        case "no rules":
            harness.context.instruments = {}
        case "no settings":
            harness.context.settings = some_settings().model_copy(update={"symbols": {}})
    harness.fill(entry)
    if cause == "no entry price":
        tracked = harness.context.portfolio.tracked(LONG)
        for stop in harness.submitted(STOP):
            harness.reject(stop, None)
        tracked.position = replace(tracked.position, entry_price=D(0))


def pass_seconds(harness: Harness, cause: str, seconds: int) -> None:
    for _ in range(seconds):
        for stop in harness.submitted(STOP):
            order = harness.order(stop)
            if order.status is OrderStatus.PENDING_NEW and cause == "never sent":
                harness.reject(stop, None)
            elif order.status is OrderStatus.PENDING_NEW and order.unresolved_since is None:
                harness.lose_response(stop)
        harness.wait(1_000)


def alarms(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if "has had no stop loss" in each["message"]]


def shown(harness: Harness) -> str:
    return str(harness.rows("SELECT protection FROM positions")[0]["protection"])


@pytest.mark.parametrize("cause", CAUSES)
def test_unprotected_position_raises_alarm_every_ten_seconds(harness: Harness, cause: str) -> None:
    open_without_stop(harness, cause)
    pass_seconds(harness, cause, 4)
    assert alarms(harness) == []
    pass_seconds(harness, cause, 1)
    assert len(alarms(harness)) == 1
    assert "BTCUSDT LONG 0.010 has had no stop loss for 5 s" in alarms(harness)[0]
    assert shown(harness) == "missing"
    assert harness.context.trading_status.has(EntryBlock.UNPROTECTED)
    assert "BTCUSDT LONG 0.010" in harness.context.trading_status.reason
    pass_seconds(harness, cause, 20)
    assert len(alarms(harness)) == 3
    assert harness.submitted(CLOSE) == []  # nothing shows that the exchange has no stop


@pytest.mark.parametrize("cause", CAUSES)
def test_unprotected_position_is_closed_where_the_exchange_knows_no_stop(harness: Harness, cause: str) -> None:
    open_without_stop(harness, cause)
    pass_seconds(harness, cause, 3)
    harness.snapshot(positions=(harness.report(),))
    pass_seconds(harness, cause, 1)
    assert harness.submitted(CLOSE) == []
    pass_seconds(harness, cause, 1)
    [close] = harness.submitted(CLOSE)
    assert (close.type, close.quantity) == (OrderType.MARKET, D("0.010"))
    assert "close orders sent: 1" in alarms(harness)[0]
    harness.fill(close)
    harness.wait(1_000)
    assert not harness.context.trading_status.has(EntryBlock.UNPROTECTED)


def test_stop_of_a_person_prevents_the_close_not_the_alarm(harness: Harness) -> None:
    open_without_stop(harness, "never sent")
    pass_seconds(harness, "never sent", 3)
    theirs = an_update(
        client_order_id="web-1",
        side=Side.SELL,
        type=OrderType.STOP_MARKET,
        original_type=OrderType.STOP_MARKET,
        position_side=PositionSide.LONG,
    )
    harness.snapshot(positions=(harness.report(),), open_orders=(theirs,))
    pass_seconds(harness, "never sent", 10)
    assert harness.submitted(CLOSE) == []
    assert len(alarms(harness)) == 1


def test_working_stop_ends_the_alarm(harness: Harness) -> None:
    open_without_stop(harness, "never sent")
    pass_seconds(harness, "never sent", 6)
    harness.accept(harness.last(STOP))
    harness.wait(1_000)
    assert shown(harness) == "ok"
    assert not harness.context.trading_status.has(EntryBlock.UNPROTECTED)
    harness.wait(20_000)
    assert len(alarms(harness)) == 1


def test_unprotected_position_blocks_and_cancels_entries(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry, "0.004")
    pass_seconds(harness, "never sent", 6)
    assert harness.cancelled() == [entry.client_order_id]
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.TRADING_STATE


def test_position_with_an_unconfirmed_entry_is_not_overlooked(harness: Harness) -> None:
    harness.lose_response(harness.enter())
    harness.feed(harness.account_update(a_position()))
    harness.wait(6_000)
    assert "its entry is not confirmed" in alarms(harness)[0]
    assert harness.submitted(CLOSE) == []


def test_external_position_is_not_part_of_this(harness: Harness) -> None:
    harness.clock.advance(10_000)
    harness.snapshot(positions=(a_report("0.5", 50_000, updated_at=harness.now),))
    harness.wait(12_000)
    assert alarms(harness) == []
    assert not harness.context.trading_status.has(EntryBlock.UNPROTECTED)


def test_external_position_beside_an_entry_that_cannot_be_cancelled_is_not_part_of_this(harness: Harness) -> None:
    entry = harness.enter()
    harness.feed(harness.account_update(a_position("0.5")))
    for _ in range(10):
        harness.wait(2_000)
        harness.accept(entry)  # each query shows it open and unfilled
    assert alarms(harness) == []
    assert not harness.context.trading_status.has(EntryBlock.UNPROTECTED)


def test_disabled_stop_is_not_missing(path: Path) -> None:
    harness = Harness(path, some_settings(stop_loss_enabled=False)).connect()
    harness.fill(harness.enter())
    harness.snapshot(positions=(harness.report(),))
    harness.wait(12_000)
    assert (alarms(harness), harness.submitted(CLOSE)) == ([], [])
    assert shown(harness) == "disabled"


def test_unexplained_position_that_no_stop_protects_is_closed(harness: Harness) -> None:
    """Its stop loss would have closed all of it, whoever opened it."""
    open_without_stop(harness, "never sent")
    pass_seconds(harness, "never sent", 3)
    harness.snapshot(positions=(harness.report(),))
    harness.context.portfolio.tracked(LONG).trades.has_others = True
    harness.close_position()
    assert harness.submitted(CLOSE) == []  # a person's request waits until it is explained
    pass_seconds(harness, "never sent", 5)
    assert [each.quantity for each in harness.submitted(CLOSE)] == [harness.position().quantity]
    assert len(alarms(harness)) == 1


def test_evidence_about_one_position_does_not_close_the_next(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    open_without_stop(harness, "never sent")
    pass_seconds(harness, "never sent", 3)
    harness.snapshot(positions=(harness.report(),))
    pass_seconds(harness, "never sent", 2)
    harness.fill(harness.last(CLOSE))
    pass_seconds(harness, "never sent", 1)
    open_without_stop(harness, "never sent")
    closes = len(harness.submitted(CLOSE))
    pass_seconds(harness, "never sent", 8)
    assert len(harness.submitted(CLOSE)) == closes
    assert len(alarms(harness)) == 2


def test_stop_from_before_the_position_changed_sides_protects_nothing(path: Path) -> None:
    harness = Harness(path, some_settings({"hedge_mode": False})).connect()
    harness.open_position()
    old = harness.last(STOP)
    reversed_ = replace(harness.position(PositionSide.BOTH), quantity=D("-0.010"))
    harness.clock.advance(10_000)
    harness.feed(harness.account_update(reversed_))
    for _ in range(6):
        new = harness.last(STOP)
        if harness.order(new).status is OrderStatus.PENDING_NEW:
            harness.reject(new)
        harness.wait(1_000)
    [alarm] = alarms(harness)
    assert "BTCUSDT SHORT 0.010 has had no stop loss for 5 s" in alarm
    row = harness.rows("SELECT protection, stop_loss_price FROM positions")[0]
    assert tuple(row.values()) == ("missing", None)
    assert harness.order(old).status is OrderStatus.NEW
