"""A small exchange process for the benchmarks: it answers at once and notes when each order arrived.

Neither the engine nor the sandbox runs here: an order is answered from a template, so that what is measured is the
program that sends it. ``POST /control`` runs one measurement and responds with its result (``FloorExchange.control``).
"""

import asyncio
import base64
import hashlib
import json
import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from src.exchange.wire import render_exchange_info
from src.sandbox.market.listings import load_listings

TRADED = tuple(f"BOT{number}USDT" for number in range(5))
"""Symbols of which every liquidation leads to an order of the bot."""
WATCHED = tuple(f"WATCH{number}USDT" for number in range(5))
"""Configured symbols with a threshold that is never reached."""
OTHERS = tuple(f"OTHER{number}USDT" for number in range(290))
FLOOR = tuple(f"FLOOR{number}USDT" for number in range(5))
"""Symbols of the floor program; the bot never hears of them."""
BID, ASK, MARK = "1999.99", "2000.00", "2000.00"
_WATCHED_SHARE = 3
"""Of ten liquidations in a burst so many are of watched symbols."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HUGE = 10_000_000
_CONTROL_SECONDS = 5.0
_BURST_TICK_SECONDS = 0.005
_PING, _PONG, _CLOSE = 0x9, 0xA, 0x8


def liquidation_frame(symbol: str, at: int, *, combined: bool = True) -> bytes:
    """Render the text of a ``forceOrder`` frame; combined streams have an envelope."""
    order = (
        f'{{"e":"forceOrder","E":{at},"o":{{"s":"{symbol}","S":"SELL","o":"LIMIT","f":"IOC","q":"2","p":"1990.00",'
        f'"ap":"1991.00","X":"FILLED","l":"2","z":"2","T":{at}}}}}'
    )
    return (f'{{"stream":"!forceOrder@arr","data":{order}}}' if combined else order).encode()


def background_symbol(number: int) -> str:
    """The symbol of the n-th liquidation of a burst: three of ten are of configured symbols."""
    if number % 10 < _WATCHED_SHARE:
        return WATCHED[number % len(WATCHED)]
    return OTHERS[number * 7 % len(OTHERS)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _frame(text: bytes, opcode: int = 0x1) -> bytes:
    size = len(text)
    if size < 126:
        return bytes((0x80 | opcode, size)) + text
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + struct.pack("!H", size) + text
    return bytes((0x80 | opcode, 127)) + struct.pack("!Q", size) + text


@dataclass(slots=True)
class _Order:
    """An open order, by the parameters of its request."""

    parameters: Mapping[str, str]
    order_id: int
    status: str = "NEW"
    filled: str = "0"

    @property
    def client_order_id(self) -> str:
        return self.parameters.get("newClientOrderId", f"floor-{self.order_id}")

    @property
    def symbol(self) -> str:
        return self.parameters["symbol"]

    @property
    def quantity(self) -> str:
        return self.parameters.get("quantity", "0")

    def response(self) -> dict[str, object]:
        given, now_ms = self.parameters, _now_ms()
        return {
            "orderId": self.order_id,
            "symbol": self.symbol,
            "status": self.status,
            "clientOrderId": self.client_order_id,
            "price": given.get("price", "0"),
            "avgPrice": BID if self.filled != "0" else "0",
            "origQty": self.quantity,
            "executedQty": self.filled,
            "cumQuote": "0",
            "timeInForce": given.get("timeInForce", "GTC"),
            "type": given["type"],
            "reduceOnly": given.get("reduceOnly", "false") == "true",
            "closePosition": given.get("closePosition", "false") == "true",
            "side": given["side"],
            "positionSide": given.get("positionSide", "BOTH"),
            "stopPrice": given.get("stopPrice", "0"),
            "workingType": given.get("workingType", "CONTRACT_PRICE"),
            "priceProtect": given.get("priceProtect", "false") == "true",
            "origType": given["type"],
            "time": now_ms,
            "updateTime": now_ms,
        }

    def event(self, execution: str, trade: Mapping[str, object] | None = None) -> dict[str, object]:
        """Render ORDER_TRADE_UPDATE."""
        shown, now_ms = self.response(), _now_ms()
        content: dict[str, object] = {
            "s": self.symbol,
            "c": self.client_order_id,
            "S": shown["side"],
            "o": shown["type"],
            "f": shown["timeInForce"],
            "q": self.quantity,
            "p": shown["price"],
            "ap": shown["avgPrice"],
            "sp": shown["stopPrice"],
            "x": execution,
            "X": self.status,
            "i": self.order_id,
            "z": self.filled,
            "R": shown["reduceOnly"],
            "wt": shown["workingType"],
            "ot": shown["type"],
            "ps": shown["positionSide"],
            "cp": shown["closePosition"],
            "pP": shown["priceProtect"],
            **(trade or {"l": "0", "L": "0", "T": now_ms, "t": 0, "m": False, "rp": "0"}),
        }
        return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": content}


@dataclass(slots=True)
class _Wait:
    """A measurement in progress: how many orders of a type it waits for, and when they arrived."""

    count: int
    type: str
    prefix: str
    done: "asyncio.Future[None]"
    arrived_ns: list[int] = field(default_factory=list)


class FloorExchange:
    """State and responses; connections call ``respond`` with complete requests."""

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self.sockets: dict[str, Callable[[bytes], None]] = {}
        """How to write to the stream of each kind: market, user, floor."""
        self._orders: dict[str, _Order] = {}
        self._positions: dict[str, str] = {}
        self._next_id = 1
        self._requests = 0
        self._wait: _Wait | None = None
        self._info = self._exchange_info()
        self._routes: dict[str, Callable[[Mapping[str, str]], object]] = {
            "GET time": lambda _: {"serverTime": _now_ms()},
            "GET exchangeInfo": lambda _: self._info,
            "GET positionSide/dual": lambda _: {"dualSidePosition": False},
            "GET multiAssetsMargin": lambda _: {"multiAssetsMargin": False},
            "GET positionRisk": lambda _: [self._position(symbol) for symbol in (*TRADED, *WATCHED)],
            "GET openOrders": lambda _: [order.response() for order in self._bot_orders()],
            "GET account": lambda _: self._account(),
            "GET accountWithJoinMargin": lambda _: self._account(),
            "POST listenKey": lambda _: {"listenKey": "benchmark"},
            "PUT listenKey": lambda _: {},
            "DELETE listenKey": lambda _: {},
            "POST order": self._place,
            "GET order": self._query,
            "DELETE order": self._cancel,
            "GET depth": lambda _: {"E": _now_ms(), "T": _now_ms(), "bids": [[BID, "100"]], "asks": [[ASK, "100"]]},
        }

    def respond(self, method: str, path: str, parameters: Mapping[str, str], arrived_ns: int) -> tuple[int, object]:
        """Answer a request of Aster's API; those without a route get an empty list."""
        name = path.removeprefix("/fapi/").partition("/")[2]
        self._requests += name != "order"
        if method == "POST" and name == "order":
            self._note_arrival(parameters, arrived_ns)
        route = self._routes.get(f"{method} {name}")
        answer = [] if route is None else route(parameters)
        return (400, {"code": -2013, "msg": "Order does not exist."}) if answer is None else (200, answer)

    async def control(self, command: Mapping[str, Any]) -> object:
        """Run one step of a benchmark: ``signal`` and ``fill`` measure, the others prepare."""
        match command["do"]:
            case "delay":
                self.delay_seconds = command["ms"] / 1000
            case "signal":
                return await self._signal(command)
            case "fill":
                return await self._fill(command["prefix"])
            case "settle":
                return await self._settle()
            case "streams":
                return sorted(self.sockets)
        return None

    async def run_market(self) -> None:
        """Send the quotes ten times a second and all mark prices once a second, as a quiet market does."""
        number = 0
        while True:
            market, now_ms = self.sockets.get("market"), _now_ms()
            if market is not None:
                for symbol in (*TRADED, *WATCHED):
                    quote = {"e": "bookTicker", "E": now_ms, "T": now_ms, "s": symbol, "b": BID, "B": "9", "a": ASK}
                    market(self._text({"stream": f"{symbol.lower()}@bookTicker", "data": quote | {"A": "9"}}))
                if number % 10 == 0:
                    marks = [
                        {"e": "markPriceUpdate", "E": now_ms, "s": symbol, "p": MARK, "i": MARK, "r": "0.0001"}
                        for symbol in (*TRADED, *WATCHED, *OTHERS)
                    ]
                    market(self._text({"stream": "!markPrice@arr@1s", "data": marks}))
            number += 1
            await asyncio.sleep(0.1)

    async def _signal(self, command: Mapping[str, Any]) -> object:
        """Send one liquidation for each symbol; ``burst`` others a second arrive before and after them."""
        symbols, kind = command["symbols"], "floor" if command["symbols"][0] in FLOOR else "market"
        write, is_combined = self.sockets[kind], kind == "market"
        burst = asyncio.ensure_future(self._burst(write, command.get("burst", 0), is_combined=is_combined))
        if command.get("burst"):
            await asyncio.sleep(0.1)
        wait = self._expect(len(symbols), "LIMIT", symbols[0][:3])
        frames = b"".join(_frame(liquidation_frame(each, _now_ms(), combined=is_combined)) for each in symbols)
        sent_ns = time.perf_counter_ns()
        write(frames)
        try:
            return await self._result(wait, sent_ns)
        finally:
            burst.cancel()

    async def _burst(self, write: Callable[[bytes], None], rate: int, *, is_combined: bool) -> None:
        each, number = round(rate * _BURST_TICK_SECONDS), 0
        while rate:
            now_ms, frames = _now_ms(), []
            for _ in range(each):
                frames.append(_frame(liquidation_frame(background_symbol(number), now_ms, combined=is_combined)))
                number += 1
            write(b"".join(frames))
            await asyncio.sleep(_BURST_TICK_SECONDS)

    async def _fill(self, prefix: str) -> object:
        """Fill the open entry of the bot or the floor; measures until its stop arrives."""
        order = next(each for each in self._orders.values() if each.symbol.startswith(prefix))
        order.status, order.filled = "FILLED", order.quantity
        del self._orders[order.client_order_id]
        frames = b"".join(self._text(each) for each in self._trade(order, order.quantity, "0"))
        wait = self._expect(1, "STOP_MARKET", prefix)
        sent_ns = time.perf_counter_ns()
        self.sockets["floor" if prefix == FLOOR[0][:5] else "user"](frames)
        return await self._result(wait, sent_ns)

    async def _settle(self) -> object:
        """End all orders and positions as the exchange would, and wait until the bot has cancelled the rest."""
        for order in [each for each in self._orders.values() if each.symbol in FLOOR]:
            del self._orders[order.client_order_id]
        for order in [each for each in self._bot_orders() if each.parameters["type"] == "LIMIT"]:
            del self._orders[order.client_order_id]
            order.status = "EXPIRED"
            self._to_user(order.event("EXPIRED"))
        deadline = time.monotonic() + _CONTROL_SECONDS
        while (self._positions or self._bot_orders()) and time.monotonic() < deadline:
            for order in [each for each in self._bot_orders() if each.parameters["type"] == "TAKE_PROFIT_MARKET"]:
                if order.symbol in self._positions:
                    self._take_profit(order)
            await asyncio.sleep(0.005)
        return len(self._orders)

    def _take_profit(self, order: _Order) -> None:
        quantity = self._positions.pop(order.symbol)
        del self._orders[order.client_order_id]
        order.status, order.filled = "FILLED", quantity
        order.parameters = {**order.parameters, "quantity": quantity}
        for each in self._trade(order, "0", "0.1"):
            self._to_user(each)

    def _trade(self, order: _Order, position: str, profit: str) -> list[dict[str, object]]:
        """The two events of a trade that fills the order: the account first, as the exchange sends them."""
        now_ms, self._next_id = _now_ms(), self._next_id + 1
        if position != "0" and order.symbol not in FLOOR:
            self._positions[order.symbol] = position
        change = {"s": order.symbol, "pa": position, "ep": BID, "cr": "0", "up": "0", "mt": "cross", "iw": "0"}
        account = {
            "m": "ORDER",
            "B": [{"a": "USDT", "wb": "1000000", "cw": "1000000", "bc": "0"}],
            "P": [change | {"ps": "BOTH"}],
        }
        trade = {"l": order.quantity, "L": BID, "N": "USDT", "n": "0.01", "T": now_ms, "t": self._next_id}
        return [
            {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": account},
            order.event("TRADE", trade | {"m": True, "rp": profit}),
        ]

    def _expect(self, count: int, order_type: str, prefix: str) -> _Wait:
        self._requests = 0
        self._wait = _Wait(count, order_type, prefix, asyncio.get_running_loop().create_future())
        return self._wait

    async def _result(self, wait: _Wait, sent_ns: int) -> object:
        """Milliseconds until each order, and how many other requests arrived meanwhile."""
        try:
            await asyncio.wait_for(wait.done, _CONTROL_SECONDS)
        except TimeoutError:
            return {"error": f"{len(wait.arrived_ns)} of {wait.count} orders arrived"}
        return {"ms": [(each - sent_ns) / 1e6 for each in wait.arrived_ns], "other_requests": self._requests}

    def _note_arrival(self, parameters: Mapping[str, str], arrived_ns: int) -> None:
        wait = self._wait
        if wait is None or parameters["type"] != wait.type or not parameters["symbol"].startswith(wait.prefix):
            return
        wait.arrived_ns.append(arrived_ns)
        if len(wait.arrived_ns) == wait.count and not wait.done.done():
            wait.done.set_result(None)
            self._wait = None

    def _place(self, parameters: Mapping[str, str]) -> object:
        self._next_id += 1
        order = _Order(parameters, self._next_id)
        self._orders[order.client_order_id] = order
        answer = order.response()
        if order.symbol not in FLOOR:
            asyncio.get_running_loop().call_soon(self._to_user, order.event("NEW"))
        return answer

    def _query(self, parameters: Mapping[str, str]) -> object:
        order = self._orders.get(parameters.get("origClientOrderId", ""))
        return None if order is None else order.response()

    def _cancel(self, parameters: Mapping[str, str]) -> object:
        order = self._orders.pop(parameters.get("origClientOrderId", ""), None)
        if order is None:
            return None
        order.status = "CANCELED"
        asyncio.get_running_loop().call_soon(self._to_user, order.event("CANCELED"))
        return order.response()

    def _bot_orders(self) -> list[_Order]:
        return [each for each in self._orders.values() if each.symbol not in FLOOR]

    def _to_user(self, event: object) -> None:
        if "user" in self.sockets:
            self.sockets["user"](self._text(event))

    def _position(self, symbol: str) -> object:
        quantity = self._positions.get(symbol, "0")
        return {
            "symbol": symbol,
            "positionAmt": quantity,
            "entryPrice": BID if quantity != "0" else "0",
            "markPrice": MARK,
            "unRealizedProfit": "0",
            "liquidationPrice": "1000" if quantity != "0" else "0",
            "leverage": "5",
            "marginType": "cross",
            "isolatedMargin": "0",
            "positionSide": "BOTH",
            "updateTime": 0,
        }

    @staticmethod
    def _account() -> object:
        asset = {"asset": "USDT", "walletBalance": "1000000", "crossWalletBalance": "1000000"}
        return {"totalWalletBalance": "1000000", "availableBalance": "1000000", "assets": [asset], "positions": []}

    @staticmethod
    def _exchange_info() -> object:
        instrument = load_listings()["ETHUSDT"].instrument
        info = render_exchange_info(
            (replace(instrument, symbol=symbol) for symbol in (*TRADED, *WATCHED, *OTHERS)), _now_ms()
        )
        limits: Any = info["rateLimits"]
        return info | {"rateLimits": [each | {"limit": _HUGE} for each in limits]}

    @staticmethod
    def _text(payload: object) -> bytes:
        return _frame(json.dumps(payload).encode())


class _Connection(asyncio.Protocol):
    """HTTP/1.1 on a kept-alive connection, or a WebSocket once it was upgraded."""

    def __init__(self, exchange: FloorExchange) -> None:
        self._exchange = exchange
        self._buffer = b""
        self._is_upgraded = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        sockets = self._exchange.sockets
        for kind in [kind for kind, write in sockets.items() if write == self._transport.write]:
            del sockets[kind]

    def data_received(self, data: bytes) -> None:
        arrived_ns = time.perf_counter_ns()
        self._buffer += data
        while self._read_frame() if self._is_upgraded else self._read_request(arrived_ns):
            pass

    def _read_request(self, arrived_ns: int) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            return False
        self._buffer = rest[size:]
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        if "sec-websocket-key" in headers:
            self._upgrade(unquote(path), headers["sec-websocket-key"])
        elif path == "/control":
            self._control_task = asyncio.ensure_future(self._control(json.loads(rest[:size])))
        else:
            parameters = dict(parse_qsl(query) + parse_qsl(rest[:size].decode()))
            status, answer = self._exchange.respond(method, path, parameters, arrived_ns)
            self._answer(status, answer, self._exchange.delay_seconds)
        return True

    async def _control(self, command: Mapping[str, Any]) -> None:
        self._answer(200, await self._exchange.control(command), 0)

    def _answer(self, status: int, payload: object, delay_seconds: float) -> None:
        body = json.dumps(payload).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if delay_seconds:
            asyncio.get_running_loop().call_later(delay_seconds, self._transport.write, head.encode() + body)
        else:
            self._transport.write(head.encode() + body)

    def _upgrade(self, path: str, key: str) -> None:
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
        lines = (
            "101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
        )
        self._transport.write(("HTTP/1.1 " + "\r\n".join(lines) + "\r\n\r\n").encode())
        self._is_upgraded = True
        kind = {"/stream": "market", "/ws/floor": "floor"}.get(path, "user")
        self._exchange.sockets[kind] = self._transport.write

    def _read_frame(self) -> bool:
        """Answer a ping and a close; clients send nothing else."""
        if len(self._buffer) < 6:
            return False
        opcode, size = self._buffer[0] & 0x0F, self._buffer[1] & 0x7F
        if len(self._buffer) < 6 + size:
            return False
        mask, masked = self._buffer[2:6], self._buffer[6 : 6 + size]
        self._buffer = self._buffer[6 + size :]
        if opcode == _PING:
            self._transport.write(_frame(bytes(each ^ mask[index % 4] for index, each in enumerate(masked)), _PONG))
        elif opcode == _CLOSE:
            self._transport.close()
        return True


async def serve() -> None:
    """Serve REST and streams on one free port, which is printed, until standard input ends."""
    loop, exchange = asyncio.get_running_loop(), FloorExchange()
    server = await loop.create_server(lambda: _Connection(exchange), "127.0.0.1", 0)
    market = asyncio.ensure_future(exchange.run_market())
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    market.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
