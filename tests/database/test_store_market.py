"""Liquidations and the verdicts on them."""

from decimal import Decimal

from sqlalchemy import Engine

from src.database.repositories import Store
from src.domain.decisions import Decision, Gate
from src.domain.enums import Side
from tests.builders import ENTRY_ID, NOW, D, a_liquidation
from tests.database.reading import rows


def a_decision(gate: Gate | None = Gate.THRESHOLD, **changes: object) -> Decision:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "liquidation_side": Side.SELL,
        "at": NOW,
        "gate": gate,
        "reason": "too little",
        "numbers": {"volume": D("1E+3"), "entries": 2, "quote": None},
        "window_volume": D("1000.50"),
        "threshold": D(50_000),
        "client_order_id": None if gate else ENTRY_ID,
        **changes,
    }
    return Decision(**values)  # type: ignore[arg-type]


def test_liquidations_come_back_as_they_went(store: Store) -> None:
    sent = [a_liquidation(side=side, symbol="币安人生USDT", average_price=D("0.00000123")) for side in Side]
    with store.transaction():
        ids = store.insert_liquidations(sent)
        assert store.recent_liquidations(NOW - 1) == list(zip(ids, sent, strict=True))
        assert store.recent_liquidations(NOW) == []


def test_ids_follow_the_order_of_arrival(store: Store) -> None:
    with store.transaction():
        ids = [
            *store.insert_liquidations([a_liquidation()]),
            *store.insert_liquidations([]),
            *store.insert_liquidations([a_liquidation(traded_at=NOW - number) for number in range(5)]),
        ]
        assert ids == sorted(set(ids))
        assert [row_id for row_id, _ in store.recent_liquidations(0)] == ids


def test_money_lies_in_the_file_as_plain_text(store: Store, engine: Engine) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation(filled_quantity=D("1E+2"), average_price=D("0.1"))])
    found = rows(engine, "SELECT filled_quantity, usdt_value, typeof(usdt_value) FROM liquidations")
    assert found == [("100", "10", "text")]


def test_a_verdict_is_stored_with_its_numbers(store: Store, engine: Engine) -> None:
    with store.transaction():
        (row_id,) = store.insert_liquidations([a_liquidation()])
        store.record_decisions([(row_id, a_decision())])
    assert rows(engine, "SELECT liquidation_id, gate, numbers, window_volume FROM decisions") == [
        (row_id, "threshold", '{"volume": "1000", "entries": 2, "quote": null}', "1000.50")
    ]


def test_the_last_entry_of_each_symbol_and_side(store: Store) -> None:
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


def test_pruning_is_bounded_and_takes_the_verdicts_along(store: Store, engine: Engine) -> None:
    with store.transaction():
        ids = store.insert_liquidations([a_liquidation(traded_at=NOW + number) for number in range(10)])
        store.record_decisions([(row_id, a_decision()) for row_id in ids])
        store.journal("alert", {"message": "kept"})
        gone = [store.prune(NOW + 7, most=4) for _ in range(3)]
    assert gone == [4 + 1, 3, 0]
    assert rows(engine, "SELECT count(*) FROM liquidations") == [(3,)]
    assert rows(engine, "SELECT min(liquidation_id), count(*) FROM decisions") == [(ids[7], 3)]


def test_exactness_survives_the_file(store: Store) -> None:
    quantity = Decimal("123456789.123456789123456789")
    with store.transaction():
        store.insert_liquidations([a_liquidation(quantity=quantity)])
        assert store.recent_liquidations(0)[0][1].quantity == quantity
