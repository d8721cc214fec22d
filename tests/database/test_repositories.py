"""The store writes and reads orders, fills, liquidations, positions, funding, journal and state."""

import json
import sqlite3
from dataclasses import replace
from decimal import Decimal
from enum import Enum

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from src.database.repositories import Store
from src.database.tables.market import Cutoffs
from src.domain.clock import ManualClock
from src.domain.decisions import Decision, Gate
from src.domain.enums import MarginType, OrderRole, OrderStatus, PositionSide, Side
from src.domain.errors import InvariantError
from src.domain.orders import Order
from src.domain.positions import AccountSummary, Income, PositionRecord, Protection
from tests.builders import (
    ENTRY_ID,
    NOW,
    D,
    a_fill,
    a_filled_update,
    a_liquidation,
    a_position,
    an_instrument,
    an_order,
    an_update,
)
from tests.database.helpers import rows

DAY_MS = 24 * 3_600_000


def record(store: Store, *orders: Order, simulated: bool = False) -> None:
    with store.transaction():
        for order in orders:
            store.record_order(order, simulated=simulated)


def reloaded(store: Store, order: Order) -> Order | None:
    with store.transaction():
        return store.load_order(order.client_order_id)


def open_ids(store: Store) -> list[str]:
    with store.transaction():
        return [order.client_order_id for order in store.load_open_orders()]


@pytest.mark.parametrize(
    "order",
    [
        an_order(),
        an_order(OrderRole.STOP_LOSS, status=OrderStatus.PENDING_NEW, order_id=None),
        an_order(OrderRole.CLOSE, 7, request={"reduce_only": True, "position_side": PositionSide.BOTH}),
        an_order(order_id=2**62, filled_quantity=D("0.004"), average_price=D("49999.95"), event_at=NOW + 5),
        an_order(status=OrderStatus.PENDING_CANCEL, reason="no answer", unresolved_since=NOW + 1),
    ],
)
def test_order_round_trip(store: Store, order: Order) -> None:
    record(store, order)
    assert reloaded(store, order) == order


def test_unknown_order_is_none(store: Store) -> None:
    assert reloaded(store, an_order()) is None


def test_writing_needs_a_transaction(store: Store) -> None:
    with pytest.raises(InvariantError):
        store.record_order(an_order(), simulated=False)
    with store.transaction(), pytest.raises(InvariantError), store.transaction():
        pass


def test_failed_transaction_writes_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction():
        store.record_order(an_order(), simulated=False)
        raise RuntimeError("the trader died here")
    assert reloaded(store, an_order()) is None


def test_client_order_id_is_unique(store: Store) -> None:
    record(store, an_order())
    with pytest.raises(sqlite3.IntegrityError):
        record(store, an_order())


def test_unknown_status_is_rejected_by_table(store: Store, engine: Engine) -> None:
    record(store, an_order())
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE trades SET order_status = 'UNKNOWN'")


def test_order_status_history_is_kept(store: Store, engine: Engine, clock: ManualClock) -> None:
    order = an_order(status=OrderStatus.PENDING_NEW)
    record(store, order)
    for update in (an_update(), an_update(event_at=NOW + 1), a_filled_update()):
        clock.advance(10)
        order.apply(update)
        with store.transaction():
            store.update_order(order, "stream")
    assert rows(engine, "SELECT status, source, recorded_at FROM order_status ORDER BY id") == [
        ("PENDING_NEW", "intent", NOW),
        ("NEW", "stream", NOW + 10),
        ("FILLED", "stream", NOW + 30),
    ]


def test_simulated_order_keeps_its_status(store: Store, engine: Engine) -> None:
    order = an_order()
    record(store, order, simulated=True)
    order.apply(a_filled_update())
    with store.transaction():
        store.update_order(order, "paper")
    assert rows(engine, "SELECT status, order_status FROM trades") == [("SIMULATED", "FILLED")]


def test_protective_order_is_related_to_entry(store: Store, engine: Engine) -> None:
    record(store, an_order(), an_order(OrderRole.STOP_LOSS, 1), an_order(OrderRole.TAKE_PROFIT, 2))
    found = rows(engine, "SELECT entry_client_order_id, role FROM order_relationships ORDER BY client_order_id")
    assert found == [(ENTRY_ID, "STOP_LOSS"), (ENTRY_ID, "TAKE_PROFIT")]


def test_only_open_orders_are_loaded(store: Store) -> None:
    orders = [an_order(number=number, status=status) for number, status in enumerate(OrderStatus, start=1)]
    record(store, *orders)
    assert open_ids(store) == [order.client_order_id for order in orders if order.is_open]


def test_closed_order_with_missing_fills_is_loaded(store: Store) -> None:
    record(store, an_order(status=OrderStatus.FILLED, order_id=1001, filled_quantity=D("0.01")))
    assert open_ids(store) == [ENTRY_ID]
    with store.transaction():
        store.record_fill(a_fill(quantity=D("0.01")))
    assert open_ids(store) == []


def test_orders_with_fills_too_old_to_list_are_not_loaded(store: Store, clock: ManualClock) -> None:
    record(store, an_order(status=OrderStatus.FILLED, order_id=1001, filled_quantity=D("0.01")))
    clock.advance(8 * DAY_MS)
    assert open_ids(store) == []


def test_fill_is_stored_once_and_adds_to_totals(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    first = a_fill(trade_id=1, quantity=D("0.004"), realized_pnl=D("0.1"), commission=D("0.01"))
    second = a_fill(trade_id=2, quantity=D("0.006"), realized_pnl=D("0.2"), commission=D("0.02"))
    with store.transaction():
        assert [store.record_fill(each) for each in (first, second, first)] == [True, True, False]
    assert rows(engine, "SELECT realized_pnl, commission, commission_asset FROM trades") == [("0.3", "0.03", "USDT")]
    order = reloaded(store, an_order())
    assert order is not None
    assert (order.trade_ids, order.recorded_quantity) == ({1, 2}, D("0.010"))


def test_fill_without_client_order_id_is_matched_by_order_id(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(replace(a_fill(commission=D("0.5")), client_order_id=""))
    assert rows(engine, "SELECT commission FROM trades") == [("0.5",)]
    assert rows(engine, "SELECT client_order_id FROM fills") == [(ENTRY_ID,)]


def test_order_id_is_unique_only_within_symbol(store: Store, engine: Engine) -> None:
    other = an_order(number=9, order_id=1001, request={"symbol": "ETHUSDT"})
    record(store, other, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(replace(a_fill(commission=D("0.5")), client_order_id=""))
    assert rows(engine, "SELECT symbol, commission FROM trades ORDER BY id") == [("ETHUSDT", "0"), ("BTCUSDT", "0.5")]


def test_fees_in_second_asset_are_not_added(store: Store, engine: Engine) -> None:
    record(store, an_order(order_id=1001))
    with store.transaction():
        store.record_fill(a_fill(trade_id=1, commission=D("0.5")))
        store.record_fill(a_fill(trade_id=2, commission=D(7), commission_asset="ASTER"))
    assert rows(engine, "SELECT commission, commission_asset FROM trades") == [("0.5", "USDT")]
    assert rows(engine, "SELECT commission_asset FROM fills ORDER BY trade_id") == [("USDT",), ("ASTER",)]


def test_fill_of_liquidation_has_no_order(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.record_fill(replace(a_fill(), client_order_id="autoclose-1"))
    assert rows(engine, "SELECT client_order_id FROM fills") == [("autoclose-1",)]


def a_decision(gate: Gate | None = Gate.THRESHOLD, **changes: object) -> Decision:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "liquidation_side": Side.SELL,
        "decided_at": NOW,
        "gate": gate,
        "reason": "too little",
        "numbers": {"volume": D("1E+3"), "entries": 2, "quote": None},
        "window_volume": D("1000.50"),
        "threshold": D(50_000),
        "client_order_id": None if gate else ENTRY_ID,
        **changes,
    }
    return Decision(**values)  # type: ignore[arg-type]


def test_liquidation_round_trip(store: Store) -> None:
    sent = [a_liquidation(side=side, symbol="币安人生USDT", average_price=D("0.00000123")) for side in Side]
    with store.transaction():
        ids = store.insert_liquidations(sent)
        assert store.recent_liquidations(NOW - 1) == list(zip(ids, sent, strict=True))
        assert store.recent_liquidations(NOW) == []


def test_liquidation_ids_follow_order_of_arrival(store: Store) -> None:
    with store.transaction():
        ids = [
            *store.insert_liquidations([a_liquidation()]),
            *store.insert_liquidations([]),
            *store.insert_liquidations([a_liquidation(traded_at=NOW - number) for number in range(5)]),
        ]
        assert ids == sorted(set(ids))
        assert [row_id for row_id, _ in store.recent_liquidations(0)] == ids


def test_money_is_stored_as_plain_text(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation(filled_quantity=D("1E+2"), average_price=D("0.1"))])
    found = rows(engine, "SELECT filled_quantity, usdt_value, typeof(usdt_value) FROM liquidations")
    assert found == [("100", "10", "text")]


def test_decision_is_stored_with_its_numbers(store: Store, engine: Engine) -> None:
    with store.transaction():
        (row_id,) = store.insert_liquidations([a_liquidation()])
        store.record_decisions([(row_id, a_decision())])
    assert rows(engine, "SELECT liquidation_id, gate, numbers, window_volume FROM decisions") == [
        (row_id, "threshold", '{"volume": "1000", "entries": 2, "quote": null}', "1000.50")
    ]


def test_last_entry_of_each_symbol_and_side(store: Store) -> None:
    sides = (Side.SELL, Side.BUY, Side.SELL, Side.SELL)
    gates = (None, None, None, Gate.COOLDOWN)
    with store.transaction():
        ids = store.insert_liquidations(
            [a_liquidation(side=side, traded_at=NOW + number) for number, side in enumerate(sides)]
        )
        decisions = [a_decision(gate, liquidation_side=side) for gate, side in zip(gates, sides, strict=True)]
        store.record_decisions(list(zip(ids, decisions, strict=True)))
        assert store.last_entries() == {
            ("BTCUSDT", Side.BUY): (NOW + 2, ids[2]),
            ("BTCUSDT", Side.SELL): (NOW + 1, ids[1]),
        }


def test_pruning_is_bounded_and_deletes_decisions(store: Store, engine: Engine) -> None:
    with store.transaction():
        ids = store.insert_liquidations([a_liquidation(traded_at=NOW + number) for number in range(10)])
        store.record_decisions([(row_id, a_decision()) for row_id in ids])
        store.journal("alert", {"message": "kept"})
        gone = [store.maintenance.prune(before(NOW + 7), limit=4) for _ in range(3)]
    assert gone == [4 + 1, 3, 0]
    assert rows(engine, "SELECT count(*) FROM liquidations") == [(3,)]
    assert rows(engine, "SELECT min(liquidation_id), count(*) FROM decisions") == [(ids[7], 3)]


def test_decimals_are_stored_exactly(store: Store) -> None:
    quantity = Decimal("123456789.123456789123456789")
    with store.transaction():
        store.insert_liquidations([a_liquidation(quantity=quantity)])
        assert store.recent_liquidations(0)[0][1].quantity == quantity


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


def test_position_round_trip_and_update(store: Store) -> None:
    with store.transaction():
        store.save_position(a_record())
        store.save_position(a_record("0.02", stop_loss_price=None))
        assert store.load_positions() == [a_record("0.02", stop_loss_price=None)]


def test_closed_position_has_no_row(store: Store) -> None:
    with store.transaction():
        store.save_position(a_record())
        store.remove_position("BTCUSDT", PositionSide.SHORT)
        assert len(store.load_positions()) == 1
        store.remove_position("BTCUSDT", PositionSide.LONG)
        assert store.load_positions() == []


def test_funding_is_stored_once(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.last_funding_at() is None
        incomes = [an_income(1), an_income(2, "0.25", NOW + 8), an_income(1)]
        assert [store.record_funding(each) for each in incomes] == [True, True, False]
        assert store.last_funding_at() == NOW + 8
    assert rows(engine, "SELECT amount FROM funding_payments ORDER BY paid_at") == [("-0.5",), ("0.25",)]


def test_equity_curve_has_one_point_per_minute(store: Store, engine: Engine) -> None:
    with store.transaction():
        for second in (0, 30, 61):
            store.save_account(a_summary(1000 + second), NOW + second * 1000)
    assert rows(engine, "SELECT wallet_balance FROM account_history ORDER BY recorded_at") == [("1000",), ("1061",)]


def test_instruments_are_replaced(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.save_instruments([an_instrument(), an_instrument(symbol="ETHUSDT")])
        store.save_instruments([an_instrument(symbol="币安人生USDT", tick=D("1E-7"))])
        assert store.load_instruments() == {"币安人生USDT": an_instrument(symbol="币安人生USDT", tick=D("1E-7"))}
    assert rows(engine, "SELECT symbol, tick FROM instruments") == [("币安人生USDT", "0.0000001")]


def test_journal_stores_money_as_text_at_any_depth(store: Store, engine: Engine) -> None:
    with store.transaction():
        payload = {"price": D("1E+3"), "status": OrderStatus.NEW, "items": [{"amount": D("0.10")}], "none": None}
        store.journal("order", payload, "BTCUSDT")
    ((at, kind, symbol, text),) = rows(engine, "SELECT recorded_at, kind, symbol, payload FROM journal")
    assert (at, kind, symbol) == (NOW, "order", "BTCUSDT")
    assert json.loads(str(text)) == {"price": "1000", "status": "NEW", "items": [{"amount": "0.10"}], "none": None}


def test_journal_ids_are_never_reused(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.journal("alert", {"message": "one"})
        store.maintenance.prune(before(NOW + 1))
        store.journal("alert", {"message": "two"})
    assert rows(engine, "SELECT id FROM journal") == [(2,)]


def test_state_returns_last_value(store: Store, engine: Engine, clock: ManualClock) -> None:
    with store.transaction():
        assert store.get_state("operator") is None
        store.set_state("operator", {"paused": True, "cap": D("5E+2")})
        clock.advance(5)
        store.set_state("operator", {"paused": False, "cap": Decimal("500.10")})
        assert store.get_state("operator") == {"paused": False, "cap": "500.10"}
    assert rows(engine, "SELECT updated_at FROM bot_state") == [(NOW + 5,)]


@pytest.mark.parametrize("is_ended", [True, False])
def test_run_without_end_was_killed(store: Store, *, is_ended: bool) -> None:
    with store.transaction():
        assert store.begin_run("0.1.0", 4711)
        if is_ended:
            store.end_run()
        assert store.begin_run("0.1.0", 4712) is is_ended


class Colour(Enum):
    RED = "red"


def test_nested_values_become_plain_text(store: Store) -> None:
    deep = {"list": [Decimal("1E+3"), (Decimal("1E-9"), Side.BUY)], "map": {"colour": Colour.RED, Side.SELL: None}}
    with store.transaction():
        store.set_state("deep", deep)
        assert store.get_state("deep") == {
            "list": ["1000", ["0.000000001", "BUY"]],
            "map": {"colour": "red", "SELL": None},
        }


def test_incomplete_character_does_not_fail_commit(store: Store) -> None:
    with store.transaction():
        store.set_state("text", {"币安": "\ud800"})
    with store.transaction():
        assert store.get_state("text") == {"币安": "\ud800"}


def before(at: int) -> Cutoffs:
    return Cutoffs(at, at, at)


def test_each_kind_of_history_has_its_own_cutoff(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation(traded_at=NOW + number) for number in range(3)])
        store.journal("news", {})
        store.maintenance.prune_before(Cutoffs(liquidations=NOW + 1, journal=NOW, equity=NOW))
        store.maintenance.step()
    assert rows(engine, "SELECT traded_at FROM liquidations") == [(NOW + 1,), (NOW + 2,)]
    assert rows(engine, "SELECT count(*) FROM journal") == [(1,)]
    with store.transaction():
        assert store.maintenance.prune(Cutoffs(liquidations=NOW, journal=NOW + 1, equity=NOW)) == 1
    assert rows(engine, "SELECT count(*) FROM liquidations") == [(2,)]


def test_hourly_volumes_of_symbols_end_with_their_liquidations(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation(traded_at=NOW - DAY_MS), a_liquidation(traded_at=NOW)])
        store.maintenance.step()
        store.maintenance.prune_before(before(NOW - DAY_MS // 2))
        for _ in range(3):
            store.maintenance.step()
    assert rows(engine, "SELECT count(*) FROM symbol_volume WHERE span = 3600000") == [(1,)]
    assert rows(engine, "SELECT count(*) FROM symbol_volume WHERE span = 86400000") == [(2,)]
    assert rows(engine, "SELECT count(*) FROM hourly_volume") == [(2,)]


def test_row_ids_go_on_after_every_liquidation_was_deleted(store: Store, engine: Engine, clock: ManualClock) -> None:
    with store.transaction():
        (first,) = store.insert_liquidations([a_liquidation(traded_at=NOW)])
        store.maintenance.step()
        store.maintenance.prune(before(NOW + 1))
    other = Store(engine, clock)
    with other.transaction():
        assert other.insert_liquidations([a_liquidation(traded_at=NOW + 2)]) == [first + 1]


def test_orders_fills_and_funding_are_never_pruned(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.record_order(an_order(), simulated=False)
        store.record_fill(a_fill())
        store.record_funding(Income(1, "BTCUSDT", "FUNDING_FEE", "USDT", Decimal("-0.1"), NOW))
    with store.transaction():
        assert store.maintenance.prune(before(NOW + 10_000 * DAY_MS)) == 0
    for table in ("trades", "order_status", "fills", "funding_payments"):
        assert rows(engine, f"SELECT count(*) FROM {table}") == [(1,)]


def test_pruning_uses_indexes(engine: Engine) -> None:
    for table, column in (("liquidations", "traded_at"), ("journal", "recorded_at")):
        (plan,) = rows(engine, f"EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE {column} < 1 LIMIT 5000")
        assert f"USING COVERING INDEX ix_{table}_{column}" in str(plan[-1])


def test_nested_transaction_raises(store: Store) -> None:
    with store.transaction(), pytest.raises(InvariantError, match="open already"), store.transaction():
        pytest.fail("it was opened")
    with store.transaction():
        assert store.load_positions() == []


def test_empty_lists_store_nothing(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.insert_liquidations([]) == []
        store.record_decisions([])
        store.save_instruments([])
    assert rows(engine, "SELECT count(*) FROM liquidations") == [(0,)]
