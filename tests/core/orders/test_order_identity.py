"""Another bot of this kind on the account: recognized by tag and time, and remembered after a restart (F41, I4)."""

from dataclasses import replace
from pathlib import Path

from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole, OrderStatus
from src.domain.orders import ClientOrderId, new_entry_token
from tests.builders import a_position, a_request, an_update, some_settings
from tests.core.harness import LONG, Harness

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS


def named(at: int, mark: str = "else", letter: str = "e") -> str:
    """The client order id a bot gives an order of an entry decided at that instant."""
    return f"lh-{new_entry_token(at, mark, lambda _: 7)}-{letter}"


def see(harness: Harness, name: str, role: OrderRole = ENTRY) -> None:
    harness.feed(an_update(a_request(role, client_order_id=name), order_id=77, event_at=harness.now))


def test_bot_tag_survives_restart(harness: Harness) -> None:
    first = ClientOrderId.parse(harness.enter().client_order_id)
    again = harness.restart().connect()
    assert first is not None
    assert len(first.bot_tag) == 4
    assert again.context.bot_tag == first.bot_tag


def test_unknown_new_entry_belongs_to_other_bot(harness: Harness) -> None:
    harness.clock.advance(1000)
    name = named(harness.now)
    see(harness, name)
    assert harness.context.trading_status.reason == (
        f"another bot trades on this account (order {name} of BTCUSDT); stop one of the two bots, then resume"
    )
    assert harness.context.portfolio.orders == {}
    assert [each.client_order_id for each in harness.context.portfolio.external_orders.values()] == [name]
    assert harness.journal("alert")[-1]["message"] == harness.context.trading_status.reason
    harness.command(OperatorAction.RESUME)
    assert harness.context.trading_status.reason == ""


def test_unknown_new_stop_belongs_to_other_bot(harness: Harness) -> None:
    harness.clock.advance(1000)
    see(harness, a_request(STOP, 3).client_order_id, STOP)
    assert "another bot" in harness.context.trading_status.reason
    assert (harness.submitted(), harness.cancelled()) == ([], [])


def test_closed_stop_of_other_bot_is_not_ours(harness: Harness) -> None:
    """The last event of an order does not say when it was placed."""
    harness.clock.advance(1000)
    stop = a_request(STOP, 3)
    see(harness, stop.client_order_id, STOP)
    harness.feed(harness.account_update(a_position()))
    harness.feed(an_update(stop, order_id=77, status=OrderStatus.CANCELED, event_at=harness.now))
    assert harness.context.portfolio.orders == {}
    assert not harness.context.portfolio.tracked_positions[LONG].is_managed


def test_old_stop_that_triggers_is_ours(harness: Harness) -> None:
    """Our database was lost, and the last event of an order does not say when it was placed."""
    harness.clock.advance(1000)
    harness.feed(an_update(a_request(STOP, 3), order_id=77, status=OrderStatus.CANCELED, event_at=harness.now))
    assert "another bot" not in harness.context.trading_status.reason


def test_other_bot_is_remembered_after_restart(harness: Harness) -> None:
    harness.command(OperatorAction.RESUME)
    harness.clock.advance(1000)
    seen, unseen = named(harness.now), named(harness.now + 1000)
    see(harness, seen)
    harness.clock.advance(60_000)
    again = harness.restart().connect()
    assert "another bot" in again.context.trading_status.reason
    again.clock.advance(1000)
    for name in (seen, unseen):
        update = an_update(a_request(client_order_id=name), order_id=77, event_at=again.now - 50_000)
        again.feed(update)
    again.audit()
    assert again.context.portfolio.orders == {}
    assert again.cancelled() == []
    again.command(OperatorAction.RESUME)
    assert "another bot" not in again.restart().connect().context.trading_status.reason


def test_resumed_other_bot_is_not_reported_again(harness: Harness) -> None:
    harness.clock.advance(1000)
    see(harness, named(harness.now))
    harness.command(OperatorAction.RESUME)
    see(harness, named(harness.now))
    assert harness.context.trading_status.reason == ""
    harness.clock.advance(1000)
    see(harness, named(harness.now))
    assert "another bot" in harness.context.trading_status.reason


def test_bot_on_database_copy_is_detected(harness: Harness) -> None:
    mark = harness.context.bot_tag
    harness.clock.advance(1000)
    first, second = named(harness.now, mark), named(harness.now + 500, mark)
    see(harness, first)
    assert "another bot" in harness.context.trading_status.reason
    assert harness.context.bot_tag != mark
    harness.clock.advance(60_000)
    again = harness.restart().connect()
    again.feed(an_update(a_request(client_order_id=second), order_id=78, event_at=again.now - 50_000))
    assert again.context.portfolio.orders == {}


def test_own_order_from_before_restored_backup_is_adopted(harness: Harness) -> None:
    stop = replace(a_request(STOP, 1), client_order_id=named(harness.now + 1000, harness.context.bot_tag, "s1"))
    harness.clock.advance(60_000)
    again = harness.restart().connect()
    again.feed(an_update(stop, order_id=77, event_at=again.now - 30_000))
    assert list(again.context.portfolio.orders) == [stop.client_order_id]
    assert again.context.trading_status.reason == ""


def test_other_bot_does_not_block_paper(path: Path) -> None:
    harness = Harness(path).connect()
    harness.clock.advance(1000)
    see(harness, named(harness.now))
    paper = harness.restart(some_settings({"simulate_only": True})).connect()
    assert paper.context.trading_status.reason == ""
    real = paper.restart(some_settings()).connect()
    assert "another bot" in real.context.trading_status.reason
