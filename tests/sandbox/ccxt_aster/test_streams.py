"""ccxt's public ``aster`` class listens: books, tickers, candles, and the positions of the account."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from src.domain.enums import Side
from src.sandbox.server import SandboxServer
from tests.builders import D
from tests.sandbox.ccxt_aster.client import SYMBOL, listening

PATIENT_SECONDS = 30


def received(server: SandboxServer, conversation: Callable[[Any], Awaitable[Any]]) -> Any:
    """What a client hears, in an event loop of its own."""

    async def listen() -> Any:
        client = listening(server)
        try:
            return await asyncio.wait_for(conversation(client), PATIENT_SECONDS)
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as pool:  # a browser's test before this one may have left a loop in this thread
        return pool.submit(asyncio.run, listen()).result()


async def wanted(server: SandboxServer, name: str) -> None:
    """Until the server knows that somebody listens to this."""
    while name not in server.exchange.subscribed_streams():
        await asyncio.sleep(0.01)


async def moved(server: SandboxServer, hearing: Awaitable[Any], name: str, move: Callable[[], None]) -> Any:
    """What is heard after the market moved."""
    task = asyncio.ensure_future(hearing)
    await wanted(server, name)
    move()
    return await task


@pytest.mark.parametrize("levels", [5, 10, 20])
def test_the_order_book(server: SandboxServer, levels: int) -> None:
    book = received(server, lambda client: client.watch_order_book(SYMBOL, levels))

    assert len(book["bids"]) == len(book["asks"]) == levels
    assert book["bids"][0][0] == float(server.exchange.market["BTCUSDT"].quote.bid)


def test_the_ticker(server: SandboxServer) -> None:
    server.exchange.trade("BTCUSDT", Side.BUY, D("0.5"), D(93_000))

    ticker = received(server, lambda client: client.watch_ticker(SYMBOL))

    assert (ticker["symbol"], ticker["last"], ticker["baseVolume"]) == (SYMBOL, 93_000, 0.5)


def test_the_mark_price(server: SandboxServer) -> None:
    server.exchange.set_mark("BTCUSDT", D(91_300))
    ticker = received(server, lambda client: client.watch_mark_price(SYMBOL))

    assert 91_200 < ticker["markPrice"] <= 91_300


def test_the_best_prices(server: SandboxServer) -> None:
    async def receive(client: Any) -> Any:
        hearing = client.watch_bids_asks([SYMBOL])
        return await moved(server, hearing, "btcusdt@bookTicker", lambda: server.exchange.move("BTCUSDT", D(92_000)))

    assert received(server, receive)[SYMBOL]["bid"] == 91_999.9


def test_trades_and_candles(server: SandboxServer) -> None:
    def trade() -> None:
        server.exchange.trade("BTCUSDT", Side.SELL, D("0.25"))

    async def receive(client: Any) -> Any:
        candles = await moved(server, client.watch_ohlcv(SYMBOL, "1m"), "btcusdt@kline_1m", trade)
        [messages] = await moved(server, client.watch_trades(SYMBOL), "btcusdt@aggTrade", trade)
        return messages, candles[-1]

    messages, candle = received(server, receive)

    assert (messages["side"], messages["amount"]) == ("sell", 0.25)
    assert candle[5] == 0.25


def test_the_positions_as_they_are_and_as_they_change(server: SandboxServer) -> None:
    async def receive(client: Any) -> Any:
        await client.create_order(SYMBOL, "market", "buy", 0.01)
        [position] = await client.watch_positions([SYMBOL])
        before = position["side"], position["contracts"]
        # What its watch_balance would prepare, did that not refuse every type of market (ccxt 4.5.90).
        client.balance["swap"] = {}
        hearing = asyncio.ensure_future(client.watch_positions([SYMBOL]))
        await wanted(server, client.options["listenKey"]["swap"])
        await client.create_order(SYMBOL, "market", "buy", 0.02)
        return before, await hearing

    before, after = received(server, receive)

    assert before == ("long", 0.01)
    assert (after["symbol"], after["side"], after["contracts"]) == (SYMBOL, "long", 0.03)
