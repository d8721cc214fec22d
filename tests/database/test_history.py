"""What is kept for ever, what is pruned, and what JSON makes of our values."""

from decimal import Decimal
from enum import Enum

import pytest
from sqlalchemy import Engine

from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.enums import Side
from src.domain.errors import InvariantError
from src.domain.positions import Income
from tests.builders import NOW, a_fill, a_liquidation, an_order
from tests.database.reading import rows

DAY_MS = 24 * 3_600_000


class Colour(Enum):
    RED = "red"


def test_values_at_any_depth_become_plain_words(store: Store) -> None:
    deep = {"list": [Decimal("1E+3"), (Decimal("1E-9"), Side.BUY)], "map": {"colour": Colour.RED, Side.SELL: None}}
    with store.transaction():
        store.set_state("deep", deep)
        assert store.get_state("deep") == {
            "list": ["1000", ["0.000000001", "BUY"]],
            "map": {"colour": "red", "SELL": None},
        }


def test_half_a_character_from_outside_does_not_stop_a_commit(store: Store) -> None:
    with store.transaction():
        store.set_state("text", {"币安": "\ud800"})
    with store.transaction():
        assert store.get_state("text") == {"币安": "\ud800"}


def test_a_month_of_market_and_news_is_kept(store: Store, engine: Engine, clock: ManualClock) -> None:
    with store.transaction():
        store.insert_liquidations([a_liquidation(traded_at=NOW), a_liquidation(traded_at=NOW + DAY_MS)])
        store.journal("news", {})
    clock.advance(30 * DAY_MS)
    with store.transaction():
        assert store.prune_history() == 0
    clock.advance(1)
    with store.transaction():
        assert store.prune_history() == 2
    assert rows(engine, "SELECT traded_at FROM liquidations") == [(NOW + DAY_MS,)]
    assert rows(engine, "SELECT count(*) FROM journal") == [(0,)]


def test_orders_fills_and_funding_stay_for_ever(store: Store, engine: Engine, clock: ManualClock) -> None:
    with store.transaction():
        store.record_order(an_order(), simulated=False)
        store.record_fill(a_fill())
        store.record_funding(Income(1, "BTCUSDT", "FUNDING_FEE", "USDT", Decimal("-0.1"), NOW))
    clock.advance(10_000 * DAY_MS)
    with store.transaction():
        assert store.prune_history() == 0
    for table in ("trades", "order_status", "fills", "funding"):
        assert rows(engine, f"SELECT count(*) FROM {table}") == [(1,)]


def test_pruning_asks_the_indexes(engine: Engine) -> None:
    for table, column in (("liquidations", "traded_at"), ("journal", "at")):
        (plan,) = rows(engine, f"EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE {column} < 1 LIMIT 5000")
        assert f"USING COVERING INDEX ix_{table}_{column}" in str(plan[-1])


def test_a_transaction_in_a_transaction_contradicts_us(store: Store) -> None:
    with store.transaction(), pytest.raises(InvariantError, match="open already"), store.transaction():
        pytest.fail("it was opened")
    with store.transaction():
        assert store.load_positions() == []


def test_nothing_to_store_is_nothing_stored(store: Store, engine: Engine) -> None:
    with store.transaction():
        assert store.insert_liquidations([]) == []
        store.record_decisions([])
        store.save_instruments([])
    assert rows(engine, "SELECT count(*) FROM liquidations") == [(0,)]
