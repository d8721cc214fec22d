"""A real WebSocket server on loopback that behaves as a test wants, and a reader that reads it."""

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
from src.exchange.stream import Listener, StreamReader

Behaviour = Callable[[ServerConnection], None]
PATIENT_SECONDS = 20.0
TIMING = Timing(
    stale_after_ms=None,
    ping_every_ms=60_000,
    dead_after_ms=60_000,
    pause_ms=10,
    longest_pause_ms=40,
    connect_ms=10_000,
    turn_ms=10,
)


def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim holds; fail where it never does."""
    deadline = time.monotonic() + PATIENT_SECONDS
    pause = threading.Event()
    while not claim():
        assert time.monotonic() < deadline, "it never came to hold"
        pause.wait(0.005)


def stay(connection: ServerConnection) -> None:
    """Keep a connection open until the peer leaves it."""
    try:
        for _ in connection:
            pass
    except ConnectionClosed:
        pass


@contextmanager
def serving(*behaviours: Behaviour) -> Iterator[tuple[str, list[ServerConnection]]]:
    """A server whose first connection behaves as the first behaviour, and so on; the last one stays."""
    met: list[ServerConnection] = []
    lock = threading.Lock()

    def meet(connection: ServerConnection) -> None:
        with lock:
            met.append(connection)
            behaviour = behaviours[min(len(met), len(behaviours)) - 1]
        behaviour(connection)

    with serve(meet, "127.0.0.1", 0, compression=None, close_timeout=0.1) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", met


@dataclass
class Notes:
    """What a listener was told."""

    messages: list[object] = field(default_factory=list)
    ups: int = 0
    downs: list[str] = field(default_factory=list)

    def up(self) -> None:
        self.ups += 1

    @property
    def listener(self) -> Listener:
        return Listener(self.messages.append, self.up, self.downs.append)


@contextmanager
def reading(
    address: str | Callable[[], str],
    notes: Notes,
    timing: Timing = TIMING,
    listener: Listener | None = None,
    clock: Clock | None = None,
) -> Iterator[StreamReader]:
    asked = address if callable(address) else lambda: address
    reader = StreamReader(asked, listener or notes.listener, clock or SystemClock(), Random(1), timing)
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        reader.stop()
        thread.join(PATIENT_SECONDS)
        assert not thread.is_alive(), "it did not stop"


def sends(*messages: object, then: Behaviour = stay) -> Behaviour:
    def behave(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        then(connection)

    return behave


def leaves(connection: ServerConnection) -> None:
    connection.close(1001)


def breaks_off(connection: ServerConnection) -> None:
    connection.socket.shutdown(socket.SHUT_RDWR)
