"""Positions that are not as we left them: their trades tell whose they are and what is not booked (I19, I18, I7)."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.messages import FetchFills, FillsFetched, OrdersFetched
from src.domain.orders import Fill
from tests.builders import a_fill, a_request, an_update, some_settings
from tests.core.rig import LONG, Rig

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


class Away:
    """A rig that held a position of ours, and what happened at the exchange while it was down."""

    def __init__(self, rig: Rig, *, is_closing: bool = False) -> None:
        self.rig = rig
        self.entry = rig.open_position()
        self.own = rig.a_fill(self.entry, "0.010")
        self.shown = tuple(rig.told(each) for each in (rig.last(STOP), rig.last(TAKE)))
        self.fills = [replace(self.own, trade_id=1, traded_at=rig.desk.books.holdings[LONG].opened_at)]
        if is_closing:
            rig.close_position()
            rig.refuse(rig.last(CLOSE))
        rig.clock.advance(10_000)

    def trade(self, side: Side, quantity: str, pnl: str = "0", number: int = 5000) -> Fill:
        """Somebody trades in the slot by an order of this number."""
        fill = a_fill(
            a_request(side=side),
            trade_id=100 + len(self.fills),
            order_id=number,
            side=side,
            quantity=D(quantity),
            realized_pnl=D(pnl),
            traded_at=self.rig.now,
        )
        self.fills.append(fill)
        self.rig.clock.advance(1000)
        return fill

    def come_back(self, quantity: str, price: int = 50_000) -> Rig:
        self.rig.clock.advance(10_000)
        report = self.rig.report(
            quantity=D(quantity), entry_price=D(price), updated_at=max(each.traded_at for each in self.fills)
        )
        again = self.rig.restart(self.rig.settings)
        return again.connect(positions=(report,), open_orders=self.shown)

    def tell(self, again: Rig, *, named: bool = True) -> None:
        """The exchange lists the orders and the trades."""
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
def replaced(rig: Rig) -> Away:
    """Ours was to be closed; while nobody was there a person closed it, and opened one of his own."""
    away = Away(rig, is_closing=True)
    away.trade(Side.SELL, "0.010", "7", 5001)
    away.trade(Side.BUY, "0.010", number=5002)
    return away


def alerts(rig: Rig, level: str) -> list[str]:
    return [each["message"] for each in rig.journal("alert") if each["level"] == level]


def test_a_position_that_somebody_put_in_the_place_of_ours_is_left_alone(replaced: Away) -> None:
    again = replaced.come_back("0.010", 51_000)
    assert again.submitted() == []
    replaced.tell(again)
    again.wait(60_000)
    assert again.submitted() == []
    assert sorted(again.cancelled()) == sorted(each.client_order_id for each in replaced.shown)
    assert again.rows("SELECT protection, entry_client_order_id FROM positions")[0]["protection"] == "foreign"
    assert "was closed by somebody" in alerts(again, "error")[0]
    assert again.journal("position")[-1]["realized_pnl"] == "7"
    assert {row["trade_id"] for row in again.rows("SELECT trade_id FROM fills")} == {1, replaced.fills[1].trade_id}
    assert again.rows("SELECT value FROM state WHERE key = 'closing'")[0]["value"] == "{}"


def test_a_bare_position_of_a_stranger_is_told_aloud(replaced: Away) -> None:
    again = replaced.come_back("0.010", 51_000)
    replaced.tell(again)
    for each in replaced.shown:
        again.feed(replace(each, status=OrderStatus.CANCELED, event_at=again.now))
    again.wait(10_000)
    assert any("has no stop loss" in message for message in alerts(again, "error"))


def test_where_foreign_positions_are_adopted_the_old_stop_stays_until_the_new_one_stands(path: Path) -> None:
    away = Away(Rig(path, some_settings({"adopt_foreign_positions": True})).connect(), is_closing=True)
    away.trade(Side.SELL, "0.010", "7", 5001)
    away.trade(Side.BUY, "0.010", number=5002)
    again = away.come_back("0.010", 51_000)
    away.tell(again)
    assert again.cancelled() == []
    again.wait(10_000)
    assert again.last(STOP).stop_price == D("49980.0")
    assert again.cancelled() == []
    again.accept(again.last(STOP))
    assert away.shown[0].client_order_id in again.cancelled()
    assert again.submitted(CLOSE) == []


def test_whose_it_is_when_nobody_names_the_order_is_in_doubt_and_so_it_is_protected(replaced: Away) -> None:
    again = replaced.come_back("0.010", 51_000)
    replaced.tell(again, named=False)
    again.wait(16_000)
    assert again.desk.books.holdings[LONG].is_ours
    assert again.cancelled() == []
    assert again.submitted(CLOSE) == []
    assert again.last(STOP).stop_price == D("49980.0")
    assert "do not tell whether it is still the bot's" in alerts(again, "error")[0]
    again.close_position()
    assert again.last(CLOSE).quantity == D("0.010")  # a person says so


def test_a_position_whose_trades_are_never_told_is_protected_and_not_closed(replaced: Away) -> None:
    again = replaced.come_back("0.012")
    again.wait(20_000)
    assert again.desk.books.holdings[LONG].is_ours
    assert (again.submitted(CLOSE), again.cancelled()) == ([], [])


def test_a_close_goes_on_once_the_trades_show_that_it_is_the_same_position(rig: Rig) -> None:
    away = Away(rig, is_closing=True)
    away.trade(Side.SELL, "0.004", "2")
    again = away.come_back("0.006")
    again.wait(2000)
    assert again.submitted(CLOSE) == []
    away.tell(again)
    assert again.last(CLOSE).quantity == D("0.006")
    assert again.desk.books.holdings[LONG].realized_pnl == 2


def test_a_position_that_an_entry_of_ours_opened_anew_is_not_closed_for_what_was_wished_before(rig: Rig) -> None:
    away = Away(rig, is_closing=True)
    away.trade(Side.SELL, "0.010", "7", 5001)
    lost = replace(away.entry, client_order_id=away.entry.client_order_id.replace("-e", "-e2"))
    second = away.trade(Side.BUY, "0.005", number=7000)
    again = away.come_back("0.005")
    told = an_update(lost, order_id=7000, status=OrderStatus.FILLED, event_at=second.traded_at)
    again.feed(OrdersFetched("BTCUSDT", (told,), 0, again.now))
    again.feed(FillsFetched("BTCUSDT", tuple(replace(each, client_order_id="") for each in away.fills), again.now))
    again.wait(5000)
    holding = again.desk.books.holdings[LONG]
    assert holding.is_ours
    assert holding.opened_at == second.traded_at
    assert again.submitted(CLOSE) == []


def test_trades_that_brought_ours_to_an_end_unheard_are_booked_after_another_death(rig: Rig) -> None:
    away = Away(rig)
    away.trade(Side.SELL, "0.010", "7")
    again = away.come_back("0")
    last = again.restart().connect(positions=(again.report(),), open_orders=())
    last.wait(3000)
    assert last.of(FetchFills) != []
    away.tell(last)
    assert [row["realized_pnl"] for row in last.rows("SELECT realized_pnl FROM fills ORDER BY trade_id")] == ["0", "7"]
    asked = len(last.of(FetchFills))
    last.wait(60_000)
    assert len(last.of(FetchFills)) == asked


def test_trades_that_the_exchange_never_tells_are_asked_for_ever_more_rarely_and_given_up(rig: Rig) -> None:
    rig.open_position()
    rig.clock.advance(10_000)
    rig.snapshot(positions=(rig.report(quantity=D("0.006")),))
    rig.wait(60_000)
    assert 3 <= len(rig.of(FetchFills)) <= 9
    for _ in range(14):
        rig.clock.advance(11 * 60_000)
        rig.audit()
    assert any("the exchange does not tell them" in message for message in alerts(rig, "warning"))
    asked = len(rig.of(FetchFills))
    rig.clock.advance(60 * 60_000)
    rig.audit()
    assert len(rig.of(FetchFills)) == asked


def test_a_position_of_the_same_size_put_in_the_place_of_ours_unheard_is_left_alone(rig: Rig) -> None:
    away = Away(rig)
    away.trade(Side.SELL, "0.010", "7", 5001)
    away.trade(Side.BUY, "0.010", number=5002)
    rig.clock.advance(10_000)
    rig.snapshot(positions=(rig.report(entry_price=D(51_000), updated_at=away.fills[-1].traded_at),))
    assert rig.of(FetchFills) == []
    rig.wait(2000)
    assert rig.of(FetchFills) != []
    away.tell(rig)
    assert not rig.desk.books.holdings[LONG].is_ours
    assert sorted(rig.cancelled()) == sorted(each.client_order_id for each in away.shown)
    asked = len(rig.of(FetchFills))
    rig.wait(60_000)
    assert len(rig.of(FetchFills)) == asked


def test_a_trade_that_may_be_of_our_own_order_without_a_number_waits_for_that(rig: Rig) -> None:
    away = Away(rig)
    rig.close_position()
    rig.lose(rig.last(CLOSE))
    rig.clock.advance(1000)
    away.trade(Side.SELL, "0.004", "2")
    rig.snapshot(positions=(rig.report(quantity=D("0.006"), updated_at=away.fills[-1].traded_at),))
    away.tell(rig, named=False)
    assert len(rig.rows("SELECT * FROM fills")) == 1
    rig.ended(rig.last(CLOSE), OrderStatus.EXPIRED)
    away.tell(rig, named=False)
    assert len(rig.rows("SELECT * FROM fills")) == 2
