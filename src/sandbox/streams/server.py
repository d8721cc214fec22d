"""The stream server: raw and combined connections, subscriptions and pings.

One asyncio loop in its own thread serves all connections. ``publish`` may be called from any thread; frames are sent
in the order of the calls.
"""

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response

from src.exchange.wire import wrap
from src.sandbox.faults import FaultKind, Faults
from src.sandbox.streams.names import fault_name
from src.sandbox.streams.subscriptions import SubscriptionError, Subscriptions

_MESSAGES_PER_SECOND = 10
_MAX_QUEUED = 5_000
_READY_S = 10.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Ping interval and maximum lifetime of a connection (Websocket Market Streams)."""

    ping_interval_s: float = 5 * 60
    max_silence_s: float = 15 * 60
    max_lifetime_s: float = 24 * 60 * 60


class _Connection(ServerConnection):
    """Records when the last pong came, unsolicited ones included."""

    pong_at = 0.0

    def process_event(self, event: object) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PONG:
            self.pong_at = self.loop.time()
        super().process_event(event)  # type: ignore[arg-type]  # the base class takes every event of its protocol


@dataclass(slots=True, eq=False)
class _Client:
    connection: _Connection
    subscriptions: Subscriptions
    outbox: "asyncio.Queue[str]" = field(default_factory=lambda: asyncio.Queue(_MAX_QUEUED))
    received_at: deque[float] = field(default_factory=lambda: deque(maxlen=_MESSAGES_PER_SECOND + 1))


class StreamServer:
    """Serves the streams on 127.0.0.1."""

    def __init__(self, faults: Faults, limits: StreamLimits | None = None) -> None:
        self._faults = faults
        self._limits = limits or StreamLimits()
        self._clients: set[_Client] = set()
        self._subscribed: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_closed = False
        self._is_ready = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="sandbox-streams", daemon=True)
        self.port = 0

    def start(self, port: int = 0) -> None:
        """Start listening. Raises OSError if the port is in use."""
        self.port = port
        self._thread.start()
        self._is_ready.wait(_READY_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close every connection and the port."""
        if self._thread.is_alive():
            self._run_in_loop(self._stop.set)
            self._thread.join(_READY_S)

    def subscribed_names(self) -> list[str]:
        """Return the names of all subscribed streams."""
        return list(self._subscribed)

    def has_subscriber(self, *names: str) -> bool:
        return any(name in self._subscribed for name in names)

    def publish(self, names: Iterable[str], body: object, fault_stream: str = "") -> None:
        """Send an event on these streams; faults match it as ``fault_stream``, by default the first subscribed name."""
        subscribed = [name for name in names if name in self._subscribed]
        if subscribed:
            self._run_in_loop(self._deliver, subscribed, body, fault_stream or subscribed[0])

    def disconnect(self, part: str) -> None:
        """Close the connections to streams with this part in their name."""
        self._run_in_loop(self._disconnect, part)

    def set_closed(self, is_closed: bool) -> None:
        """While closed, all connections are cut and new ones get 503."""
        if is_closed and not self._is_closed:
            self.disconnect("")
        self._is_closed = is_closed

    def _run_in_loop(self, call: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: there are no clients left
            self._loop.call_soon_threadsafe(call, *arguments)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._is_ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with serve(
            self._handle,
            "127.0.0.1",
            self.port,
            create_connection=_Connection,
            process_request=self._refuse_if_closed,
            ping_interval=None,
            compression=None,
            close_timeout=0.5,
        ) as server:
            self.port = _port(server)
            self._is_ready.set()
            await self._stop.wait()
            server.close(close_connections=True)

    def _refuse_if_closed(self, connection: ServerConnection, _request: Request) -> Response | None:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "maintenance") if self._is_closed else None

    async def _handle(self, connection: ServerConnection) -> None:
        client = self._accept(connection)
        if client is None:
            await connection.close(CloseCode.POLICY_VIOLATION, "no such path")
            return
        self._clients.add(client)
        self._count_subscriptions()
        try:
            await _first_of(self._send(client), self._receive(client), self._keep_alive(client))
        finally:
            self._clients.discard(client)
            self._count_subscriptions()

    def _accept(self, connection: ServerConnection) -> _Client | None:
        """Accept ``/ws``, ``/ws/<name>`` and ``/stream?streams=<name>/<name>``; None for anything else."""
        if self._is_closed or not isinstance(connection, _Connection) or connection.request is None:
            return None
        url = urlsplit(connection.request.path)
        root, _, name = url.path.lstrip("/").partition("/")
        if root not in ("ws", "stream"):
            return None
        names = unquote(name).split("/") if root == "ws" else parse_qs(url.query).get("streams", [""])[0].split("/")
        subscriptions = Subscriptions(is_combined=root == "stream")
        try:
            subscriptions.subscribe([each for each in names if each])
        except SubscriptionError:
            return None
        if any(self._faults.consume(FaultKind.STREAM_REFUSED, "", fault_name(each)) for each in subscriptions.names):
            return None
        connection.pong_at = self._loop.time()
        return _Client(connection, subscriptions)

    async def _send(self, client: _Client) -> None:
        while True:
            await client.connection.send(await client.outbox.get())

    async def _receive(self, client: _Client) -> None:
        async for text in client.connection:
            now = self._loop.time()
            client.received_at.append(now)
            if len(client.received_at) > _MESSAGES_PER_SECOND and now - client.received_at[0] < 1:
                await client.connection.close(CloseCode.POLICY_VIOLATION, "Too many requests")
                return
            reply = client.subscriptions.handle(text)
            self._count_subscriptions()
            await client.connection.send(json.dumps(reply, ensure_ascii=False))

    async def _keep_alive(self, client: _Client) -> None:
        """Ping the client; return when it is silent for too long or the connection is too old."""
        ends_at = self._loop.time() + self._limits.max_lifetime_s
        while self._loop.time() < ends_at:
            await asyncio.sleep(min(self._limits.ping_interval_s, ends_at - self._loop.time()))
            if self._loop.time() - client.connection.pong_at > self._limits.max_silence_s:
                return
            await client.connection.ping()

    def _deliver(self, names: list[str], body: object, fault_stream: str) -> None:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        late = self._faults.consume(FaultKind.LATE, "", fault_stream)
        if late is not None:
            self._loop.call_later(late.value / 1000, self._broadcast, names, text)
            return
        for each in self._faults.apply_to_frame(fault_stream, text):
            self._broadcast(names, each)

    def _broadcast(self, names: list[str], text: str) -> None:
        for client in list(self._clients):
            self._enqueue(client, [name for name in names if name in client.subscriptions.names], text)

    def _enqueue(self, client: _Client, names: list[str], text: str) -> None:
        for name in names:
            if client.outbox.full():
                client.connection.transport.abort()  # a slow reader must not fill the memory
                return
            client.outbox.put_nowait(_wrapped(name, text) if client.subscriptions.is_combined else text)

    def _disconnect(self, part: str) -> None:
        for client in list(self._clients):
            if any(part in name for name in client.subscriptions.names):
                client.connection.transport.abort()

    def _count_subscriptions(self) -> None:
        self._subscribed = Counter(name for client in self._clients for name in client.subscriptions.names)


async def _first_of(*coroutines: Awaitable[None]) -> None:
    """Run until the first one ends, then cancel the others."""
    tasks = [asyncio.ensure_future(_until_closed(coroutine)) for coroutine in coroutines]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def _until_closed(coroutine: Awaitable[None]) -> None:
    with suppress(ConnectionClosed):  # the client has disconnected
        await coroutine


def _wrapped(name: str, text: str) -> str:
    envelope = json.dumps(wrap(name, None), ensure_ascii=False, separators=(",", ":"))
    return envelope.removesuffix("null}") + text + "}"


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])
