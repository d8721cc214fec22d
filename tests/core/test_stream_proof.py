"""What the exchange knows and the private stream has not told makes the stream mute (I27)."""

from decimal import Decimal
from threading import Event

import pytest

from src.core.order_answered import OrderAnswered
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.messages import (
    CommandFailed,
    Due,
    Duty,
    QueryOrder,
    SnapshotTaken,
    Stream,
    StreamDown,
    StreamUp,
    TakeSnapshot,
)
from src.domain.orders import OrderRequest
from tests.builders import a_report
from tests.core.rig import Rig

D = Decimal
POLL = TakeSnapshot("the private stream is not to be trusted", is_poll=True)


@pytest.fixture
def renewed(rig: Rig) -> Event:
    """Set once the private stream is to be opened anew."""
    asked = Event()
    rig.desk.renew_private = asked.set
    return asked


def look(rig: Rig) -> list[object]:
    return list(rig.feed(Due(Duty.LOOK, rig.now)))


def answered(rig: Rig) -> OrderRequest:
    """An entry whose answer has come, and nothing else."""
    rig.clock.advance(2000)
    rig.prices()
    rig.liquidate()
    request = rig.last(OrderRole.ENTRY)
    rig.feed(OrderAnswered(rig.told(request)))
    return request


def is_mute(rig: Rig) -> bool:
    return "the private stream is mute" in rig.desk.standing.reason


def test_an_answer_the_stream_never_tells_makes_it_mute(rig: Rig, renewed: Event) -> None:
    request = answered(rig)
    rig.wait(4000)
    assert not is_mute(rig)
    assert not renewed.is_set()
    rig.wait(1000)
    assert f"it has not told that order {request.client_order_id} is NEW" in rig.desk.standing.reason
    assert renewed.is_set()
    rig.liquidate()
    assert rig.verdicts()[-1] == "trading_state"


def test_a_stream_that_tells_what_was_answered_is_alive(rig: Rig, renewed: Event) -> None:
    rig.accept(answered(rig))
    rig.wait(20_000)
    assert not is_mute(rig)
    assert not renewed.is_set()


def test_a_stream_that_told_before_the_answer_is_alive(rig: Rig) -> None:
    rig.clock.advance(2000)
    rig.prices()
    rig.liquidate()
    request = rig.last(OrderRole.ENTRY)
    told = rig.told(request)
    rig.feed(told)
    rig.feed(OrderAnswered(told))
    rig.wait(6000)
    assert not is_mute(rig)


def test_a_stream_that_told_more_than_the_answer_is_alive(rig: Rig) -> None:
    rig.clock.advance(2000)
    rig.prices()
    rig.liquidate()
    request = rig.last(OrderRole.ENTRY)
    accepted = rig.told(request)
    rig.fill(request, D("0.001"))
    rig.feed(OrderAnswered(accepted))
    rig.wait(6000)
    assert not is_mute(rig)


def test_a_stream_that_told_only_the_beginning_is_mute(rig: Rig) -> None:
    request = answered(rig)
    rig.accept(request)
    rig.feed(OrderAnswered(rig.told(request, status=OrderStatus.CANCELED)))
    rig.wait(6000)
    assert is_mute(rig)


def test_a_mute_stream_is_trusted_again_once_it_is_new_and_the_account_was_read(rig: Rig) -> None:
    request = answered(rig)
    rig.wait(6000)
    rig.snapshot(open_orders=(rig.told(request),))
    assert is_mute(rig)
    rig.feed(StreamUp(Stream.USER, rig.now))
    rig.snapshot(open_orders=(rig.told(request, event_at=rig.now - 7000),))
    rig.wait(10_000)
    assert rig.desk.standing.reason == ""


def test_a_snapshot_that_knows_an_order_better_makes_the_stream_mute(rig: Rig) -> None:
    request = rig.enter()
    rig.clock.advance(2000)
    rig.snapshot(open_orders=(rig.told(request, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.001")),))
    rig.wait(6000)
    assert is_mute(rig)


def test_what_happened_before_the_stream_came_up_is_not_its_debt(rig: Rig) -> None:
    request = answered(rig)
    rig.feed(StreamDown(Stream.USER, "cut", rig.now), StreamUp(Stream.USER, rig.now))
    rig.snapshot(open_orders=(rig.told(request),))
    rig.wait(6000)
    assert not is_mute(rig)


def test_a_position_the_stream_never_told_is_read_and_makes_it_mute(rig: Rig, renewed: Event) -> None:
    rig.clock.advance(2000)
    rig.prices()
    report = a_report("0.5", 50_000, updated_at=rig.now)
    assert rig.feed(PositionsChecked((report,), rig.now)) == [TakeSnapshot("a position differs")]
    rig.feed(SnapshotTaken(rig.a_snapshot(positions=(report,)), "a position differs"))
    rig.wait(5000)
    assert "it has not told that the position of BTCUSDT LONG is 0.5" in rig.desk.standing.reason
    assert renewed.is_set()


def test_a_position_the_stream_tells_in_time_is_no_debt(rig: Rig) -> None:
    rig.clock.advance(2000)
    report = a_report("0.5", 50_000, updated_at=rig.now)
    rig.feed(PositionsChecked((report,), rig.now))
    rig.feed(rig.account_update(report.position))
    rig.wait(6000)
    assert not is_mute(rig)


def test_a_position_as_we_know_it_asks_for_nothing(rig: Rig) -> None:
    rig.open_position()
    assert rig.feed(PositionsChecked((rig.report(PositionSide.LONG),), rig.now)) == []


def test_a_trusted_stream_is_looked_at_one_look_at_a_time(rig: Rig) -> None:
    assert look(rig) == [CheckPositions()]
    assert look(rig) == []
    rig.feed(PositionsChecked((), rig.now))
    assert look(rig) == [CheckPositions()]


def test_the_orders_of_a_position_that_differs_are_asked_about(rig: Rig) -> None:
    entry = rig.enter()
    rig.clock.advance(2000)
    report = a_report("0.010", 50_000, updated_at=rig.now)
    assert QueryOrder("BTCUSDT", entry.client_order_id) in rig.feed(PositionsChecked((report,), rig.now))


def test_a_stream_that_is_down_is_replaced_by_reading_the_account(rig: Rig) -> None:
    rig.feed(StreamDown(Stream.USER, "cut", rig.now))
    assert look(rig) == [POLL]
    assert look(rig) == []
    rig.snapshot()
    assert look(rig) == [POLL]


def test_a_look_that_fails_keeps_entries_back_until_one_succeeds(rig: Rig) -> None:
    look(rig)
    rig.feed(CommandFailed(CheckPositions(), None, "HTTP 503", rig.now))
    assert rig.desk.standing.reason == "the account cannot be read: HTTP 503"
    assert look(rig) == [CheckPositions()]
    rig.feed(PositionsChecked((), rig.now))
    assert rig.desk.standing.reason == ""


def test_a_look_that_is_not_answered_keeps_entries_back(rig: Rig) -> None:
    look(rig)
    rig.wait(6000)
    assert rig.desk.standing.reason == "the account cannot be read: no answer for 6 s"
    rig.snapshot()
    assert rig.desk.standing.reason == ""


def test_polls_that_fail_are_told_once(rig: Rig) -> None:
    rig.feed(StreamDown(Stream.USER, "cut", rig.now))
    for _ in range(3):
        look(rig)
        rig.feed(CommandFailed(POLL, None, "HTTP 503", rig.now))
        rig.clock.advance(2000)
    assert [each["message"] for each in rig.journal("alert")] == ["the account could not be read: HTTP 503"]
