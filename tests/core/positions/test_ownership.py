"""Positions that the bot's trades do not explain: protected, not closed, and a person is asked (I19, I18)."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.domain.commands import CheckPositions, FetchFills, OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import IncomeType, OrderRole, OrderStatus, PositionSide, Side
from src.domain.events import CommandFailed, FillsFetched, OrdersFetched
from src.domain.orders import Fill
from src.domain.positions import Income
from tests.builders import a_fill, a_position, a_request, an_update, some_settings
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


def alerts(harness: Harness, level: str = "error") -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == level]


def questions(harness: Harness) -> list[str]:
    return [message for message in alerts(harness) if message.startswith("whose is the position of BTCUSDT LONG?")]


def published_questions(harness: Harness) -> list[dict[str, Any]]:
    [row] = harness.rows("SELECT value FROM bot_state WHERE key = 'position_questions'")
    items: list[dict[str, Any]] = json.loads(row["value"])["items"]
    return items


def ask(offline: Offline, quantity: str = "0.010", price: int = 50_000) -> Harness:
    """Restart on a changed position and read its trades until a person is asked."""
    again = offline.restart(quantity, price)
    again.wait(2000)
    offline.deliver(again)
    again.wait(30_000)
    assert len(questions(again)) == 1
    return again


def test_unexplained_position_stays_protected_and_asks_once(replaced: Offline) -> None:
    again = replaced.restart("0.010", 51_000)
    again.wait(2000)
    replaced.deliver(again)
    again.wait(27_000)
    assert questions(again) == []
    again.wait(3000)
    [question] = questions(again)
    assert "The exchange holds 0.010, the bot's own trades explain 0.010" in question
    assert "It was to be closed; that is dropped" in question
    assert "main.py --position BTCUSDT LONG --ours" in question
    assert again.rows("SELECT value FROM bot_state WHERE key = 'pending_closes'")[0]["value"] == "{}"
    again.wait(60_000)
    assert (again.submitted(CLOSE), len(questions(again))) == ([], 1)
    assert again.last(STOP).stop_price == D("49980.0")  # by the entry price that the exchange reports
    [published] = published_questions(again)
    assert {name: published[name] for name in ("symbol", "position_side", "quantity", "own_quantity")} == {
        "symbol": "BTCUSDT",
        "position_side": "LONG",
        "quantity": "0.010",
        "own_quantity": "0.010",
    }
    assert 60_000 <= again.now - published["asked_at"] <= 65_000


@pytest.fixture
def asked(path: Path) -> tuple[Offline, Harness]:
    """A person bought 0.004 into the bot's position of 0.010 while it was offline, and has been asked."""
    offline = Offline(Harness(path, some_settings({"cooldown_sec": 0})).connect())
    offline.trade(Side.BUY, "0.004")
    return offline, ask(offline, "0.014")


def test_nothing_but_an_answer_ends_a_question(asked: tuple[Offline, Harness]) -> None:
    _, again = asked
    again.liquidate()
    assert again.verdicts()[-1] == Gate.OPEN_ORDERS
    again.command(OperatorAction.RESUME)
    again.command(OperatorAction.FLATTEN)
    again.close_position()
    answers = [each["message"] for each in again.journal("command")]
    assert answers[-2].endswith("closing 0 positions; not BTCUSDT: say first whose it is")
    assert answers[-1].startswith("first say whose the position of BTCUSDT is")
    again.clock.advance(59 * 60_000)
    again.audit()
    assert len(questions(again)) == 1
    again.clock.advance(61_000)
    again.audit()
    assert (len(questions(again)), again.submitted(CLOSE)) == (2, [])


def test_missing_stop_of_asked_position_is_placed_or_it_is_closed(asked: tuple[Offline, Harness]) -> None:
    offline, again = asked
    again.end_order(offline.harness.last(STOP))
    again.wait(1000)
    assert (again.last(STOP).close_position, again.last(STOP).stop_price) == (True, D("49000.0"))
    again.reject(again.last(STOP), code=-2021)  # it would trigger at once
    assert again.last(CLOSE).quantity == D("0.014")


def test_answer_ours_lets_the_bot_manage_all_of_it(asked: tuple[Offline, Harness]) -> None:
    offline, again = asked
    again.command(OperatorAction.POSITION_OURS, symbol="BTCUSDT", position_side=PositionSide.LONG)
    assert again.journal("command")[-1]["message"] == "the bot manages all of BTCUSDT LONG, 0.014"
    again.close_position()
    assert again.last(CLOSE).quantity == D("0.014")
    report = again.report()
    again.reject(again.last(CLOSE))
    last = again.restart().connect(positions=(report,), open_orders=offline.shown)
    last.wait(60_000)
    assert not last.context.portfolio.tracked_positions[LONG].is_unexplained
    assert questions(last) == questions(again)


def test_second_question_names_what_the_bot_was_given(asked: tuple[Offline, Harness]) -> None:
    offline, again = asked
    again.command(OperatorAction.POSITION_OURS, symbol="BTCUSDT", position_side=PositionSide.LONG)
    again.wait(5_000)
    again.feed(again.account_update(a_position("0.016")))
    again.wait(2_000)
    offline.deliver(again)
    again.wait(30_000)
    assert "holds 0.016, the bot's own trades and the 0.004 that it was given explain 0.014" in questions(again)[-1]


def test_answer_external_cancels_the_orders_behind_it(asked: tuple[Offline, Harness]) -> None:
    offline, again = asked
    again.command(OperatorAction.POSITION_EXTERNAL, symbol="BTCUSDT", position_side=PositionSide.LONG)
    assert sorted(again.cancelled()) == sorted(each.client_order_id for each in offline.shown)
    again.audit()
    assert published_questions(again) == []
    report = again.report(updated_at=again.now)
    last = again.restart().connect(positions=(report,), open_orders=())
    last.wait(60_000)
    assert last.rows("SELECT protection, entry_client_order_id FROM positions")[0]["protection"] == "external"
    assert (last.submitted(), len(questions(last))) == ([], 1)


def test_results_after_the_answer_external_are_not_the_bots(asked: tuple[Offline, Harness]) -> None:
    offline, again = asked
    again.command(OperatorAction.POSITION_EXTERNAL, symbol="BTCUSDT", position_side=PositionSide.LONG)
    again.wait(2000)
    offline.deliver(again)
    again.wait(30_000)
    by_person = Income(77, "BTCUSDT", IncomeType.REALIZED_PNL, "USDT", D(-700), again.now, trade_id=990)
    again.answer_income(IncomeType.REALIZED_PNL, by_person, symbol="BTCUSDT")
    assert again.rows("SELECT transaction_id FROM external_income") == []


def test_dropped_close_does_not_return_with_a_covered_entry(path: Path) -> None:
    harness = Harness(path, some_settings({"cooldown_sec": 0})).connect()
    offline = Offline(harness)
    harness.prices()
    harness.liquidate()
    late = harness.last(ENTRY)
    harness.accept(late)
    by_hand = offline.trade(Side.BUY, "0.005")
    harness.feed(harness.account_after(by_hand))
    harness.command(OperatorAction.CLOSE_POSITION, symbol="BTCUSDT", close_fraction=D("0.5"))
    harness.close_position()
    half, whole = (each["message"] for each in harness.journal("command"))
    assert half.startswith("nothing sent: the bot's trades do not explain the position of BTCUSDT yet")
    assert whole == "closing the position of BTCUSDT, once the bot's trades explain it: they are being read"
    harness.wait(2000)
    offline.deliver(harness)
    harness.wait(30_000)
    assert "It was to be closed; that is dropped" in questions(harness)[0]
    harness.command(OperatorAction.POSITION_OURS, symbol="BTCUSDT", position_side=PositionSide.LONG)
    harness.fill(late)  # its cancel came too late
    harness.wait(2000)
    assert harness.position().quantity == D("0.025")
    assert harness.submitted(CLOSE) == []


def test_external_is_no_answer_for_an_explained_position(harness: Harness) -> None:
    harness.open_position()
    harness.command(OperatorAction.POSITION_EXTERNAL, symbol="BTCUSDT")
    assert "own trades explain the position" in harness.journal("command")[-1]["message"]
    assert harness.cancelled() == []


def test_external_position_can_be_given_to_the_bot(harness: Harness) -> None:
    harness.clock.advance(1000)
    harness.feed(harness.account_update(a_position()))
    harness.wait(10_000)
    harness.command(OperatorAction.POSITION_OURS, symbol="BTCUSDT")
    assert harness.last(STOP).stop_price == D("49000.0")


def test_adoption_setting_answers_ours(path: Path) -> None:
    offline = Offline(Harness(path, some_settings({"adopt_foreign_positions": True})).connect(), is_closing=True)
    offline.trade(Side.SELL, "0.010", "7", 5001)
    offline.trade(Side.BUY, "0.010", order_id=5002)
    again = offline.restart("0.010", 51_000)
    again.wait(2000)
    offline.deliver(again)
    again.wait(30_000)
    assert (questions(again), again.submitted(CLOSE)) == ([], [])
    assert again.last(STOP).stop_price == D("49980.0")
    assert again.cancelled() == []  # the old stop stays until the new one works
    again.accept(again.last(STOP))
    assert offline.shown[0].client_order_id in again.cancelled()
    again.close_position()
    assert again.last(CLOSE).quantity == D("0.010")


def test_lost_event_is_explained_by_the_trades_without_a_question(harness: Harness) -> None:
    entry = harness.enter()
    fill = harness.a_fill(entry)
    harness.clock.advance(10_000)
    harness.feed(harness.update_for(entry, status=OrderStatus.FILLED, filled_quantity=D("0.010")))
    harness.snapshot(positions=(harness.report(quantity=D("0.010"), entry_price=D(50_000), updated_at=fill.traded_at),))
    harness.wait(5000)
    harness.feed(FillsFetched("BTCUSDT", (replace(fill, client_order_id=""),), harness.now))
    harness.wait(60_000)
    assert (questions(harness), harness.position().quantity) == ([], D("0.010"))
    harness.close_position()
    assert harness.last(CLOSE).quantity == D("0.010")


def test_no_question_before_the_trades_were_read(harness: Harness) -> None:
    offline = Offline(harness)
    offline.trade(Side.BUY, "0.004")
    again = offline.restart("0.014")
    again.wait(120_000)
    assert questions(again) == []
    assert 3 <= len(again.commands_of(FetchFills)) <= 9  # with growing pauses
    offline.deliver(again)
    again.wait(1000)
    assert len(questions(again)) == 1


def test_close_waits_until_the_position_is_explained(harness: Harness) -> None:
    offline = Offline(harness, is_closing=True)
    again = offline.restart("0.010")
    again.snapshot(positions=(again.report(updated_at=again.now),), open_orders=offline.shown)  # it may have traded
    submitted = len(again.submitted(CLOSE))
    again.reject(again.last(CLOSE))
    again.wait(2000)
    assert len(again.submitted(CLOSE)) == submitted
    offline.deliver(again)
    again.wait(1000)
    assert len(again.submitted(CLOSE)) == submitted + 1


def test_reversed_position_is_released_without_a_question(path: Path) -> None:
    """One-way mode: a sale by hand closes the bot's long position and opens a short one, which is not the bot's."""
    harness = Harness(path, some_settings({"hedge_mode": False})).connect()
    entry = harness.open_position()
    shown = sorted(each.client_order_id for each in (harness.last(STOP), harness.last(TAKE)))
    harness.clock.advance(1000)
    held = harness.position(entry.position_side)
    harness.feed(harness.account_update(replace(held, quantity=D("-0.005"), entry_price=D(50_100))))
    harness.wait(5000)
    harness.feed(FillsFetched("BTCUSDT", (), harness.now))
    harness.wait(30_000)
    assert (questions(harness), harness.submitted(CLOSE)) == ([], [])
    assert set(shown) <= set(harness.cancelled())
    released, unprotected = alerts(harness)[-2:]
    assert "was closed by other trades" in released
    assert "-0.005, has no stop loss" in unprotected  # the bot's old stop is on the other side
    assert harness.rows("SELECT protection FROM positions")[0]["protection"] == "external"


def test_closing_trades_of_the_bot_are_recorded_after_second_restart(harness: Harness) -> None:
    offline = Offline(harness)
    stop = harness.last(STOP)
    closed = replace(harness.a_fill(stop, "0.010", 49_000, -10), traded_at=harness.now)
    offline.fills.append(closed)
    again = offline.restart("0")
    last = again.restart().connect(positions=(again.report(),), open_orders=())
    last.wait(3000)
    assert last.commands_of(FetchFills) != []
    offline.deliver(last)
    assert [row["realized_pnl"] for row in last.rows("SELECT realized_pnl FROM fills ORDER BY trade_id")] == [
        "0",
        "-10",
    ]
    requested = len(last.commands_of(FetchFills))
    last.wait(60_000)
    assert len(last.commands_of(FetchFills)) == requested


def test_trade_of_possible_own_order_waits_for_its_id(harness: Harness) -> None:
    offline = Offline(harness)
    harness.close_position()
    close = harness.last(CLOSE)
    harness.lose_response(close)
    harness.clock.advance(1000)
    offline.trade(Side.SELL, "0.004", "2")
    harness.snapshot(positions=(harness.report(quantity=D("0.006"), updated_at=offline.fills[-1].traded_at),))
    for _ in range(4):
        harness.wait(10_000)
        offline.deliver(harness, named=False)
    assert questions(harness) == []
    harness.end_order(close, OrderStatus.EXPIRED)
    offline.deliver(harness, named=False)
    harness.wait(1000)
    assert len(questions(harness)) == 1


def test_second_restart_does_not_take_a_hidden_change_for_the_bots(harness: Harness) -> None:
    """Trades by hand that add up to nothing, before a kill; later ones close the position before the first look."""
    offline = Offline(harness)
    offline.trade(Side.SELL, "0.004", "4")
    offline.trade(Side.BUY, "0.004")
    offline.harness.clock.advance(1000)
    again = harness.restart()
    again.feed(replace(again.account_update(a_position(0, 0)), changed_at=again.now))
    again.connect(positions=(again.report(quantity=D(0), updated_at=again.now),))
    again.wait(5000)
    offline.deliver(again)
    again.wait(60_000)
    assert (questions(again), again.submitted(CLOSE)) == ([], [])
    assert any("by trades that are not the bot's" in message for message in alerts(again, "warning"))


def test_trade_that_cannot_be_read_leads_to_the_question(harness: Harness) -> None:
    """It may be a person's: that the others add up shows nothing after a restart."""
    offline = Offline(harness)
    offline.trade(Side.SELL, "0.004", "4")
    offline.trade(Side.BUY, "0.004")
    again = offline.restart("0.010")
    again.wait(2000)
    own = tuple(replace(each, client_order_id="") for each in offline.fills[:1])
    again.feed(FillsFetched("BTCUSDT", own, again.now, is_incomplete=True))
    again.wait(30_000)
    assert len(questions(again)) == 1
    assert len(again.submitted(STOP)) <= 1


@pytest.mark.parametrize("is_outage", [False, True], ids=["trade list only", "whole account"])
def test_person_is_asked_if_only_the_trade_list_cannot_be_read(harness: Harness, is_outage: bool) -> None:
    """A close waited for it without end; during an outage nothing is asked."""
    offline = Offline(harness)
    offline.trade(Side.BUY, "0.004")
    again = offline.restart("0.014")
    again.close_position()
    answered = 0
    for _ in range(60):
        again.wait(1000)
        if is_outage:
            again.feed(CommandFailed(CheckPositions(), None, "HTTP 503", again.now))
        for command in again.commands_of(FetchFills)[answered:]:
            answered += 1
            again.feed(CommandFailed(command, None, "HTTP 503", again.now))
    assert again.submitted(CLOSE) == []
    assert len(questions(again)) == (0 if is_outage else 1)
    again.command(OperatorAction.POSITION_OURS, symbol="BTCUSDT", position_side=PositionSide.LONG)
    again.close_position()
    assert [each.quantity for each in again.submitted(CLOSE)] == [D("0.014")]
