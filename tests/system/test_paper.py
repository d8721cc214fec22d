"""Paper trading with keys available: everything is recorded, and no order reaches the exchange."""

import os
import threading
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from src.database.db import open_reader, read_transaction
from src.database.models import FillRow, JournalRow, TradeRow
from src.database.queries.orders import OPEN_STATUSES
from src.database.repositories import PAPER_ACCOUNT
from src.domain.enums import Side
from src.exchange.paper import PAPER_CAPITAL
from src.sandbox.market.listings import load_listings
from src.sandbox.market.scenario import Scenario
from src.sandbox.market.synthetic import SyntheticSource
from src.sandbox.server import SandboxServer
from tests.builders import settings_document
from tests.system.conftest import Start
from tests.system.harness import BotProcess, demo_settings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.recovery]


def test_paper_trading_sends_no_orders(start: Start) -> None:
    listings = load_listings()
    scenario = Scenario(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))
    server, bot = start(scenario, demo_settings({"simulate_only": True, "cooldown_sec": 2}, volume_threshold=500))
    wait_until(lambda: bool(bot.orders("STOP_LOSS")), 60, "an entry filled on live quotes and its stop")
    with read_transaction(open_reader(bot.home / "bot.db")) as connection:
        statuses = set(connection.scalars(select(TradeRow.status)))
    assert statuses == {"SIMULATED"}
    assert server.exchange.account.request_log.received == []
    with server.exchange.lock:
        assert not server.exchange.engine.hedge_mode  # not even account settings were changed
    assert bot.stop() == 0


D = Decimal
SYMBOL = "BTCUSDT"
ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
Stop = Callable[[BotProcess], object]


def paper_settings() -> dict[str, Any]:
    document = settings_document()
    document["globals"] |= {"simulate_only": True, "cooldown_sec": 600, "db_path": "bot.db"}
    return document


def quote(server: SandboxServer, bid: Decimal) -> None:
    """Publish a mark price and a book with a spread of one tick; the bot needs fresh quotes."""
    server.exchange.set_mark(SYMBOL, bid)
    server.exchange.set_quote(SYMBOL, bid, bid + D("0.1"))


def open_position(server: SandboxServer, bot: BotProcess) -> None:
    """Trigger an entry at 50,000, let it fill, and wait for both exits."""

    def has_entry() -> bool:
        quote(server, D(50_000))
        server.exchange.liquidate(SYMBOL, Side.SELL, D(2), D(50_000))
        return bool(bot.orders("ENTRY"))

    def is_protected() -> bool:
        quote(server, D(49_900))
        return {role for role, *_ in open_orders(bot)} == {"STOP_LOSS", "TAKE_PROFIT"}

    wait_until(has_entry, 20, "an entry")
    wait_until(is_protected, 20, "a filled entry with both exits")


def open_orders(bot: BotProcess) -> list[tuple[Any, ...]]:
    """Open orders: role, client order id, order id, stop price and status."""
    row = TradeRow
    columns = (row.role, row.client_order_id, row.order_id, row.stop_price, row.order_status)
    with read_transaction(open_reader(bot.home / "bot.db")) as connection:
        found = connection.execute(select(*columns).where(row.order_status.in_(OPEN_STATUSES)).order_by(row.id))
        return [tuple(each) for each in found]


def fills(bot: BotProcess) -> list[Any]:
    with read_transaction(open_reader(bot.home / "bot.db")) as connection:
        return list(connection.execute(select(FillRow.__table__).order_by(FillRow.id)))


def alerts(bot: BotProcess) -> list[str]:
    with read_transaction(open_reader(bot.home / "bot.db")) as connection:
        found = connection.scalars(select(JournalRow.payload).where(JournalRow.kind == "alert"))
        return [payload["message"] for payload in found]


def account(bot: BotProcess) -> tuple[Any, Any, Any]:
    """State that the paper exchange must keep."""
    state = bot.state(PAPER_ACCOUNT)
    return state["wallets"], state["holdings"], state["terms"]


def wallet(bot: BotProcess) -> Decimal:
    return D(bot.state(PAPER_ACCOUNT)["wallets"]["USDT"])


def restart(bot: BotProcess, server: SandboxServer) -> None:
    """Start the bot and wait until it has reconciled twice."""
    bot.start()
    bot.wait_until_trading()
    quote(server, D(49_900))
    wait_until(lambda: bot.state("bot")["heartbeat_at"] > bot.state("bot")["started_at"] + 7_000, 30, bot.output)


@pytest.mark.parametrize("end", [BotProcess.kill, BotProcess.stop], ids=["kill -9", "stop"])
def test_paper_account_is_kept_by_a_restart(start: Start, end: Stop) -> None:
    server, bot = start(Scenario(), paper_settings())
    open_position(server, bot)
    before = bot.totals(), open_orders(bot), account(bot), wallet(bot)
    end(bot)
    assert before[1] == open_orders(bot)
    restart(bot, server)
    assert (bot.totals(), open_orders(bot), account(bot), wallet(bot)) == before
    assert before[3] == PAPER_CAPITAL + bot.totals().net < PAPER_CAPITAL
    assert [each for each in alerts(bot) if "corrected" in each or "unknown" in each or "lost" in each] == []
    assert bot.stop() == 0


def test_stop_passed_while_down_triggers_after_the_start(start: Start) -> None:
    server, bot = start(Scenario(), paper_settings())
    open_position(server, bot)
    [stop] = [each for each in open_orders(bot) if each[0] == "STOP_LOSS"]
    bot.kill()
    quote(server, D(40_000))
    bot.start()

    def is_flat() -> bool:
        quote(server, D(40_000))
        return bot.totals().positions == {}

    wait_until(is_flat, 30, bot.output)
    wait_until(lambda: open_orders(bot) == [], 90, "the take profit is cancelled, or known as never placed")
    exits = [fill for fill in fills(bot) if fill.side == "SELL"]
    assert {(fill.client_order_id, fill.price) for fill in exits} == {(stop[1], D(40_000))}
    assert wallet(bot) == PAPER_CAPITAL + bot.totals().net
    assert len({fill.trade_id for fill in fills(bot)}) == len(fills(bot))
    assert bot.stop() == 0


def test_paper_account_survives_random_kills(start: Start) -> None:
    random, listings = Random(5), load_listings()
    scenario = Scenario(listings, lambda at: SyntheticSource(listings.values(), at, seed=3))
    _, bot = start(scenario, demo_settings({"simulate_only": True, "cooldown_sec": 2}, volume_threshold=500))
    wait_until(lambda: bool(bot.orders("STOP_LOSS")), 60, "an entry filled on live quotes and its stop")
    for _ in range(ROUNDS):
        threading.Event().wait(random.uniform(1, 6))
        bot.kill()
        assert wallet(bot) == PAPER_CAPITAL + bot.totals().net
        held = {(each["position"]["symbol"], each["position"]["position_side"]): D(each["position"]["quantity"])
                for each in bot.state(PAPER_ACCOUNT)["holdings"]}  # fmt: skip
        assert {key: quantity for key, quantity in bot.totals().positions.items() if quantity} == held
        bot.start()
        bot.wait_until_trading()
    assert [each for each in alerts(bot) if "corrected" in each or "unknown" in each] == []
    assert bot.stop() == 0
