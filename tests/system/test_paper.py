"""Paper trading with real keys in reach: everything is recorded, and nothing reaches the exchange."""

import pytest
from sqlalchemy import select

from src.database.db import open_reader, reading
from src.database.models import TradeRow
from src.sandbox.catalogue import load_catalogue
from src.sandbox.script import Script
from src.sandbox.synthetic import SyntheticSource
from tests.system.conftest import Start
from tests.system.rig import demo_settings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]


def test_simulation_trades_on_the_books_alone(start: Start) -> None:
    listings = load_catalogue()
    script = Script(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))
    server, bot = start(script, demo_settings({"simulate_only": True, "cooldown_sec": 2}, volume_threshold=500))
    wait_until(lambda: bool(bot.orders("STOP_LOSS")), 60, "an entry filled on live quotes and its stop")
    with reading(open_reader(bot.home / "bot.db")) as connection:
        statuses = set(connection.scalars(select(TradeRow.status)))
    assert statuses == {"SIMULATED"}
    assert server.exchange.account.records.received == []
    with server.exchange.lock:
        assert not server.exchange.engine.hedge_mode  # not even the account was set
    assert bot.stop() == 0
