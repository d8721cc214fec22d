"""A scripted WebSocket server on loopback, and a stream reader connected to it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from src.domain.clock import Clock, SystemClock
from src.exchange.connection import Timing
from src.exchange.stream import StreamCallbacks, StreamReader

ConnectionHandler = Callable[[ServerConnection], None]
TIMEOUT_SECONDS = 20.0
TIMING = Timing(
    stale_after_ms=None,
    ping_every_ms=60_000,
    dead_after_ms=60_000,
    backoff_ms=10,
    max_backoff_ms=40,
    connect_timeout_ms=10_000,
    read_timeout_ms=10,
)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true; fail after a timeout."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        pause.wait(0.005)


def keep_open(connection: ServerConnection) -> None:
    """Keep a connection open until the peer closes it."""
    try:
        for _ in connection:
            pass
    except ConnectionClosed:
        pass


@contextmanager
def running_server(*handlers: ConnectionHandler) -> Iterator[tuple[str, list[ServerConnection]]]:
    """Run a server that handles the n-th connection with the n-th handler, and later ones with the last."""
    connections: list[ServerConnection] = []
    lock = threading.Lock()

    def handle(connection: ServerConnection) -> None:
        with lock:
            connections.append(connection)
            handler = handlers[min(len(connections), len(handlers)) - 1]
        handler(connection)

    with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=0.1) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", connections


@dataclass
class RecordedCallbacks:
    """Records the calls of a stream reader."""

    messages: list[object] = field(default_factory=list)
    ups: int = 0
    downs: list[str] = field(default_factory=list)

    def up(self) -> None:
        self.ups += 1

    @property
    def callbacks(self) -> StreamCallbacks:
        return StreamCallbacks(self.messages.append, self.up, self.downs.append)


@contextmanager
def running_reader(
    address: str | Callable[[], str],
    recorded: RecordedCallbacks,
    timing: Timing = TIMING,
    callbacks: StreamCallbacks | None = None,
    clock: Clock | None = None,
) -> Iterator[StreamReader]:
    address_of = address if callable(address) else lambda: address
    reader = StreamReader(address_of, callbacks or recorded.callbacks, clock or SystemClock(), Random(1), timing)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive(), "the reader did not stop"


def sending(*messages: object, then: ConnectionHandler = keep_open) -> ConnectionHandler:
    def handle(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        then(connection)

    return handle


def close_cleanly(connection: ServerConnection) -> None:
    connection.close(1001)


def break_connection(connection: ServerConnection) -> None:
    connection.socket.shutdown(socket.SHUT_RDWR)
