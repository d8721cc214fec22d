"""Every position has a stop: placed first, replaced new before old, and closed if no stop can be placed."""

from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from src.core.events import SettingsChanged
from src.domain.commands import FetchFills, OperatorAction, QueryOrder, TakeSnapshot
from src.domain.enums import OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.events import OrderNotFound, OrderRejected
from src.domain.orders import OrderRequest
from tests.builders import a_liquidation, a_position, an_instrument, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


def test_stop_follows_first_fill_and_take_profit_the_stop(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry, "0.004")
    stop = harness.last(STOP)
    assert (stop.side, stop.position_side, stop.type) == (Side.SELL, PositionSide.LONG, OrderType.STOP_MARKET)
    assert (stop.stop_price, stop.close_position, stop.quantity) == (D("49000.0"), True, None)
    assert harness.submitted(TAKE) == []
    harness.accept(stop)
    assert harness.last(TAKE).stop_price == D("50500.0")
    harness.fill(entry)
    assert (len(harness.submitted(STOP)), len(harness.submitted(TAKE))) == (1, 1)
    parents = harness.rows("SELECT DISTINCT entry_client_order_id FROM order_relationships")
    assert [row["entry_client_order_id"] for row in parents] == [entry.client_order_id]


def test_position_row_shows_protection(harness: Harness) -> None:
    entry = harness.enter()
    states = []
    harness.fill(entry)
    states.append(harness.rows("SELECT protection FROM positions")[0]["protection"])
    harness.audit()
    states.append(harness.rows("SELECT protection FROM positions")[0]["protection"])
    harness.accept(harness.last(STOP))
    harness.audit()
    row = harness.rows("SELECT * FROM positions")[0]
    assert [*states, row["protection"]] == ["pending", "pending", "ok"]
    assert (row["stop_loss_price"], row["leverage"], row["margin_type"]) == ("49000.0", 10, "ISOLATED")


def two_entries(path: Path) -> Harness:
    """A position opened at 50,000 and averaged down to 49,500 by a second entry."""
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    harness.open_position()
    second = harness.enter()
    harness.fill(second, price=49_000)
    return harness


def test_new_stop_is_placed_before_old_is_cancelled(path: Path) -> None:
    harness = two_entries(path)
    old, new = harness.submitted(STOP)
    assert new.stop_price == D("48510.0")
    assert harness.cancelled() == []
    harness.accept(new)
    assert old.client_order_id in harness.cancelled()
    assert harness.last(TAKE).stop_price == D("49995.0")
    harness.accept(harness.last(TAKE))
    assert len(harness.cancelled()) == 2


def test_rejected_replacement_keeps_old_stop(path: Path) -> None:
    harness = two_entries(path)
    for _ in range(3):
        harness.reject(harness.last(STOP), -4045)
    assert harness.submitted(CLOSE) == []
    assert harness.cancelled() == []
    harness.wait(29_000)
    assert len(harness.submitted(STOP)) == 4
    harness.wait(2_000)
    assert len(harness.submitted(STOP)) == 5


def test_i10_quantity_stop_bridges_until_close_position_stop(path: Path) -> None:
    harness = two_entries(path)
    old, rejected = harness.submitted(STOP)
    harness.reject(rejected, -4130)
    bridge = harness.last(STOP)
    assert (bridge.quantity, bridge.close_position, bridge.stop_price) == (D("0.020"), False, D("48510.0"))
    assert harness.cancelled() == []
    harness.accept(bridge)
    assert harness.cancelled() == [old.client_order_id]
    harness.accept(harness.last(TAKE))
    harness.end_order(old)
    harness.wait(9_000)
    assert harness.last(STOP) == bridge
    harness.wait(2_000)
    final = harness.last(STOP)
    assert (final.close_position, final.stop_price) == (True, D("48510.0"))
    harness.accept(final)
    assert harness.cancelled()[-1] == bridge.client_order_id
    assert harness.submitted(CLOSE) == []


def test_i10_rejected_second_stop_does_not_close(harness: Harness) -> None:
    harness.fill(harness.enter())
    first = harness.last(STOP)
    harness.lose_response(first)
    harness.wait(3100)
    harness.reject(harness.last(STOP), -4130)
    harness.accept(harness.last(STOP))
    harness.accept(first)
    assert harness.cancelled() == [harness.last(STOP).client_order_id]
    assert len(harness.submitted(STOP)) == 3
    assert harness.submitted(CLOSE) == []


def test_stop_rejected_three_times_closes_position(harness: Harness) -> None:
    entry = harness.enter()
    harness.fill(entry)
    for _ in range(2):
        harness.reject(harness.last(STOP))
        assert harness.submitted(CLOSE) == []
    harness.reject(harness.last(STOP))
    close = harness.last(CLOSE)
    assert (close.type, close.side, close.quantity) == (OrderType.MARKET, Side.SELL, D("0.010"))
    assert len(harness.submitted(STOP)) == 3
    harness.wait(31_000)
    assert len(harness.submitted(STOP)) == 4


def test_stop_that_would_trigger_closes_at_market(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.reject(harness.last(STOP), -2021)
    assert harness.last(CLOSE).type is OrderType.MARKET
    assert len(harness.submitted(STOP)) == 1


def test_take_profit_that_would_trigger_closes_at_market(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.accept(harness.last(STOP))
    harness.reject(harness.last(TAKE), -2021)
    assert harness.last(CLOSE).type is OrderType.MARKET
    assert len(harness.submitted(TAKE)) == 1


def test_take_profit_rejected_three_times_is_not_retried(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.accept(harness.last(STOP))
    for _ in range(3):
        harness.reject(harness.last(TAKE))
    harness.wait(3000)
    assert len(harness.submitted(TAKE)) == 3
    assert harness.submitted(CLOSE) == []


def test_accepted_stop_resets_rejections(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.reject(harness.last(STOP))
    harness.reject(harness.last(STOP))
    assert harness.context.portfolio.tracked_positions[LONG].exits.rejections == {STOP: 2}
    harness.accept(harness.last(STOP))
    assert harness.context.portfolio.tracked_positions[LONG].exits.rejections == {}


def test_unsent_stop_is_retried_by_periodic_check(harness: Harness) -> None:
    harness.fill(harness.enter())
    assert harness.reject(harness.last(STOP), None) == []
    harness.wait(1000)
    assert len(harness.submitted(STOP)) == 2


def test_rejected_close_alternates_market_and_limit(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    kinds: list[OrderType] = []
    for _ in range(6):
        kinds.append(harness.last(CLOSE).type)
        harness.reject(harness.last(CLOSE), -4131)
        harness.wait(1000)
    assert kinds == [OrderType.MARKET, OrderType.LIMIT] * 3
    limit = next(each for each in harness.submitted(CLOSE) if each.type is OrderType.LIMIT)
    assert (limit.time_in_force, limit.price) == (TimeInForce.IOC, D("47750.0"))
    sent = len(harness.submitted(CLOSE))
    harness.wait(20_000)
    assert len(harness.submitted(CLOSE)) == sent
    assert harness.cancelled() == []
    harness.wait(11_000)
    assert len(harness.submitted(CLOSE)) == sent + 1


def test_rejected_close_requests_snapshot(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    harness.reject(harness.last(CLOSE), -2022)
    assert harness.commands_of(TakeSnapshot)[-1].reason == "a close was rejected"
    harness.clock.advance(6000)
    harness.snapshot(positions=(harness.report(quantity=D(0), entry_price=D(0)),))
    assert not harness.position().is_open


def test_filled_close_cancels_protection(harness: Harness) -> None:
    harness.open_position()
    harness.close_position()
    harness.fill(harness.last(CLOSE), price=49_000, pnl=-10)
    assert not harness.position().is_open
    harness.wait(1000)
    protection = {harness.submitted(STOP)[0].client_order_id, harness.last(TAKE).client_order_id}
    assert protection <= set(harness.cancelled())


def test_partly_filled_take_profit_keeps_stop(harness: Harness) -> None:
    harness.open_position()
    harness.fill(harness.last(TAKE), "0.004", pnl=2)
    assert harness.position().quantity == D("0.006")
    assert harness.cancelled() == []
    assert harness.order(harness.last(STOP)).status is OrderStatus.NEW


def test_manually_cancelled_stop_is_replaced(harness: Harness) -> None:
    harness.open_position()
    harness.end_order(harness.last(STOP))
    assert len(harness.submitted(STOP)) == 2


def test_unanswered_stop_is_placed_again_within_three_seconds(harness: Harness) -> None:
    harness.fill(harness.enter())
    first = harness.last(STOP)
    assert harness.lose_response(first) == [QueryOrder("BTCUSDT", first.client_order_id)]
    harness.wait(1900)
    assert len(harness.submitted(STOP)) == 1
    harness.wait(1100)
    second = harness.last(STOP)
    assert second != first
    harness.accept(second)
    assert harness.submitted(TAKE) != []
    harness.accept(first)  # it was placed after all: the duplicate is cancelled
    assert harness.cancelled() == [second.client_order_id]


def test_position_unprotected_for_five_seconds_is_closed(harness: Harness) -> None:
    harness.fill(harness.enter())
    for _ in range(5):
        for stop in harness.submitted(STOP):
            if harness.order(stop).unresolved_since is None:
                harness.lose_response(stop)
            harness.feed(OrderNotFound("BTCUSDT", stop.client_order_id, harness.now))
        assert harness.submitted(CLOSE) == []
        harness.wait(1000)
    assert [each.type for each in harness.submitted(CLOSE)] == [OrderType.MARKET]


def test_unprotected_position_gets_stop_when_exchange_is_back(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.lose_response(harness.last(STOP))
    harness.wait(8000)
    harness.feed(OrderNotFound("BTCUSDT", harness.submitted(STOP)[0].client_order_id, harness.now))
    harness.accept(harness.last(STOP))
    harness.wait(6000)
    assert harness.submitted(CLOSE) == []


def test_auth_error_does_not_count_as_stop_rejection(harness: Harness) -> None:
    harness.fill(harness.enter())
    for attempt in range(1, 6):
        stop = harness.last(STOP)
        harness.feed(OrderRejected("BTCUSDT", stop.client_order_id, -2015, "key", harness.now, is_auth_error=True))
        assert len(harness.submitted(STOP)) == attempt
        harness.wait(1000)
    harness.accept(harness.last(STOP))
    assert (harness.submitted(CLOSE), harness.context.portfolio.tracked_positions[LONG].exits.rejections) == ([], {})


def test_order_without_response_is_queried(harness: Harness) -> None:
    harness.fill(harness.enter())
    harness.wait(5000)
    assert QueryOrder("BTCUSDT", harness.submitted(STOP)[0].client_order_id) in harness.sent


def test_fill_known_from_account_only_is_queried_and_protected(harness: Harness) -> None:
    entry = harness.enter()
    harness.feed(harness.account_update(a_position()))
    assert harness.submitted(STOP) == []  # it may be external
    harness.wait(1000)
    assert QueryOrder("BTCUSDT", entry.client_order_id) in harness.sent
    harness.feed(
        harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=entry.quantity, average_price=entry.price)
    )
    assert harness.last(STOP).stop_price == D("49000.0")
    assert harness.commands_of(FetchFills) != []


def test_removed_symbol_stays_protected(path: Path) -> None:
    harness = Harness(path).connect()
    harness.open_position()
    harness.feed(SettingsChanged(some_settings().model_copy(update={"symbols": {}})))
    harness.end_order(harness.last(STOP))
    assert harness.last(STOP).stop_price == D("49000.0")
    assert len(harness.submitted(STOP)) == 2


def test_new_settings_move_protection(harness: Harness) -> None:
    harness.open_position()
    harness.feed(SettingsChanged(some_settings(stop_loss_pct=3, take_profit_enabled=False)))
    harness.audit()
    assert harness.last(STOP).stop_price == D("48500.0")
    assert harness.cancelled() == [harness.last(TAKE).client_order_id]


@pytest.mark.parametrize("changes", [{"working_type": "MARK_PRICE"}, {"price_protect": True}])
def test_new_trigger_settings_replace_protection_of_open_position(harness: Harness, changes: dict[str, Any]) -> None:
    harness.open_position()
    old = [harness.last(STOP), harness.last(TAKE)]
    harness.feed(SettingsChanged(some_settings(**changes)))
    harness.wait(1_000)
    stop = harness.last(STOP)
    assert stop != old[0]
    assert (stop.stop_price, harness.cancelled()) == (old[0].stop_price, [])  # the new one first
    harness.accept(stop)
    take = harness.last(TAKE)
    harness.accept(take)
    assert {each.client_order_id for each in old} == set(harness.cancelled())
    for request in (stop, take):
        assert {"working_type": request.working_type, "price_protect": request.price_protect}.items() >= changes.items()
    harness.wait(5_000)
    assert (harness.last(STOP), harness.last(TAKE)) == (stop, take)


def test_position_too_small_to_close_warns(harness: Harness) -> None:
    harness.context.instruments = {"BTCUSDT": an_instrument(market_step=D("0.1"))}
    harness.open_position()
    harness.close_position()
    harness.wait(2000)
    assert harness.submitted(CLOSE) == []
    assert [each["message"] for each in harness.journal("alert")].count(
        "the rest of BTCUSDT is too small to be closed by an order"
    ) == 1


def test_position_without_trading_rules_is_closed_at_its_exact_size(harness: Harness) -> None:
    harness.open_position()
    harness.context.instruments = {}
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.5"))
    assert harness.submitted(CLOSE) == []  # half of it may be no valid size
    harness.close_position()
    for _ in range(2):
        close = harness.last(CLOSE)
        assert (close.type, close.quantity) == (OrderType.MARKET, D("0.010"))
        harness.reject(close, -4131)
        harness.wait(1000)
    assert len(harness.submitted(CLOSE)) == 3
    messages = [each["message"] for each in harness.journal("alert")]
    assert any("lacks trading rules of BTCUSDT (it is not in the list)" in each for each in messages)


@pytest.mark.parametrize("first", ["stop", "close"])
def test_exit_fill_never_flips_position(harness: Harness, first: str) -> None:
    harness.open_position()
    exit_request: OrderRequest = harness.last(STOP)
    if first == "close":
        harness.close_position()
        exit_request = harness.last(CLOSE)
    harness.clock.advance(5)
    fill = harness.a_fill(exit_request, "0.02")
    harness.feed(harness.filled_by(exit_request, fill))
    assert not harness.position().is_open


def test_burst_of_entries_does_not_delay_stop(harness: Harness) -> None:
    entry = harness.enter()
    fill = harness.a_fill(entry)
    commands = harness.feed(
        *[a_liquidation() for _ in range(100)], harness.account_after(fill), harness.filled_by(entry, fill)
    )
    assert getattr(commands[0], "request", None) == harness.last(STOP)


def test_partial_fills_amend_the_stop_at_most_every_250_ms(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0}, max_position_usdt=400)).connect()
    harness.open_position(50_000)
    second = harness.enter()
    sent_at: list[int] = []
    for _ in range(30):
        known = len(harness.submitted(STOP))
        harness.clock.advance(30)
        harness.fill(second, D("0.0001"), price=49_000)
        for stop in harness.submitted(STOP)[known:]:
            sent_at.append(harness.now)
            harness.accept(stop)
        working = [each for each in harness.submitted(STOP) if harness.order(each).status is OrderStatus.NEW]
        assert [each.close_position for each in working][:1] == [True]  # protection never shrinks
        assert len(working) <= 2
    gaps = [later - earlier for earlier, later in pairwise(sent_at)]
    assert len(sent_at) >= 2
    assert min(gaps) >= 250
    harness.wait(1_000)
    tracked = harness.context.portfolio.tracked(LONG)
    assert harness.last(STOP).stop_price == an_instrument().price(
        tracked.position.entry_price * D("0.98"), ROUND_CEILING
    )


def test_stop_is_not_amended_before_the_last_amendment_is_answered(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0}, max_position_usdt=400)).connect()
    harness.open_position(50_000)
    second = harness.enter()
    for _ in range(4):
        harness.clock.advance(300)
        harness.fill(second, D("0.0001"), price=49_000)
    assert len(harness.submitted(STOP)) == 2
    harness.accept(harness.last(STOP))
    harness.wait(1_000)
    assert len(harness.submitted(STOP)) == 3
