"""Another bot of this kind on the account: told by mark and time, and not forgotten with the process (F41, I4)."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.core.plans.recall import Instance, is_of_another_bot
from src.domain.enums import OrderRole, OrderStatus
from src.domain.messages import OperatorAction
from src.domain.orders import ClientOrderId, new_entry_token
from tests.builders import NOW, a_position, a_request, an_update, some_settings
from tests.core.rig import LONG, Rig

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
OURS = Instance("ours", born_at=NOW, started_at=NOW + 60_000)


def named(at: int, mark: str = "else", letter: str = "e") -> str:
    """What a bot calls an order whose entry it decides at that instant."""
    return f"lh-{new_entry_token(at, mark, lambda _: 7)}-{letter}"


@pytest.mark.parametrize(
    ("mark", "made_at", "is_anothers"),
    [
        ("else", NOW - 1, False),  # it may be from the ledger before ours, which is lost
        ("else", NOW + 1, True),
        ("", NOW - 1, False),
        ("ours", NOW + 1, False),  # our ledger may be an old copy that was put back
        ("ours", NOW + 60_001, True),  # it runs on a copy of our ledger
    ],
)
def test_an_order_that_the_ledger_lacks_is_told_apart_by_mark_and_time(
    mark: str, made_at: int, is_anothers: bool
) -> None:
    entry = ClientOrderId.parse(named(made_at, mark))
    stop = ClientOrderId.parse(named(NOW - 10_000, mark, "s1"))
    assert entry is not None
    assert stop is not None
    assert is_of_another_bot(an_update(event_at=made_at), entry, OURS) is is_anothers
    assert is_of_another_bot(an_update(event_at=made_at), stop, OURS) is is_anothers


def see(rig: Rig, name: str, role: OrderRole = ENTRY) -> None:
    rig.feed(an_update(a_request(role, client_order_id=name), order_id=77, event_at=rig.now))


def test_our_ids_bear_a_mark_that_outlives_the_process(rig: Rig) -> None:
    first = ClientOrderId.parse(rig.enter().client_order_id)
    again = rig.restart().connect()
    assert first is not None
    assert len(first.mark) == 4
    assert again.desk.mark == first.mark


def test_an_entry_made_while_we_run_that_is_not_in_the_ledger_is_another_bots(rig: Rig) -> None:
    rig.clock.advance(1000)
    name = named(rig.now)
    see(rig, name)
    assert rig.desk.standing.reason == (
        f"another bot trades on this account: it made {name} of BTCUSDT; stop one of the two, then resume"
    )
    assert rig.desk.books.orders == {}
    assert [each.client_order_id for each in rig.desk.books.foreign_orders.values()] == [name]
    assert rig.journal("alert")[-1]["message"] == rig.desk.standing.reason
    rig.command(OperatorAction.RESUME)
    assert rig.desk.standing.reason == ""


def test_a_stop_made_while_we_run_for_an_old_entry_is_another_bots(rig: Rig) -> None:
    rig.clock.advance(1000)
    see(rig, a_request(STOP, 3).client_order_id, STOP)
    assert "another bot" in rig.desk.standing.reason
    assert (rig.submitted(), rig.cancelled()) == ([], [])


def test_a_stop_of_another_bot_does_not_become_ours_by_its_end(rig: Rig) -> None:
    """The end of an order does not tell when it was made."""
    rig.clock.advance(1000)
    stop = a_request(STOP, 3)
    see(rig, stop.client_order_id, STOP)
    rig.feed(rig.account_update(a_position()))
    rig.feed(an_update(stop, order_id=77, status=OrderStatus.CANCELED, event_at=rig.now))
    assert rig.desk.books.orders == {}
    assert not rig.desk.books.holdings[LONG].is_ours


def test_an_old_stop_that_fires_while_we_run_is_ours(rig: Rig) -> None:
    """Its ledger was lost; the end of an order does not tell when it was made."""
    rig.clock.advance(1000)
    rig.feed(an_update(a_request(STOP, 3), order_id=77, status=OrderStatus.CANCELED, event_at=rig.now))
    assert "another bot" not in rig.desk.standing.reason


def test_neither_the_halt_nor_the_others_orders_are_forgotten_with_the_process(rig: Rig) -> None:
    rig.command(OperatorAction.RESUME)
    rig.clock.advance(1000)
    seen, unseen = named(rig.now), named(rig.now + 1000)
    see(rig, seen)
    rig.clock.advance(60_000)
    again = rig.restart().connect()
    assert "another bot" in again.desk.standing.reason
    again.clock.advance(1000)
    for name in (seen, unseen):
        update = an_update(a_request(client_order_id=name), order_id=77, event_at=again.now - 50_000)
        again.feed(update)
    again.audit()
    assert again.desk.books.orders == {}
    assert again.cancelled() == []
    again.command(OperatorAction.RESUME)
    assert "another bot" not in again.restart().connect().desk.standing.reason


def test_what_a_person_has_resumed_after_is_not_told_once_more(rig: Rig) -> None:
    rig.clock.advance(1000)
    see(rig, named(rig.now))
    rig.command(OperatorAction.RESUME)
    see(rig, named(rig.now))
    assert rig.desk.standing.reason == ""
    rig.clock.advance(1000)
    see(rig, named(rig.now))
    assert "another bot" in rig.desk.standing.reason


def test_a_bot_on_a_copy_of_our_ledger_is_told_and_told_apart_from_then_on(rig: Rig) -> None:
    mark = rig.desk.mark
    rig.clock.advance(1000)
    first, second = named(rig.now, mark), named(rig.now + 500, mark)
    see(rig, first)
    assert "another bot" in rig.desk.standing.reason
    assert rig.desk.mark != mark
    rig.clock.advance(60_000)
    again = rig.restart().connect()
    again.feed(an_update(a_request(client_order_id=second), order_id=78, event_at=again.now - 50_000))
    assert again.desk.books.orders == {}


def test_an_order_of_ours_from_before_a_copy_of_the_ledger_was_put_back_is_taken_up(rig: Rig) -> None:
    stop = replace(a_request(STOP, 1), client_order_id=named(rig.now + 1000, rig.desk.mark, "s1"))
    rig.clock.advance(60_000)
    again = rig.restart().connect()
    again.feed(an_update(stop, order_id=77, event_at=again.now - 30_000))
    assert list(again.desk.books.orders) == [stop.client_order_id]
    assert again.desk.standing.reason == ""


def test_a_halt_for_another_bot_does_not_hold_back_paper(path: Path) -> None:
    rig = Rig(path).connect()
    rig.clock.advance(1000)
    see(rig, named(rig.now))
    paper = rig.restart(some_settings({"simulate_only": True})).connect()
    assert paper.desk.standing.reason == ""
    real = paper.restart(some_settings()).connect()
    assert "another bot" in real.desk.standing.reason
