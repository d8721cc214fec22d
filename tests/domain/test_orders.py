from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import OrderRole, OrderStatus
from src.domain.errors import InvariantError
from src.domain.orders import TRANSITIONS, ClientOrderId, new_entry_token
from tests.builders import ENTRY_ID, NOW, a_fill, an_order, an_update

D = Decimal


@given(
    now=st.integers(min_value=1_600_000_000_000, max_value=2_800_000_000_000),
    mark=st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=4),
    draws=st.lists(st.integers(0, 35), min_size=5, max_size=5),
    role=st.sampled_from(OrderRole),
    number=st.integers(0, 9999),
)
def test_client_order_ids_survive_the_exchange(
    now: int, mark: str, draws: list[int], role: OrderRole, number: int
) -> None:
    token = new_entry_token(now, mark, lambda _: draws.pop())
    name = ClientOrderId(token, role, number)
    assert ClientOrderId.parse(str(name)) == name
    assert (name.decided_at, name.mark) == (now, mark)
    assert len(str(name)) <= 36


@pytest.mark.parametrize("text", ["", "autoclose-1", "web_abc", "lh-", "lh-abc-x1", "LH-abcdef-e", "lh-abcdef-e1x"])
def test_orders_of_others_are_not_ours(text: str) -> None:
    assert ClientOrderId.parse(text) is None
    assert not an_update(client_order_id=text).is_ours


def test_entry_tokens_of_one_instant_differ_by_what_is_drawn() -> None:
    assert new_entry_token(0, "bot1", lambda _: 0) == "00000000bot100000"
    assert new_entry_token(NOW, "bot1", lambda _: 1) != new_entry_token(NOW, "bot1", lambda _: 2)


def test_an_entry_named_before_bots_had_marks_bears_none() -> None:
    old = ClientOrderId.parse("lh-mbv0x1k2abcde-s3")
    assert old is not None
    assert (old.mark, old.decided_at) == ("", int("mbv0x1k2", 36))


def test_filled_quantity_never_falls() -> None:
    order = an_order()
    order.apply(an_update(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.006"), average_price=D(50)))
    assert not order.apply(an_update(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.004"), event_at=NOW + 9))
    assert (order.filled_quantity, order.average_price) == (D("0.006"), D(50))
    assert order.remaining_quantity == D("0.004")


def test_new_after_filled_changes_nothing() -> None:
    order = an_order(status=OrderStatus.PENDING_NEW)
    assert order.apply(an_update(status=OrderStatus.FILLED, filled_quantity=D("0.01"), event_at=NOW + 5))
    assert not order.apply(an_update(status=OrderStatus.NEW, event_at=NOW))
    assert order.status is OrderStatus.FILLED
    assert not order.is_open


def test_older_news_of_the_same_quantity_is_ignored() -> None:
    order = an_order()
    order.apply(an_update(event_at=NOW + 10))
    assert not order.apply(an_update(event_at=NOW + 5))
    assert order.event_at == NOW + 10


def test_what_is_told_of_a_doubted_order_ends_the_doubt_however_old_its_time() -> None:
    """The event of an order is younger than its last change, by which a query answers (E and updateTime)."""
    order = an_order()
    order.apply(an_update(event_at=NOW + 10))
    order.unresolved_since = NOW + 20
    assert order.apply(an_update(event_at=NOW + 9))
    assert (order.is_open, order.event_at) == (True, NOW + 10)
    assert order.unresolved_since is None


def test_a_cancelled_order_yields_to_a_late_fill() -> None:
    order = an_order(status=OrderStatus.CANCELED)
    assert order.apply(an_update(status=OrderStatus.FILLED, filled_quantity=D("0.01")))
    assert order.status is OrderStatus.FILLED


def test_an_order_declared_absent_is_taken_up_when_it_is_seen() -> None:
    order = an_order(status=OrderStatus.REJECTED)
    assert order.apply(an_update())
    assert order.status is OrderStatus.NEW


def test_a_cancel_under_way_is_not_undone_by_old_news() -> None:
    order = an_order(status=OrderStatus.PENDING_CANCEL)
    assert order.apply(an_update(event_at=NOW + 1))
    assert order.is_open
    assert order.apply(an_update(status=OrderStatus.CANCELED, event_at=NOW + 2))
    assert order.status is OrderStatus.CANCELED


def test_a_doubted_cancel_takes_what_the_order_is_now() -> None:
    order = an_order(status=OrderStatus.PENDING_CANCEL, unresolved_since=NOW, not_found=2)
    assert order.apply(an_update(event_at=NOW + 1))
    assert order.status is OrderStatus.NEW
    assert (order.unresolved_since, order.not_found) == (None, 0)


def test_a_status_the_table_does_not_allow_is_a_contradiction() -> None:
    with pytest.raises(InvariantError, match="cannot go from FILLED to NEW"):
        an_order(status=OrderStatus.FILLED).advance(OrderStatus.NEW)


def test_every_status_has_its_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


def test_a_fill_counts_once() -> None:
    order = an_order()
    order.apply(an_update(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.01")))
    assert order.lacks_fills
    assert order.book(a_fill(trade_id=7))
    assert not order.book(a_fill(trade_id=7))
    assert order.booked_quantity == D("0.01")
    assert not order.lacks_fills


def test_an_entry_names_itself() -> None:
    parsed = ClientOrderId.parse(ENTRY_ID)
    assert parsed is not None
    assert parsed.role is OrderRole.ENTRY
    assert {role.letter for role in OrderRole} == set("etsc")


@pytest.mark.parametrize(
    ("before", "is_listed_open", "after"),
    [
        (OrderStatus.PENDING_NEW, True, OrderStatus.NEW),
        (OrderStatus.PENDING_NEW, False, OrderStatus.PENDING_NEW),
        (OrderStatus.PARTIALLY_FILLED, True, OrderStatus.PARTIALLY_FILLED),
        (OrderStatus.PENDING_CANCEL, True, OrderStatus.PENDING_CANCEL),
    ],
)
def test_an_order_shown_in_words_that_tell_no_more_exists(
    before: OrderStatus, is_listed_open: bool, after: OrderStatus
) -> None:
    order = an_order(status=before)
    order.not_found = 2
    order.acknowledge(77, is_listed_open=is_listed_open)
    assert (order.status, order.order_id, order.not_found) == (after, 77, 0)
