"""ccxt's public ``aster`` class receives books, tickers, candles and positions."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from src.domain.enums import Side
from src.sandbox.server import SandboxServer
from tests.builders import D
from tests.sandbox.ccxt_aster.client import SYMBOL, stream_client

TIMEOUT_S = 30


def received(server: SandboxServer, conversation: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run a conversation with a client in its own event loop."""

    async def converse() -> Any:
        client = stream_client(server)
        try:
            return await asyncio.wait_for(conversation(client), TIMEOUT_S)
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as pool:  # a browser test may have left an event loop in this thread
        return pool.submit(asyncio.run, converse()).result()


async def wait_for_subscriber(server: SandboxServer, name: str) -> None:
    """Wait until a client has subscribed to this stream."""
    while name not in server.exchange.subscribed_streams():
        await asyncio.sleep(0.01)


async def receive_after(server: SandboxServer, message: Awaitable[Any], name: str, move: Callable[[], None]) -> Any:
    """Change the market once subscribed; return the next message."""
    task = asyncio.ensure_future(message)
    await wait_for_subscriber(server, name)
    move()
    return await task


@pytest.mark.parametrize("levels", [5, 10, 20])
def test_order_book(server: SandboxServer, levels: int) -> None:
    book = received(server, lambda client: client.watch_order_book(SYMBOL, levels))

    assert len(book["bids"]) == len(book["asks"]) == levels
    assert book["bids"][0][0] == float(server.exchange.market["BTCUSDT"].quote.bid)


def test_ticker(server: SandboxServer) -> None:
    server.exchange.trade("BTCUSDT", Side.BUY, D("0.5"), D(93_000))

    ticker = received(server, lambda client: client.watch_ticker(SYMBOL))

    assert (ticker["symbol"], ticker["last"], ticker["baseVolume"]) == (SYMBOL, 93_000, 0.5)


def test_mark_price(server: SandboxServer) -> None:
    server.exchange.set_mark("BTCUSDT", D(91_300))
    ticker = received(server, lambda client: client.watch_mark_price(SYMBOL))

    assert 91_200 < ticker["markPrice"] <= 91_300


def test_best_prices(server: SandboxServer) -> None:
    async def receive(client: Any) -> Any:
        message = client.watch_bids_asks([SYMBOL])
        return await receive_after(
            server, message, "btcusdt@bookTicker", lambda: server.exchange.move("BTCUSDT", D(92_000))
        )

    assert received(server, receive)[SYMBOL]["bid"] == 91_999.9


def test_trades_and_candles(server: SandboxServer) -> None:
    def trade() -> None:
        server.exchange.trade("BTCUSDT", Side.SELL, D("0.25"))

    async def receive(client: Any) -> Any:
        candles = await receive_after(server, client.watch_ohlcv(SYMBOL, "1m"), "btcusdt@kline_1m", trade)
        [messages] = await receive_after(server, client.watch_trades(SYMBOL), "btcusdt@aggTrade", trade)
        return messages, candles[-1]

    messages, candle = received(server, receive)

    assert (messages["side"], messages["amount"]) == ("sell", 0.25)
    assert candle[5] == 0.25


def test_positions_and_their_changes(server: SandboxServer) -> None:
    async def receive(client: Any) -> Any:
        await client.create_order(SYMBOL, "market", "buy", 0.01)
        [position] = await client.watch_positions([SYMBOL])
        before = position["side"], position["contracts"]
        # watch_balance would prepare this, but it rejects every market type (ccxt 4.5.90).
        client.balance["swap"] = {}
        message = asyncio.ensure_future(client.watch_positions([SYMBOL]))
        await wait_for_subscriber(server, client.options["listenKey"]["swap"])
        await client.create_order(SYMBOL, "market", "buy", 0.02)
        return before, await message

    before, after = received(server, receive)

    assert before == ("long", 0.01)
    assert (after["symbol"], after["side"], after["contracts"]) == (SYMBOL, "long", 0.03)
