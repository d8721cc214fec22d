"""Maintenance of the exchange: 503 on everything and streams cut, for half an hour."""

from src.core.trading_status import EntryBlock
from src.domain.commands import CheckPositions, TakeSnapshot
from src.domain.enums import OrderRole
from src.domain.events import CommandFailed, PositionsChecked, Stream, StreamDown, StreamUp, Task, TaskDue
from src.domain.positions import Position
from tests.core.harness import LONG, Harness

HALF_HOUR = 30 * 60
_STEP_SECONDS = 4


def outage(harness: Harness, seconds: int) -> None:
    """Nothing responds; now and then a connection opens and is closed at once."""
    for stream in Stream:
        harness.feed(StreamDown(stream, "connection failed: ConnectionRefusedError", harness.now))
    for second in range(0, seconds, _STEP_SECONDS):
        harness.clock.advance(_STEP_SECONDS * 1_000)
        sent = harness.feed(TaskDue(Task.CHECK_POSITIONS, harness.now), TaskDue(Task.EVERY_SECOND, harness.now))
        for command in sent:
            reason = "no response" if second % 60 else "HTTP 503"
            harness.feed(CommandFailed(command, None, reason, harness.now))
        if second % 40 == 0:
            harness.feed(StreamUp(Stream.MARKET, harness.now))
            harness.feed(StreamDown(Stream.MARKET, "closed by the exchange, code 1008", harness.now))


def recover(harness: Harness, **snapshot: object) -> None:
    harness.feed(StreamUp(Stream.MARKET, harness.now), StreamUp(Stream.USER, harness.now))
    harness.prices()
    harness.snapshot(**snapshot)
    harness.audit()


def alerts(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert")]


def test_half_an_hour_of_maintenance_ends_as_it_began_with_one_line(harness: Harness) -> None:
    harness.open_position()
    before, lines = harness.position(), len(harness.rows("SELECT id FROM journal"))
    orders, locks = len(harness.submitted()), dict(harness.context.symbol_locks)
    stop, take_profit = harness.last(OrderRole.STOP_LOSS), harness.last(OrderRole.TAKE_PROFIT)
    outage(harness, HALF_HOUR)
    assert len(harness.rows("SELECT id FROM journal")) - lines < 60
    recover(harness, positions=(harness.report(),), open_orders=tuple(map(harness.update_for, (stop, take_profit))))
    assert harness.context.trading_status.reason == ""
    assert harness.position() == before
    assert (len(harness.submitted()), harness.cancelled()) == (orders, [])
    assert harness.context.symbol_locks == locks
    [summary] = [each for each in alerts(harness) if "could not be reached" in each]
    assert "(30 min)" in summary
    assert summary.endswith("Stop losses stayed at the exchange; all positions are as before")
    assert len(alerts(harness)) <= 4


def test_summary_names_what_changed_meanwhile(harness: Harness) -> None:
    harness.open_position()
    outage(harness, 60)
    harness.feed(harness.account_update(Position(*LONG)))
    recover(harness)
    assert alerts(harness)[-1].endswith("positions changed meanwhile: BTCUSDT LONG 0.010 → 0")


def test_short_outage_has_no_summary(harness: Harness) -> None:
    harness.feed(CommandFailed(CheckPositions(), None, "HTTP 503", harness.now))
    harness.wait(20_000)
    harness.feed(PositionsChecked((), harness.now))
    harness.audit()
    assert not harness.context.trading_status.has(EntryBlock.REST)
    assert alerts(harness) == []


def test_a_reason_that_counts_up_is_journaled_once(harness: Harness) -> None:
    harness.feed(TaskDue(Task.CHECK_POSITIONS, harness.now))
    before = len(harness.journal("state"))
    harness.wait(60_000)
    assert harness.context.trading_status.reason.startswith("the account cannot be read: no response for 60 s")
    assert len(harness.journal("state")) - before <= 2


def test_failed_reads_of_an_outage_change_nothing(harness: Harness) -> None:
    harness.open_position()
    held = harness.position()
    harness.feed(CommandFailed(TakeSnapshot("reconcile"), None, "HTTP 503", harness.now))
    assert harness.position() == held
