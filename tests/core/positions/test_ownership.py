"""Ownership checks of changed positions, based on their trades (I19, I18, I7)."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.commands import FetchFills
from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.orders import Fill
from tests.builders import a_fill, a_request, an_update, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


class Offline:
    """A bot with an open position, and the trades at the exchange while it was offline."""

    def __init__(self, harness: Harness, *, is_closing: bool = False) -> None:
        self.harness = harness
        self.entry = harness.open_position()
        self.own = harness.a_fill(self.entry, "0.010")
        self.shown = tuple(harness.update_for(each) for each in (harness.last(STOP), harness.last(TAKE)))
        self.fills = [
            replace(self.own, trade_id=1, traded_at=harness.context.portfolio.tracked_positions[LONG].opened_at)
        ]
        if is_closing:
            harness.close_position()
            harness.reject(harness.last(CLOSE))
        harness.clock.advance(10_000)

    def trade(self, side: Side, quantity: str, pnl: str = "0", order_id: int = 5000) -> Fill:
        """Trade externally in the position, through the order with this id."""
        fill = a_fill(
            a_request(side=side),
            trade_id=100 + len(self.fills),
            order_id=order_id,
            side=side,
            quantity=D(quantity),
            realized_pnl=D(pnl),
            traded_at=self.harness.now,
        )
        self.fills.append(fill)
        self.harness.clock.advance(1000)
        return fill

    def restart(self, quantity: str, price: int = 50_000) -> Harness:
        self.harness.clock.advance(10_000)
        report = self.harness.report(
            quantity=D(quantity), entry_price=D(price), updated_at=max(each.traded_at for each in self.fills)
        )
        again = self.harness.restart(self.harness.settings)
        return again.connect(positions=(report,), open_orders=self.shown)

    def deliver(self, again: Harness, *, named: bool = True) -> None:
        """Deliver the exchange's lists of orders and trades."""
        numbers = {fill.order_id: fill for fill in self.fills if fill.order_id >= 5000 and named}
        orders = [
            an_update(
                a_request(client_order_id=f"web_{number}", side=fill.side),
                order_id=number,
                status=OrderStatus.FILLED,
                event_at=fill.traded_at,
            )
            for number, fill in numbers.items()
        ]
        again.feed(OrdersFetched("BTCUSDT", tuple(orders), 0, again.now))
        again.feed(FillsFetched("BTCUSDT", tuple(replace(each, client_order_id="") for each in self.fills), again.now))


@pytest.fixture
def replaced(harness: Harness) -> Offline:
    """A position that was being closed, then closed externally and replaced by an external one while offline."""
    offline = Offline(harness, is_closing=True)
    offline.trade(Side.SELL, "0.010", "7", 5001)
    offline.trade(Side.BUY, "0.010", order_id=5002)
    return offline


def alerts(harness: Harness, level: str) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == level]


def test_external_replacement_is_left_alone(replaced: Offline) -> None:
    again = replaced.restart("0.010", 51_000)
    assert again.submitted() == []
    replaced.deliver(again)
    again.wait(60_000)
    assert again.submitted() == []
    assert sorted(again.cancelled()) == sorted(each.client_order_id for each in replaced.shown)
    assert again.rows("SELECT protection, entry_client_order_id FROM positions")[0]["protection"] == "external"
    assert "was closed externally" in alerts(again, "error")[0]
    assert again.journal("position")[-1]["realized_pnl"] == "7"
    assert {row["trade_id"] for row in again.rows("SELECT trade_id FROM fills")} == {1, replaced.fills[1].trade_id}
    assert again.rows("SELECT value FROM bot_state WHERE key = 'pending_closes'")[0]["value"] == "{}"


def test_unprotected_external_position_alerts(replaced: Offline) -> None:
    again = replaced.restart("0.010", 51_000)
    replaced.deliver(again)
    for each in replaced.shown:
        again.feed(replace(each, status=OrderStatus.CANCELED, event_at=again.now))
    again.wait(10_000)
    assert any("has no stop loss" in message for message in alerts(again, "error"))


def test_adopted_position_keeps_old_stop_until_new_one_works(path: Path) -> None:
    offline = Offline(Harness(path, some_settings({"adopt_foreign_positions": True})).connect(), is_closing=True)
    offline.trade(Side.SELL, "0.010", "7", 5001)
    offline.trade(Side.BUY, "0.010", order_id=5002)
    again = offline.restart("0.010", 51_000)
    offline.deliver(again)
    assert again.cancelled() == []
    again.wait(10_000)
    assert again.last(STOP).stop_price == D("49980.0")
    assert again.cancelled() == []
    again.accept(again.last(STOP))
    assert offline.shown[0].client_order_id in again.cancelled()
    assert again.submitted(CLOSE) == []


def test_position_of_unresolved_owner_is_protected(replaced: Offline) -> None:
    again = replaced.restart("0.010", 51_000)
    replaced.deliver(again, named=False)
    again.wait(16_000)
    assert again.context.portfolio.tracked_positions[LONG].is_managed
    assert again.cancelled() == []
    assert again.submitted(CLOSE) == []
    assert again.last(STOP).stop_price == D("49980.0")
    assert "may not be the bot's any more" in alerts(again, "error")[0]
    again.close_position()
    assert again.last(CLOSE).quantity == D("0.010")  # as requested by the operator


def test_position_with_missing_trades_is_protected_not_closed(replaced: Offline) -> None:
    again = replaced.restart("0.012")
    again.wait(20_000)
    assert again.context.portfolio.tracked_positions[LONG].is_managed
    assert (again.submitted(CLOSE), again.cancelled()) == ([], [])


def test_pending_close_continues_for_same_position(harness: Harness) -> None:
    offline = Offline(harness, is_closing=True)
    offline.trade(Side.SELL, "0.004", "2")
    again = offline.restart("0.006")
    again.wait(2000)
    assert again.submitted(CLOSE) == []
    offline.deliver(again)
    assert again.last(CLOSE).quantity == D("0.006")
    assert again.context.portfolio.tracked_positions[LONG].realized_pnl == 2


def test_pending_close_is_dropped_when_position_reopens(harness: Harness) -> None:
    offline = Offline(harness, is_closing=True)
    offline.trade(Side.SELL, "0.010", "7", 5001)
    unknown = replace(offline.entry, client_order_id=offline.entry.client_order_id.replace("-e", "-e2"))
    second = offline.trade(Side.BUY, "0.005", order_id=7000)
    again = offline.restart("0.005")
    update = an_update(unknown, order_id=7000, status=OrderStatus.FILLED, event_at=second.traded_at)
    again.feed(OrdersFetched("BTCUSDT", (update,), 0, again.now))
    again.feed(FillsFetched("BTCUSDT", tuple(replace(each, client_order_id="") for each in offline.fills), again.now))
    again.wait(5000)
    tracked = again.context.portfolio.tracked_positions[LONG]
    assert tracked.is_managed
    assert tracked.opened_at == second.traded_at
    assert again.submitted(CLOSE) == []


def test_unseen_closing_trades_are_recorded_after_second_restart(harness: Harness) -> None:
    offline = Offline(harness)
    offline.trade(Side.SELL, "0.010", "7")
    again = offline.restart("0")
    last = again.restart().connect(positions=(again.report(),), open_orders=())
    last.wait(3000)
    assert last.commands_of(FetchFills) != []
    offline.deliver(last)
    assert [row["realized_pnl"] for row in last.rows("SELECT realized_pnl FROM fills ORDER BY trade_id")] == ["0", "7"]
    requested = len(last.commands_of(FetchFills))
    last.wait(60_000)
    assert len(last.commands_of(FetchFills)) == requested


def test_missing_trades_are_requested_with_backoff_then_dropped(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(10_000)
    harness.snapshot(positions=(harness.report(quantity=D("0.006")),))
    harness.wait(60_000)
    assert 3 <= len(harness.commands_of(FetchFills)) <= 9
    for _ in range(14):
        harness.clock.advance(11 * 60_000)
        harness.audit()
    assert any("the exchange no longer returns some trades" in message for message in alerts(harness, "warning"))
    requested = len(harness.commands_of(FetchFills))
    harness.clock.advance(60 * 60_000)
    harness.audit()
    assert len(harness.commands_of(FetchFills)) == requested


def test_external_replacement_of_same_size_is_left_alone(harness: Harness) -> None:
    offline = Offline(harness)
    offline.trade(Side.SELL, "0.010", "7", 5001)
    offline.trade(Side.BUY, "0.010", order_id=5002)
    harness.clock.advance(10_000)
    harness.snapshot(positions=(harness.report(entry_price=D(51_000), updated_at=offline.fills[-1].traded_at),))
    assert harness.commands_of(FetchFills) == []
    harness.wait(2000)
    assert harness.commands_of(FetchFills) != []
    offline.deliver(harness)
    assert not harness.context.portfolio.tracked_positions[LONG].is_managed
    assert sorted(harness.cancelled()) == sorted(each.client_order_id for each in offline.shown)
    requested = len(harness.commands_of(FetchFills))
    harness.wait(60_000)
    assert len(harness.commands_of(FetchFills)) == requested


def test_trade_of_possible_own_order_waits_for_its_id(harness: Harness) -> None:
    offline = Offline(harness)
    harness.close_position()
    harness.lose_response(harness.last(CLOSE))
    harness.clock.advance(1000)
    offline.trade(Side.SELL, "0.004", "2")
    harness.snapshot(positions=(harness.report(quantity=D("0.006"), updated_at=offline.fills[-1].traded_at),))
    offline.deliver(harness, named=False)
    assert len(harness.rows("SELECT * FROM fills")) == 1
    harness.end_order(harness.last(CLOSE), OrderStatus.EXPIRED)
    offline.deliver(harness, named=False)
    assert len(harness.rows("SELECT * FROM fills")) == 2
