"""Statements that go to the driver store and read the same values as SQLAlchemy."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select

from src.database.db import open_reader, read_transaction
from src.database.models import JournalRow, LiquidationRow, StateRow, TradeRow
from src.database.open_database import open_database
from src.database.statements import Prepared, prepared_insert, prepared_upsert
from src.database.tables.orders import new_trade
from src.domain.enums import OrderStatus
from tests.builders import NOW, an_order


def test_prepared_insert_stores_what_sqlalchemy_stores(tmp_path: Path) -> None:
    engine, journal = open_database(tmp_path / "bot.db", NOW).engine, prepared_insert(JournalRow)
    values = {
        "recorded_at": NOW,
        "kind": "order",
        "symbol": None,
        "payload": {"p": Decimal("1E-7"), "s": OrderStatus.NEW},
    }
    trade = new_trade(an_order(), simulated=False)
    with engine.begin() as connection:
        assert journal.execute(connection, {"id": None, **values}).lastrowid == 1
        connection.execute(insert(JournalRow), values)
        prepared_insert(TradeRow).execute(connection, {"id": 1, **trade})
        connection.execute(insert(TradeRow), {"id": 2, **trade, "client_order_id": "other"})
    with read_transaction(open_reader(tmp_path / "bot.db")) as connection:
        (_, *first), (_, *second) = connection.execute(select(JournalRow.__table__)).all()
        own, other = (row._asdict() for row in connection.execute(select(TradeRow.__table__)).all())
    assert first == second
    assert own | {"id": 2, "client_order_id": "other"} == other
    engine.dispose()


def test_prepared_query_returns_decimals_and_upsert_replaces(tmp_path: Path) -> None:
    engine, state = open_database(tmp_path / "bot.db", NOW).engine, prepared_upsert(StateRow)
    query = Prepared(select(StateRow.value, StateRow.updated_at).where(StateRow.key == bindparam("name")))
    with engine.begin() as connection:
        for number in (1, 2):
            state.execute(connection, {"key": "balance", "value": {"n": number}, "updated_at": number})
        found = query.rows(connection, {"name": "balance"})
        nothing = query.first(connection, {"name": "unknown"})
    assert found == [({"n": 2}, 2)]
    assert nothing is None
    engine.dispose()


def test_prepared_insert_requires_every_column(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "bot.db", NOW).engine
    with pytest.raises(KeyError), engine.begin() as connection:
        prepared_insert(LiquidationRow).execute(connection, {"symbol": "BTCUSDT"})
    engine.dispose()
