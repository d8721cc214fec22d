"""Positions, funding, the account, instruments; the journal, the state, the runs."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.enums import MarginType, OrderStatus, PositionSide
from src.domain.positions import AccountSummary, Income, PositionRecord, Protection
from tests.builders import ENTRY_ID, NOW, D, a_position, an_instrument
from tests.database.reading import rows


def a_record(quantity: object = "0.01", **changes: object) -> PositionRecord:
    values: dict[str, object] = {
        "position": a_position(quantity),
        "mark_price": D("50000.1"),
        "leverage": 10,
        "margin_type": MarginType.ISOLATED,
        "liquidation_price": None,
        "take_profit_price": D(50_500),
        "stop_loss_price": D(49_000),
        "protection": Protection.OK,
        "opened_at": NOW,
        "as_of": NOW + 1,
        "entry_client_order_id": ENTRY_ID,
        **changes,
    }
    return PositionRecord(**values)  # type: ignore[arg-type]


def an_income(transaction_id: int = 1, amount: object = "-0.5", at: int = NOW) -> Income:
    return Income(transaction_id, "BTCUSDT", "FUNDING_FEE", "USDT", D(str(amount)), at)


def a_summary(wallet: object = 1000) -> AccountSummary:
    return AccountSummary(D(str(wallet)), D(0), D(1000), D(1000), D(0), D(0))


def test_a_position_comes_back_as_it_went_and_is_replaced_by_the_next(store: Store) -> None:
    with store.transaction():
        store.save_position(a_record())
        store.save_position(a_record("0.02", stop_loss_price=None))
        assert store.load_positions() == [a_record("0.02", stop_loss_price=None)]


def test_a_closed_position_has_no_row(store: Store) -> None:
    with store.transaction():
        store.save_position(a_record())
        store.remove_position("BTCUSDT", PositionSide.SHORT)
        assert len(store.load_positions()) == 1
        store.remove_position("BTCUSDT", PositionSide.LONG)
        assert store.load_positions() == []


def test_funding_counts_once(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.last_funding_at() is None
        incomes = [an_income(1), an_income(2, "0.25", NOW + 8), an_income(1)]
        assert [store.record_funding(each) for each in incomes] == [True, True, False]
        assert store.last_funding_at() == NOW + 8
    assert rows(engine, "SELECT amount FROM funding ORDER BY at") == [("-0.5",), ("0.25",)]


def test_the_equity_curve_has_a_point_a_minute(store: Store, engine: Engine) -> None:
    with store.transaction():
        for second in (0, 30, 61):
            store.save_account(a_summary(1000 + second), NOW + second * 1000)
    assert rows(engine, "SELECT wallet_balance FROM account_history ORDER BY at") == [("1000",), ("1061",)]


def test_instruments_are_replaced_as_a_whole(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.save_instruments([an_instrument(), an_instrument(symbol="ETHUSDT")])
        store.save_instruments([an_instrument(symbol="币安人生USDT", tick=D("1E-7"))])
    assert rows(engine, "SELECT symbol, tick FROM instruments") == [("币安人生USDT", "0.0000001")]


def test_the_journal_keeps_money_as_text_at_any_depth(store: Store, engine: Engine) -> None:
    with store.transaction():
        payload = {"price": D("1E+3"), "status": OrderStatus.NEW, "items": [{"amount": D("0.10")}], "none": None}
        store.journal("order", payload, "BTCUSDT")
    ((at, kind, symbol, text),) = rows(engine, "SELECT at, kind, symbol, payload FROM journal")
    assert (at, kind, symbol) == (NOW, "order", "BTCUSDT")
    assert json.loads(str(text)) == {"price": "1000", "status": "NEW", "items": [{"amount": "0.10"}], "none": None}


def test_journal_ids_are_never_given_twice(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.journal("alert", {"message": "one"})
        store.prune(NOW + 1)
        store.journal("alert", {"message": "two"})
    assert rows(engine, "SELECT id FROM journal") == [(2,)]


def test_state_is_what_was_said_last(store: Store, engine: Engine, clock: ManualClock) -> None:
    with store.transaction():
        assert store.get_state("operator") is None
        store.set_state("operator", {"paused": True, "cap": D("5E+2")})
        clock.advance(5)
        store.set_state("operator", {"paused": False, "cap": Decimal("500.10")})
        assert store.get_state("operator") == {"paused": False, "cap": "500.10"}
    assert rows(engine, "SELECT updated_at FROM state") == [(NOW + 5,)]


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_run_without_an_end_was_killed(store: Store, *, is_ended: bool) -> None:
    with store.transaction():
        assert store.begin_run("0.1.0", 4711)
        if is_ended:
            store.end_run()
        assert store.begin_run("0.1.0", 4712) is is_ended
