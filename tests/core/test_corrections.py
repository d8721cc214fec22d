"""Books that differ from the exchange are put right, written down once, and twice in ten minutes is once too often."""

from decimal import Decimal

from src.core.standing import Obstacle
from src.domain.decisions import Gate
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction, Stream, StreamUp
from tests.builders import NOW
from tests.core.rig import Rig

D = Decimal


def differ(rig: Rig, quantity: str) -> None:
    """The exchange reports another quantity, and nothing has told us of it for longer than the grace."""
    rig.wait(6_000)
    read(rig, quantity)


def read(rig: Rig, quantity: str) -> None:
    """The account is read: so much is held, and its protection stands."""
    shown = tuple(rig.told(each) for each in (rig.last(OrderRole.STOP_LOSS), rig.last(OrderRole.TAKE_PROFIT)))
    rig.clock.advance(10)
    rig.snapshot(positions=(rig.report(quantity=D(quantity), entry_price=D(50_000)),), open_orders=shown)


def listen_again(rig: Rig, quantity: str) -> None:
    """The private stream, mute as it seemed, was opened anew, and what it missed has been read."""
    rig.feed(StreamUp(Stream.USER, rig.now))
    rig.clock.advance(10)
    read(rig, quantity)


def corrections(rig: Rig) -> list[tuple[str, str, str, bool]]:
    rows = rig.rows("SELECT id, believed, reported, is_explained FROM corrections ORDER BY at")
    return [(row["id"], row["believed"], row["reported"], bool(row["is_explained"])) for row in rows]


def test_a_difference_is_repaired_and_written_down_with_the_last_trade_we_knew(rig: Rig) -> None:
    rig.open_position()
    differ(rig, "0.008")
    assert rig.position().quantity == D("0.008")
    assert corrections(rig) == [("BTCUSDT LONG 0.008 1", "0.010", "0.008", False)]
    assert "corrected from 0.010 to 0.008" in rig.journal("alert")[-1]["message"]
    assert not rig.desk.standing.has(Obstacle.BOOKS)


def test_the_same_difference_is_not_written_down_twice(rig: Rig) -> None:
    rig.open_position()
    differ(rig, "0.008")
    rig.desk.books.holding(("BTCUSDT", rig.position().position_side)).position = rig.position().after(
        rig.position().side, D("0.002"), D(50_000)
    )[0]
    differ(rig, "0.008")
    assert len(corrections(rig)) == 1
    assert rig.position().quantity == D("0.008")
    assert not rig.desk.standing.has(Obstacle.BOOKS)


def test_a_second_difference_within_ten_minutes_halts_entries_until_a_person_resumes(rig: Rig) -> None:
    rig.command(OperatorAction.RESUME)
    rig.open_position()
    differ(rig, "0.008")
    listen_again(rig, "0.008")
    differ(rig, "0.006")
    assert rig.desk.standing.has(Obstacle.BOOKS)
    [alarm] = [each["message"] for each in rig.journal("alert") if each["level"] == "error"]
    assert alarm.startswith("positions differed from the exchange 2 times within ten minutes")
    again = rig.restart().connect(positions=(rig.report(quantity=D("0.006"), entry_price=D(50_000)),))
    assert again.desk.standing.has(Obstacle.BOOKS)
    assert again.desk.standing.awaits_resume
    again.liquidate()
    assert again.verdicts()[-1] == Gate.TRADING_STATE
    again.command(OperatorAction.RESUME)
    assert not again.desk.standing.has(Obstacle.BOOKS)


def test_a_second_difference_after_ten_minutes_is_only_put_right(rig: Rig) -> None:
    rig.open_position()
    differ(rig, "0.008")
    listen_again(rig, "0.008")
    rig.wait(10 * 60_000)
    differ(rig, "0.006")
    assert len(corrections(rig)) == 2
    assert not rig.desk.standing.has(Obstacle.BOOKS)


def test_what_happened_while_nobody_listened_is_no_contradiction(rig: Rig) -> None:
    rig.open_position()
    for quantity in ("0.008", "0.006"):
        rig.feed(StreamUp(Stream.USER, rig.now))
        differ(rig, quantity)
    assert [explained for *_, explained in corrections(rig)] == [True, True]
    assert not rig.desk.standing.has(Obstacle.BOOKS)
    assert rig.now > NOW
