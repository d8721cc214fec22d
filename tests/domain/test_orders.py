from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side
from src.domain.errors import ConfigError, InvariantError, RateLimited, Rejected
from src.domain.orders import TRANSITIONS, ClientOrderId, UnrecognizedOrder, new_entry_token
from src.exchange.wire.fields import LOCAL_ONLY_STATUSES
from tests.builders import ENTRY_ID, NOW, a_fill, an_order, an_update

D = Decimal


@given(
    now=st.integers(min_value=1_600_000_000_000, max_value=2_800_000_000_000),
    mark=st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=4),
    draws=st.lists(st.integers(0, 35), min_size=5, max_size=5),
    role=st.sampled_from(OrderRole),
    number=st.integers(0, 9999),
)
def test_client_order_id_round_trip(now: int, mark: str, draws: list[int], role: OrderRole, number: int) -> None:
    token = new_entry_token(now, mark, lambda _: draws.pop())
    name = ClientOrderId(token, role, number)
    assert ClientOrderId.parse(str(name)) == name
    assert (name.decided_at, name.bot_tag) == (now, mark)
    assert len(str(name)) <= 36


@pytest.mark.parametrize("text", ["", "autoclose-1", "web_abc", "lh-", "lh-abc-x1", "LH-abcdef-e", "lh-abcdef-e1x"])
def test_external_client_order_id_is_not_parsed(text: str) -> None:
    assert ClientOrderId.parse(text) is None
    assert not an_update(client_order_id=text).is_ours


def test_entry_tokens_of_same_millisecond_differ() -> None:
    assert new_entry_token(0, "bot1", lambda _: 0) == "00000000bot100000"
    assert new_entry_token(NOW, "bot1", lambda _: 1) != new_entry_token(NOW, "bot1", lambda _: 2)


def test_old_entry_token_has_no_bot_tag() -> None:
    old = ClientOrderId.parse("lh-mbv0x1k2abcde-s3")
    assert old is not None
    assert (old.bot_tag, old.decided_at) == ("", int("mbv0x1k2", 36))


def test_filled_quantity_never_decreases() -> None:
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


def test_older_update_of_same_quantity_is_ignored() -> None:
    order = an_order()
    order.apply(an_update(event_at=NOW + 10))
    assert not order.apply(an_update(event_at=NOW + 5))
    assert order.event_at == NOW + 10


def test_any_update_resolves_unresolved_order() -> None:
    """The event about an order is later than its last change, the time a query returns (E and updateTime)."""
    order = an_order()
    order.apply(an_update(event_at=NOW + 10))
    order.unresolved_since = NOW + 20
    assert order.apply(an_update(event_at=NOW + 9))
    assert (order.is_open, order.event_at) == (True, NOW + 10)
    assert order.unresolved_since is None


def test_late_fill_overrides_cancelled_status() -> None:
    order = an_order(status=OrderStatus.CANCELED)
    assert order.apply(an_update(status=OrderStatus.FILLED, filled_quantity=D("0.01")))
    assert order.status is OrderStatus.FILLED


def test_rejected_order_is_restored_when_seen() -> None:
    order = an_order(status=OrderStatus.REJECTED)
    assert order.apply(an_update())
    assert order.status is OrderStatus.NEW


def test_pending_cancel_survives_older_update() -> None:
    order = an_order(status=OrderStatus.PENDING_CANCEL)
    assert order.apply(an_update(event_at=NOW + 1))
    assert order.is_open
    assert order.apply(an_update(status=OrderStatus.CANCELED, event_at=NOW + 2))
    assert order.status is OrderStatus.CANCELED


def test_unresolved_cancel_takes_current_status() -> None:
    order = an_order(status=OrderStatus.PENDING_CANCEL, unresolved_since=NOW, not_found_count=2)
    assert order.apply(an_update(event_at=NOW + 1))
    assert order.status is OrderStatus.NEW
    assert (order.unresolved_since, order.not_found_count) == (None, 0)


def test_forbidden_transition_raises() -> None:
    with pytest.raises(InvariantError, match="cannot go from FILLED to NEW"):
        an_order(status=OrderStatus.FILLED).advance(OrderStatus.NEW)


def test_every_status_has_transitions() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


def test_fill_counts_once() -> None:
    order = an_order()
    order.apply(an_update(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=D("0.01")))
    assert order.has_missing_fills
    assert order.add_fill(a_fill(trade_id=7))
    assert not order.add_fill(a_fill(trade_id=7))
    assert order.recorded_quantity == D("0.01")
    assert not order.has_missing_fills


def test_entry_client_order_id_parses() -> None:
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
        (OrderStatus.REJECTED, True, OrderStatus.NEW),
    ],
)
def test_acknowledged_order_becomes_new(before: OrderStatus, is_listed_open: bool, after: OrderStatus) -> None:
    order = an_order(status=before)
    order.not_found_count = 2
    report = UnrecognizedOrder("BTCUSDT", order.client_order_id, 77, "status is not understood: 'ODD'", status="ODD")
    order.acknowledge(report, NOW, is_listed_open=is_listed_open)
    assert order.uncertain_since == (None if is_listed_open else NOW)
    assert (order.status, order.order_id, order.not_found_count) == (after, 77, 0)


@pytest.mark.parametrize("side", Side)
def test_opposite_side_has_opposite_sign(side: Side) -> None:
    assert side.sign + side.opposite.sign == 0
    assert side.opposite.opposite is side


@pytest.mark.parametrize(
    ("side", "hedge", "position_side"),
    [
        (Side.BUY, True, PositionSide.LONG),
        (Side.SELL, True, PositionSide.SHORT),
        (Side.SELL, False, PositionSide.BOTH),
    ],
)
def test_entry_opens_position_side_of_position_mode(side: Side, hedge: bool, position_side: PositionSide) -> None:
    assert PositionSide.opened_by(side, hedge_mode=hedge) is position_side


def test_conditional_order_types() -> None:
    assert OrderType.STOP_MARKET.is_conditional
    assert OrderType.TAKE_PROFIT.is_take_profit
    assert not OrderType.LIMIT.is_conditional
    assert not OrderType.STOP.is_take_profit


def test_terminal_order_statuses() -> None:
    assert {status for status in OrderStatus if status.is_terminal} == {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    }


def test_error_messages() -> None:
    assert ConfigError("one", "two").messages == ("one", "two")
    assert str(Rejected(-2019, "Margin is insufficient.")) == "Margin is insufficient. (-2019)"
    assert RateLimited("slow down", 5, banned=True).banned


@pytest.mark.parametrize("known", list(OrderStatus))
@pytest.mark.parametrize("told", [each for each in OrderStatus if each not in LOCAL_ONLY_STATUSES])
def test_no_status_that_the_exchange_may_report_raises(known: OrderStatus, told: OrderStatus) -> None:
    for filled in ("0", "0.002", "0.005", "0.01"):
        for at in (NOW - 1, NOW, NOW + 1):
            order = an_order(status=known, filled_quantity=Decimal("0.002"))
            order.apply(an_update(order.request, status=told, filled_quantity=Decimal(filled), event_at=at))
            assert order.filled_quantity == max(Decimal("0.002"), Decimal(filled))


@pytest.mark.parametrize("known", [each for each in OrderStatus if each.is_terminal])
@pytest.mark.parametrize("told", [OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED])
def test_end_after_an_end_keeps_the_first_and_counts_the_fills(known: OrderStatus, told: OrderStatus) -> None:
    order = an_order(status=known, filled_quantity=Decimal("0.002"))
    assert order.apply(an_update(order.request, status=told, filled_quantity=Decimal("0.005"), event_at=NOW + 1))
    assert (order.status.is_terminal, order.filled_quantity) == (True, Decimal("0.005"))
    assert order.status in (known, told)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (OrderStatus.PARTIALLY_FILLED, OrderStatus.NEW),
        (OrderStatus.PARTIALLY_FILLED, OrderStatus.REJECTED),
    ],
)
def test_impossible_status_of_an_open_order_is_asked_about(known: OrderStatus, told: OrderStatus) -> None:
    order = an_order(status=known, filled_quantity=Decimal("0.002"))
    order.apply(an_update(order.request, status=told, filled_quantity=Decimal("0.005"), event_at=NOW + 1))
    assert (order.status, order.unresolved_since) == (known, NOW + 1)
