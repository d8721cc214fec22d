"""The stream reader against a real WebSocket server on loopback."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from websockets.sync.server import ServerConnection, serve

from src.domain.clock import ManualClock, SystemClock
from src.domain.errors import InvariantError, ProtocolError, Unreachable
from src.exchange.connection import Connection, trusted_certificates
from src.exchange.stream import StreamReader
from tests.exchange.stream_server import (
    TIMEOUT_SECONDS,
    TIMING,
    ConnectionHandler,
    RecordedCallbacks,
    break_connection,
    close_cleanly,
    keep_open,
    running_reader,
    running_server,
    sending,
    wait_until,
)


def test_messages_arrive_as_json() -> None:
    recorded = RecordedCallbacks()
    with running_server(sending({"p": 1}, b'{"p": 2}')) as (address, _), running_reader(address, recorded):
        wait_until(lambda: len(recorded.messages) == 2)

    assert recorded.messages == [{"p": 1}, {"p": 2}]
    assert (recorded.ups, recorded.downs) == (1, [])


@pytest.mark.parametrize("ending", [close_cleanly, break_connection])
def test_closed_connection_is_reopened(ending: ConnectionHandler) -> None:
    recorded = RecordedCallbacks()
    with (
        running_server(sending(1, then=ending), sending(2, then=ending), sending(3)) as (address, _),
        running_reader(address, recorded),
    ):
        wait_until(lambda: recorded.messages == [1, 2, 3])

    assert recorded.ups == 3
    assert len(recorded.downs) == 2


def test_close_code_is_reported() -> None:
    recorded = RecordedCallbacks()
    with running_server(sending(1, then=close_cleanly), keep_open) as (address, _), running_reader(address, recorded):
        wait_until(lambda: recorded.ups == 2)

    assert recorded.downs == ["closed by the exchange, code 1001"]


def test_peer_that_only_answers_pings_is_dropped() -> None:
    recorded = RecordedCallbacks()
    timing = replace(TIMING, stale_after_ms=80, ping_every_ms=20)
    with running_server(keep_open, sending("1", "2", "3")) as (address, _), running_reader(address, recorded, timing):
        wait_until(lambda: recorded.messages)

    assert recorded.downs[0].startswith("no message for")


def test_dead_peer_is_dropped() -> None:
    """The peer completes the handshake and then neither reads nor writes, so it sends no pong."""

    def hang(connection: ServerConnection) -> None:
        connection.protocol.receive_data = lambda data: None  # type: ignore[method-assign]  # noqa: ARG005
        keep_open(connection)

    recorded = RecordedCallbacks()
    timing = replace(TIMING, ping_every_ms=20, dead_after_ms=100)
    with running_server(hang, sending(1)) as (address, _), running_reader(address, recorded, timing):
        wait_until(lambda: recorded.messages)

    assert recorded.downs[0].startswith("no frame for")


def test_quiet_peer_that_answers_pings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Connection] = []

    def open_one(*arguments: Any) -> Connection:
        opened.append(Connection(*arguments))
        return opened[-1]

    monkeypatch.setattr("src.exchange.stream.Connection", open_one)
    recorded, clock = RecordedCallbacks(), ManualClock()
    timing = replace(TIMING, ping_every_ms=20, dead_after_ms=100)
    with running_server(keep_open) as (address, _), running_reader(address, recorded, timing, clock=clock):
        wait_until(lambda: recorded.ups == 1)
        for _ in range(5):
            clock.advance(60)
            wait_until(lambda: opened[0]._last_frame_at == clock.monotonic_ms())

    assert len(opened) == 1
    assert recorded.downs == []


def test_pings_of_the_exchange_are_answered() -> None:
    answered = threading.Event()

    def pings(connection: ServerConnection) -> None:
        pong = connection.ping()
        reader = threading.Thread(target=keep_open, args=(connection,), daemon=True)
        reader.start()
        if pong.wait(TIMEOUT_SECONDS):
            answered.set()
        reader.join(TIMEOUT_SECONDS)

    recorded = RecordedCallbacks()
    with running_server(pings) as (address, _), running_reader(address, recorded):
        assert answered.wait(TIMEOUT_SECONDS)


def test_invalid_messages_are_counted_and_skipped() -> None:
    recorded = RecordedCallbacks()
    with (
        running_server(sending("{broken", b"\xff\xfe", "NaN", {"good": 1})) as (address, _),
        running_reader(address, recorded) as reader,
    ):
        wait_until(lambda: recorded.messages)

    assert recorded.messages == [{"good": 1}]
    assert reader.parse_errors == 3
    assert recorded.downs == []


def test_protocol_error_in_a_callback_is_counted() -> None:
    recorded = RecordedCallbacks()

    def fail_first(message: object) -> None:
        if message == 1:
            raise ProtocolError("unknown event", message)
        recorded.messages.append(message)

    callbacks = replace(recorded.callbacks, on_message=fail_first)
    with (
        running_server(sending(1, 2)) as (address, _),
        running_reader(address, recorded, callbacks=callbacks) as reader,
    ):
        wait_until(lambda: recorded.messages == [2])

    assert reader.parse_errors == 1


def test_invariant_error_ends_the_reader() -> None:
    def fail(message: object) -> None:
        raise InvariantError(str(message))

    recorded = RecordedCallbacks()
    with running_server(sending(1)) as (address, _):
        reader = StreamReader(
            lambda: address, replace(recorded.callbacks, on_message=fail), SystemClock(), Random(1), TIMING
        )
        with pytest.raises(InvariantError):
            reader.run()


def test_address_is_requested_for_every_connection() -> None:
    recorded, numbers = RecordedCallbacks(), iter(range(9))
    with (
        running_server(close_cleanly, close_cleanly, keep_open) as (address, connections),
        running_reader(lambda: f"{address}/ws/{next(numbers)}", recorded),
    ):
        wait_until(lambda: len(connections) == 3)
        paths = [connection.request.path for connection in connections if connection.request]

    assert paths == ["/ws/0", "/ws/1", "/ws/2"]


def test_missing_address_is_a_failed_attempt() -> None:
    recorded, tries = RecordedCallbacks(), iter([Unreachable("no listen key"), Unreachable("no listen key"), None])

    with running_server(keep_open) as (address, _):

        def request_address() -> str:
            failure = next(tries)
            if failure:
                raise failure
            return address

        with running_reader(request_address, recorded):
            wait_until(lambda: recorded.ups == 1)

    assert recorded.downs == ["no listen key"], "on_down is called once"


def test_rejected_handshake_is_a_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    recorded = RecordedCallbacks()
    with serve(keep_open, "127.0.0.1", 0, process_request=lambda c, _: c.respond(403, "no")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws/the-listen-key"
        with running_reader(address, recorded):
            wait_until(lambda: caplog.text.count("stream down") >= 3)

    assert recorded.downs == ["connection rejected with HTTP 403"]
    assert "the-listen-key" not in caplog.text


def test_refused_connection_is_a_failed_attempt() -> None:
    recorded = RecordedCallbacks()

    with running_reader("ws://127.0.0.1:1", recorded):
        wait_until(lambda: recorded.downs)

    assert recorded.downs == ["connection failed: ConnectionRefusedError"]
    assert recorded.ups == 0


def test_old_connection_is_replaced_without_a_gap() -> None:
    """The new connection opens before the old one closes, and a message from both is delivered once."""
    recorded, clock = RecordedCallbacks(), ManualClock()
    timing = replace(TIMING, renew_after_ms=100)
    both_open = threading.Event()

    def old(connection: ServerConnection) -> None:
        connection.send("1")
        both_open.wait(TIMEOUT_SECONDS)
        connection.send("2")
        keep_open(connection)

    def new(connection: ServerConnection) -> None:
        both_open.set()
        connection.send("2")
        connection.send("3")
        keep_open(connection)

    with running_server(old, new) as (address, _), running_reader(address, recorded, timing, clock=clock):
        wait_until(lambda: recorded.messages == [1])
        clock.advance(timing.renew_after_ms)
        wait_until(lambda: 3 in recorded.messages)

    assert recorded.messages == [1, 2, 3]
    assert (recorded.ups, recorded.downs) == (2, [])


def test_old_connection_is_kept_until_the_new_one_delivers() -> None:
    recorded, clock, changed = RecordedCallbacks(), ManualClock(), threading.Event()

    def old(connection: ServerConnection) -> None:
        changed.wait(TIMEOUT_SECONDS)
        for message in ("1", "2"):
            connection.send(message)
        keep_open(connection)

    def new(connection: ServerConnection) -> None:
        changed.set()
        wait_until(lambda: 2 in recorded.messages)  # delivered by the old one: the new one has sent nothing yet
        for message in ("2", "3"):
            connection.send(message)
        keep_open(connection)

    timing = replace(TIMING, renew_after_ms=100)
    with running_server(old, new) as (address, _), running_reader(address, recorded, timing, clock=clock):
        wait_until(lambda: recorded.ups == 1)
        clock.advance(timing.renew_after_ms)
        wait_until(lambda: 3 in recorded.messages)

    assert recorded.messages == [1, 2, 3]
    assert recorded.downs == []


def test_silent_new_connection_replaces_the_old_one() -> None:
    recorded = RecordedCallbacks()
    timing = replace(TIMING, renew_after_ms=50, overlap_ms=50)
    with running_server(keep_open) as (address, connections), running_reader(address, recorded, timing):
        wait_until(lambda: recorded.ups >= 2)
    assert len(connections) >= 2
    assert recorded.downs == []


def test_new_connection_that_closes_at_once_is_reported() -> None:
    recorded, clock = RecordedCallbacks(), ManualClock()
    timing = replace(TIMING, renew_after_ms=100)
    with (
        running_server(sending(1), close_cleanly, sending(2)) as (address, _),
        running_reader(address, recorded, timing, clock=clock),
    ):
        wait_until(lambda: recorded.messages == [1])
        clock.advance(timing.renew_after_ms)
        wait_until(lambda: 2 in recorded.messages)
    assert recorded.downs == ["closed by the exchange, code 1001"]


def test_reconnect_can_be_requested() -> None:
    recorded = RecordedCallbacks()
    with running_server(sending(1), sending(2)) as (address, connections), running_reader(address, recorded) as reader:
        wait_until(lambda: recorded.messages == [1])
        reader.reconnect()
        wait_until(lambda: recorded.messages == [1, 2])

    assert len(connections) == 2
    assert (recorded.ups, recorded.downs) == (2, [])


def test_failed_reconnect_is_reported() -> None:
    recorded, key_lost = RecordedCallbacks(), threading.Event()
    with running_server(keep_open) as (address, _):

        def request_address() -> str:
            if key_lost.is_set():
                raise Unreachable("no listen key")
            return address

        with running_reader(request_address, recorded) as reader:
            wait_until(lambda: recorded.ups == 1)
            key_lost.set()
            reader.reconnect()
            wait_until(lambda: recorded.downs)

    assert recorded.downs == ["no listen key"]


def test_stop_ends_a_long_pause() -> None:
    recorded = RecordedCallbacks()
    timing = replace(TIMING, backoff_ms=60_000, max_backoff_ms=60_000)
    with running_reader("ws://127.0.0.1:1", recorded, timing):
        wait_until(lambda: recorded.downs)

    assert recorded.ups == 0


def test_every_read_calls_the_heartbeat() -> None:
    beats: list[int] = []
    recorded = RecordedCallbacks()
    with running_server(keep_open) as (address, _):
        reader = StreamReader(lambda: address, recorded.callbacks, SystemClock(), Random(1), TIMING)
        thread = threading.Thread(target=reader.run, args=(lambda: beats.append(1),), daemon=True)
        thread.start()
        wait_until(lambda: len(beats) > 5)
        reader.stop()
        thread.join(TIMEOUT_SECONDS)

    assert not thread.is_alive()


def test_pauses_grow_to_their_maximum() -> None:
    pauses: list[tuple[float, float]] = []

    class Longest(Random):
        def uniform(self, a: float, b: float) -> float:
            pauses.append((a, b))
            return 0

    def fail() -> str:
        if len(pauses) == 5:
            reader.stop()
        raise Unreachable("gone")

    reader = StreamReader(fail, RecordedCallbacks().callbacks, SystemClock(), Longest(), TIMING)
    reader.run()

    assert pauses[:5] == [(5, 10), (10, 20), (20, 40), (20, 40), (20, 40)]


class Pauses(Random):
    """Records the longest pause of each failure, in ms, and waits for none; ``on_pause`` is called each time."""

    def __init__(self, on_pause: Callable[[int], None]) -> None:
        super().__init__(1)
        self.longest: list[float] = []
        self._on_pause = on_pause

    def uniform(self, _a: float, b: float) -> float:
        self.longest.append(b)
        self._on_pause(len(self.longest))
        return 0


def run_until_paused(
    handlers: list[ConnectionHandler],
    times: int,
    clock: ManualClock | None = None,
    recorded: RecordedCallbacks | None = None,
) -> list[float]:
    """Run a reader against these connections until it has paused so many times; returns the pauses."""

    def on_pause(count: int) -> None:
        if count == times:
            reader.stop()

    pauses, recorded = Pauses(on_pause), recorded or RecordedCallbacks()
    with running_server(*handlers) as (address, _):
        reader = StreamReader(lambda: address, recorded.callbacks, clock or SystemClock(), pauses, replace(TIMING))
        reader.run()
    return pauses.longest


def test_connections_closed_after_their_first_frame_see_growing_pauses() -> None:
    assert run_until_paused([sending(1, then=close_cleanly)], 5) == [10, 20, 40, 40, 40]


def test_pauses_start_anew_after_a_connection_has_lived() -> None:
    clock, recorded = ManualClock(), RecordedCallbacks()

    def live(connection: ServerConnection) -> None:
        connection.send("3")
        wait_until(lambda: len(recorded.messages) == 3)  # connected: its age is counted from now
        clock.advance(TIMING.healthy_after_ms)
        connection.send("4")
        close_cleanly(connection)

    handlers = [sending(1, then=close_cleanly), sending(2, then=close_cleanly), live, close_cleanly]
    assert run_until_paused(handlers, 4, clock, recorded)[:3] == [10, 20, 10]


@pytest.mark.parametrize("is_requested", [False, True])
def test_connection_that_cannot_be_renewed_is_kept(is_requested: bool) -> None:
    """Too old, or its listen key was replaced; none can be opened during maintenance: it goes on delivering."""
    recorded, clock, key_lost, asked = RecordedCallbacks(), ManualClock(), threading.Event(), threading.Event()

    def old(connection: ServerConnection) -> None:
        connection.send("1")
        asked.wait(TIMEOUT_SECONDS)
        connection.send("2")
        keep_open(connection)

    timing = replace(TIMING, renew_after_ms=TIMING.renew_after_ms if is_requested else 100)
    with running_server(old, sending(3)) as (address, connections):

        def request_address() -> str:
            if key_lost.is_set():
                asked.set()
                raise Unreachable("no listen key")
            return address

        with running_reader(request_address, recorded, timing, clock=clock) as reader:
            wait_until(lambda: recorded.messages == [1])
            key_lost.set()
            if is_requested:
                reader.renew()
            else:
                clock.advance(timing.renew_after_ms)
            wait_until(lambda: recorded.messages == [1, 2])
            assert (len(connections), recorded.ups) == (1, 1)
            key_lost.clear()
            clock.advance(timing.max_backoff_ms)
            wait_until(lambda: recorded.messages == [1, 2, 3])
    assert recorded.downs == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"ca_certs": DEFAULT_CA_BUNDLE_PATH}),
        ({"CURL_CA_BUNDLE": "/proxy.pem"}, {"ca_certs": "/proxy.pem"}),
        ({"REQUESTS_CA_BUNDLE": "{home}", "CURL_CA_BUNDLE": "/proxy.pem"}, {"ca_cert_path": "{home}"}),
    ],
)
def test_streams_trust_the_certificates_that_rest_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: dict[str, str]
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    assert trusted_certificates() == {name: value.format(home=tmp_path) for name, value in expected.items()}
