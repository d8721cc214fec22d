"""Behind every position of ours stands a stop: first, new before old, and a close where none can stand."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.core.operator.settings_changed import SettingsChanged
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.messages import FetchFills, OrderNotFound, OrderRefused, QueryOrder, TakeSnapshot
from src.domain.orders import OrderRequest
from tests.builders import a_liquidation, a_position, an_instrument, some_settings
from tests.core.rig import LONG, Rig

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_the_stop_follows_the_first_partial_fill_and_the_take_profit_its_answer(rig: Rig) -> None:
    entry = rig.enter()
    rig.fill(entry, "0.004")
    stop = rig.last(STOP)
    assert (stop.side, stop.position_side, stop.type) == (Side.SELL, PositionSide.LONG, OrderType.STOP_MARKET)
    assert (stop.stop_price, stop.close_position, stop.quantity) == (D("49000.0"), True, None)
    assert rig.submitted(TAKE) == []
    rig.accept(stop)
    assert rig.last(TAKE).stop_price == D("50500.0")
    rig.fill(entry)
    assert (len(rig.submitted(STOP)), len(rig.submitted(TAKE))) == (1, 1)
    parents = rig.rows("SELECT DISTINCT main_order_id FROM order_relationships")
    assert [row["main_order_id"] for row in parents] == [entry.client_order_id]


def test_the_position_row_says_how_it_is_protected(rig: Rig) -> None:
    entry = rig.enter()
    states = []
    rig.fill(entry)
    states.append(rig.rows("SELECT protection FROM positions")[0]["protection"])
    rig.audit()
    states.append(rig.rows("SELECT protection FROM positions")[0]["protection"])
    rig.accept(rig.last(STOP))
    rig.audit()
    row = rig.rows("SELECT * FROM positions")[0]
    assert [*states, row["protection"]] == ["pending", "pending", "ok"]
    assert (row["stop_loss_price"], row["leverage"], row["margin_type"]) == ("49000.0", 10, "ISOLATED")


def two_entries(path: Path) -> Rig:
    """A position at 50,000 that a second entry has brought to 49,500."""
    rig = Rig(path, some_settings({"cooldown_sec": 0})).connect()
    rig.open_position()
    second = rig.enter()
    rig.fill(second, price=49_000)
    return rig


def test_a_new_average_moves_the_stop_new_before_old(path: Path) -> None:
    rig = two_entries(path)
    old, new = rig.submitted(STOP)
    assert new.stop_price == D("48510.0")
    assert rig.cancelled() == []
    rig.accept(new)
    assert old.client_order_id in rig.cancelled()
    assert rig.last(TAKE).stop_price == D("49995.0")
    rig.accept(rig.last(TAKE))
    assert len(rig.cancelled()) == 2


def test_a_refused_successor_leaves_the_old_stop_and_the_position(path: Path) -> None:
    rig = two_entries(path)
    for _ in range(3):
        rig.refuse(rig.last(STOP), -4045)
    assert rig.submitted(CLOSE) == []
    assert rig.cancelled() == []
    rig.wait(29_000)
    assert len(rig.submitted(STOP)) == 4
    rig.wait(2_000)
    assert len(rig.submitted(STOP)) == 5


def test_where_only_one_stop_may_close_all_one_of_the_positions_size_bridges_the_change(path: Path) -> None:
    rig = two_entries(path)
    old, refused = rig.submitted(STOP)
    rig.refuse(refused, -4130)
    bridge = rig.last(STOP)
    assert (bridge.quantity, bridge.close_position, bridge.stop_price) == (D("0.020"), False, D("48510.0"))
    assert rig.cancelled() == []
    rig.accept(bridge)
    assert rig.cancelled() == [old.client_order_id]
    rig.accept(rig.last(TAKE))
    rig.ended(old)
    rig.wait(9_000)
    assert rig.last(STOP) == bridge
    rig.wait(2_000)
    whole = rig.last(STOP)
    assert (whole.close_position, whole.stop_price) == (True, D("48510.0"))
    rig.accept(whole)
    assert rig.cancelled()[-1] == bridge.client_order_id
    assert rig.submitted(CLOSE) == []


def test_a_stop_the_exchange_proves_to_stand_by_refusing_a_second_needs_no_close(rig: Rig) -> None:
    rig.fill(rig.enter())
    first = rig.last(STOP)
    rig.lose(first)
    rig.wait(3100)
    rig.refuse(rig.last(STOP), -4130)
    rig.accept(rig.last(STOP))
    rig.accept(first)
    assert rig.cancelled() == [rig.last(STOP).client_order_id]
    assert len(rig.submitted(STOP)) == 3
    assert rig.submitted(CLOSE) == []


def test_a_stop_refused_three_times_closes_the_position(rig: Rig) -> None:
    entry = rig.enter()
    rig.fill(entry)
    for _ in range(2):
        rig.refuse(rig.last(STOP))
        assert rig.submitted(CLOSE) == []
    rig.refuse(rig.last(STOP))
    close = rig.last(CLOSE)
    assert (close.type, close.side, close.quantity) == (OrderType.MARKET, Side.SELL, D("0.010"))
    assert len(rig.submitted(STOP)) == 3
    rig.wait(31_000)
    assert len(rig.submitted(STOP)) == 4


def test_a_stop_that_would_trigger_at_once_closes_at_market(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.refuse(rig.last(STOP), -2021)
    assert rig.last(CLOSE).type is OrderType.MARKET
    assert len(rig.submitted(STOP)) == 1


def test_a_take_profit_that_would_trigger_at_once_closes_at_market(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.accept(rig.last(STOP))
    rig.refuse(rig.last(TAKE), -2021)
    assert rig.last(CLOSE).type is OrderType.MARKET
    assert len(rig.submitted(TAKE)) == 1


def test_a_take_profit_refused_three_times_is_left_alone(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.accept(rig.last(STOP))
    for _ in range(3):
        rig.refuse(rig.last(TAKE))
    rig.wait(3000)
    assert len(rig.submitted(TAKE)) == 3
    assert rig.submitted(CLOSE) == []


def test_an_accepted_stop_forgets_its_refusals(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.refuse(rig.last(STOP))
    rig.refuse(rig.last(STOP))
    assert rig.desk.books.holdings[LONG].refusals == {STOP: 2}
    rig.accept(rig.last(STOP))
    assert rig.desk.books.holdings[LONG].refusals == {}


def test_a_stop_that_never_left_is_tried_again_by_the_audit(rig: Rig) -> None:
    rig.fill(rig.enter())
    assert rig.refuse(rig.last(STOP), None) == []
    rig.wait(1000)
    assert len(rig.submitted(STOP)) == 2


def test_a_refused_close_climbs_the_ladder(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    kinds: list[OrderType] = []
    for _ in range(6):
        kinds.append(rig.last(CLOSE).type)
        rig.refuse(rig.last(CLOSE), -4131)
        rig.wait(1000)
    assert kinds == [OrderType.MARKET, OrderType.LIMIT] * 3
    limit = next(each for each in rig.submitted(CLOSE) if each.type is OrderType.LIMIT)
    assert (limit.time_in_force, limit.price) == (TimeInForce.IOC, D("47750.0"))
    sent = len(rig.submitted(CLOSE))
    rig.wait(20_000)
    assert len(rig.submitted(CLOSE)) == sent
    assert rig.cancelled() == []
    rig.wait(11_000)
    assert len(rig.submitted(CLOSE)) == sent + 1


def test_a_refused_close_has_the_account_read(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    rig.refuse(rig.last(CLOSE), -2022)
    assert rig.of(TakeSnapshot)[-1].reason == "a close was refused"
    rig.clock.advance(6000)
    rig.snapshot(positions=(rig.report(quantity=D(0), entry_price=D(0)),))
    assert not rig.position().is_open


def test_a_close_that_fills_takes_its_protection_along(rig: Rig) -> None:
    rig.open_position()
    rig.close_position()
    rig.fill(rig.last(CLOSE), price=49_000, pnl=-10)
    assert not rig.position().is_open
    rig.wait(1000)
    standing = {rig.submitted(STOP)[0].client_order_id, rig.last(TAKE).client_order_id}
    assert standing <= set(rig.cancelled())


def test_a_take_profit_in_a_thin_book_leaves_the_rest_protected(rig: Rig) -> None:
    rig.open_position()
    rig.fill(rig.last(TAKE), "0.004", pnl=2)
    assert rig.position().quantity == D("0.006")
    assert rig.cancelled() == []
    assert rig.order(rig.last(STOP)).status is OrderStatus.NEW


def test_a_stop_cancelled_by_hand_is_replaced(rig: Rig) -> None:
    rig.open_position()
    rig.ended(rig.last(STOP))
    assert len(rig.submitted(STOP)) == 2


def test_the_answer_to_a_stop_that_is_lost_brings_another_within_three_seconds(rig: Rig) -> None:
    rig.fill(rig.enter())
    first = rig.last(STOP)
    assert rig.lose(first) == [QueryOrder("BTCUSDT", first.client_order_id)]
    rig.wait(1900)
    assert len(rig.submitted(STOP)) == 1
    rig.wait(1100)
    second = rig.last(STOP)
    assert second != first
    rig.accept(second)
    assert rig.submitted(TAKE) != []
    rig.accept(first)  # it stands after all: one of the two goes
    assert rig.cancelled() == [second.client_order_id]


def test_a_position_bare_for_five_seconds_is_closed_where_the_exchange_answers(rig: Rig) -> None:
    rig.fill(rig.enter())
    for _ in range(6):
        for stop in rig.submitted(STOP):
            if rig.order(stop).unresolved_since is None:
                rig.lose(stop)
            rig.feed(OrderNotFound("BTCUSDT", stop.client_order_id, rig.now))
        assert rig.submitted(CLOSE) == []
        rig.wait(1000)
    assert [each.type for each in rig.submitted(CLOSE)] == [OrderType.MARKET]


def test_a_position_bare_while_the_exchange_is_out_of_reach_is_stopped_when_it_is_back(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.lose(rig.last(STOP))
    rig.wait(8000)
    rig.feed(OrderNotFound("BTCUSDT", rig.submitted(STOP)[0].client_order_id, rig.now))
    rig.accept(rig.last(STOP))
    rig.wait(6000)
    assert rig.submitted(CLOSE) == []


def test_a_refusal_to_let_us_in_is_no_verdict_on_a_stop(rig: Rig) -> None:
    rig.fill(rig.enter())
    for attempt in range(1, 6):
        stop = rig.last(STOP)
        rig.feed(OrderRefused("BTCUSDT", stop.client_order_id, -2015, "key", rig.now, of_access=True))
        assert len(rig.submitted(STOP)) == attempt
        rig.wait(1000)
    rig.accept(rig.last(STOP))
    assert (rig.submitted(CLOSE), rig.desk.books.holdings[LONG].refusals) == ([], {})


def test_an_order_without_any_verdict_is_asked_about(rig: Rig) -> None:
    rig.fill(rig.enter())
    rig.wait(5000)
    assert QueryOrder("BTCUSDT", rig.submitted(STOP)[0].client_order_id) in rig.sent


def test_a_fill_only_the_account_has_told_is_asked_about_and_protected(rig: Rig) -> None:
    entry = rig.enter()
    rig.feed(rig.account_update(a_position()))
    assert rig.submitted(STOP) == []  # it may be somebody else's
    rig.wait(1000)
    assert QueryOrder("BTCUSDT", entry.client_order_id) in rig.sent
    rig.feed(rig.told(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price))
    assert rig.last(STOP).stop_price == D("49000.0")
    assert rig.of(FetchFills) != []


def test_a_symbol_that_left_the_settings_is_protected_as_before(path: Path) -> None:
    rig = Rig(path).connect()
    rig.open_position()
    rig.feed(SettingsChanged(some_settings().model_copy(update={"symbols": {}})))
    rig.ended(rig.last(STOP))
    assert rig.last(STOP).stop_price == D("49000.0")
    assert len(rig.submitted(STOP)) == 2


def test_new_distances_move_the_protection(rig: Rig) -> None:
    rig.open_position()
    rig.feed(SettingsChanged(some_settings(stop_loss_pct=3, take_profit_enabled=False)))
    rig.audit()
    assert rig.last(STOP).stop_price == D("48500.0")
    assert rig.cancelled() == [rig.last(TAKE).client_order_id]


def test_what_is_too_small_to_close_is_said(rig: Rig) -> None:
    rig.desk.instruments = {"BTCUSDT": an_instrument(market_step=D("0.1"))}
    rig.open_position()
    rig.close_position()
    rig.wait(2000)
    assert rig.submitted(CLOSE) == []
    assert [each["message"] for each in rig.journal("alert")].count(
        "what is left of BTCUSDT is too small to close by an order"
    ) == 1


def test_a_position_the_exchange_delisted_is_left_to_a_person(rig: Rig) -> None:
    rig.open_position()
    rig.desk.instruments = {}
    rig.close_position()
    rig.wait(1000)
    assert rig.submitted(CLOSE) == []
    assert "must be closed by hand" in rig.journal("alert")[-1]["message"]


@pytest.mark.parametrize("first", ["stop", "close"])
def test_a_fill_of_an_exit_never_turns_the_position(rig: Rig, first: str) -> None:
    rig.open_position()
    exit_request: OrderRequest = rig.last(STOP)
    if first == "close":
        rig.close_position()
        exit_request = rig.last(CLOSE)
    rig.clock.advance(5)
    fill = rig.a_fill(exit_request, "0.02")
    rig.feed(rig.filled_by(exit_request, fill))
    assert not rig.position().is_open


def test_entries_of_a_burst_do_not_delay_a_stop(rig: Rig) -> None:
    entry = rig.enter()
    fill = rig.a_fill(entry)
    commands = rig.feed(*[a_liquidation() for _ in range(100)], rig.account_after(fill), rig.filled_by(entry, fill))
    assert getattr(commands[0], "request", None) == rig.last(STOP)
