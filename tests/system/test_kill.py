"""kill -9 at random moments of a busy market: nothing is sent twice, and no position stays without its stop."""

import os
import threading
from decimal import Decimal
from random import Random

import pytest

from src.sandbox.catalogue import load_catalogue
from src.sandbox.script import Script
from src.sandbox.synthetic import SyntheticSource
from tests.system.conftest import Start
from tests.system.rig import demo_settings, sandbox_net, sandbox_positions, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

ROUNDS = int(os.environ.get("KILL_ROUNDS", "8"))
SHORTEST_LIFE_S, LONGEST_LIFE_S = 2.0, 8.0
PROTECTED_WITHIN_MS = 20_000


def a_busy_market() -> Script:
    listings = load_catalogue()
    return Script(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))


def test_a_killed_bot_takes_up_where_it_was(start: Start) -> None:
    draw = Random(11)
    server, bot = start(a_busy_market(), demo_settings({"cooldown_sec": 2}, volume_threshold=500))
    for _ in range(ROUNDS):
        lifetime = draw.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S)
        threading.Event().wait(lifetime)
        bot.kill()
        bot.start()
    bot.wait_until_trading()

    records = server.exchange.account.records
    assert len(records.received) > ROUNDS
    assert max(records.times_received().values()) == 1
    assert server.exchange.protection.longest_ms(server.exchange.now_ms()) < PROTECTED_WITHIN_MS

    def agree() -> bool:
        books = bot.books()
        return books.net == sandbox_net(server) and books.positions == sandbox_positions(server)

    wait_until(agree, 60, f"{bot.books()} against {sandbox_net(server)} {sandbox_positions(server)}")
    assert isinstance(bot.books().net, Decimal)
    assert bot.stop() == 0
