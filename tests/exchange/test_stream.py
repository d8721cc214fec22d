"""The stream reader against a real WebSocket server on loopback."""

import logging
import threading
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from src.domain.clock import ManualClock, SystemClock
from src.domain.errors import InvariantError, ProtocolError, Unreachable
from src.exchange.connection import Connection
from src.exchange.stream import StreamReader
from tests.exchange.serving import (
    PATIENT_SECONDS,
    TIMING,
    Behaviour,
    Notes,
    breaks_off,
    eventually,
    leaves,
    reading,
    sends,
    serving,
    stay,
)


def test_messages_arrive_as_json() -> None:
    notes = Notes()
    with serving(sends({"p": 1}, b'{"p": 2}')) as (address, _), reading(address, notes):
        eventually(lambda: len(notes.messages) == 2)

    assert notes.messages == [{"p": 1}, {"p": 2}]
    assert (notes.ups, notes.downs) == (1, [])


@pytest.mark.parametrize("ending", [leaves, breaks_off])
def test_a_connection_that_ends_is_opened_again(ending: Behaviour) -> None:
    notes = Notes()
    with serving(sends(1, then=ending), sends(2, then=ending), sends(3)) as (address, _), reading(address, notes):
        eventually(lambda: notes.messages == [1, 2, 3])

    assert notes.ups == 3
    assert len(notes.downs) == 2


def test_a_close_is_told_with_its_code() -> None:
    notes = Notes()
    with serving(sends(1, then=leaves), stay) as (address, _), reading(address, notes):
        eventually(lambda: notes.ups == 2)

    assert notes.downs == ["closed by the exchange, code 1001"]


def test_a_peer_that_only_answers_pings_is_given_up() -> None:
    notes = Notes()
    timing = replace(TIMING, stale_after_ms=80, ping_every_ms=20)
    with serving(stay, sends("1", "2", "3")) as (address, _), reading(address, notes, timing):
        eventually(lambda: notes.messages)

    assert notes.downs[0].startswith("no message for")


def test_a_peer_that_is_gone_is_given_up() -> None:
    """Somebody completes the handshake and then neither reads nor writes: no pong ever comes."""

    def falls_asleep(connection: ServerConnection) -> None:
        connection.protocol.receive_data = lambda data: None  # type: ignore[method-assign]  # noqa: ARG005
        stay(connection)

    notes = Notes()
    timing = replace(TIMING, ping_every_ms=20, dead_after_ms=100)
    with serving(falls_asleep, sends(1)) as (address, _), reading(address, notes, timing):
        eventually(lambda: notes.messages)

    assert notes.downs[0].startswith("no sign of life for")


def test_a_quiet_peer_that_answers_pings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Connection] = []

    def open_one(*arguments: Any) -> Connection:
        opened.append(Connection(*arguments))
        return opened[-1]

    monkeypatch.setattr("src.exchange.stream.Connection", open_one)
    notes, clock = Notes(), ManualClock()
    timing = replace(TIMING, ping_every_ms=20, dead_after_ms=100)
    with serving(stay) as (address, _), reading(address, notes, timing, clock=clock):
        eventually(lambda: notes.ups == 1)
        for _ in range(5):
            clock.advance(60)
            eventually(lambda: opened[0]._heard_at == clock.monotonic_ms())

    assert len(opened) == 1
    assert notes.downs == []


def test_pings_of_the_exchange_are_answered() -> None:
    answered = threading.Event()

    def pings(connection: ServerConnection) -> None:
        pong = connection.ping()
        reader = threading.Thread(target=stay, args=(connection,), daemon=True)
        reader.start()
        if pong.wait(PATIENT_SECONDS):
            answered.set()
        reader.join(PATIENT_SECONDS)

    notes = Notes()
    with serving(pings) as (address, _), reading(address, notes):
        assert answered.wait(PATIENT_SECONDS)


def test_garbage_is_counted_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    with (
        caplog.at_level(logging.WARNING),
        serving(sends("{broken", b"\xff\xfe", "NaN", {"good": 1})) as (address, _),
        reading(address, notes) as reader,
    ):
        eventually(lambda: notes.messages)

    assert notes.messages == [{"good": 1}]
    assert reader.misunderstood == 3
    assert "message not understood" in caplog.text
    assert notes.downs == []


def test_what_the_listener_does_not_understand_is_survived() -> None:
    notes = Notes()

    def refuse_first(message: object) -> None:
        if message == 1:
            raise ProtocolError("unknown event", message)
        notes.messages.append(message)

    listener = replace(notes.listener, on_message=refuse_first)
    with serving(sends(1, 2)) as (address, _), reading(address, notes, listener=listener) as reader:
        eventually(lambda: notes.messages == [2])

    assert reader.misunderstood == 1


def test_a_contradiction_is_not_survived() -> None:
    def die(message: object) -> None:
        raise InvariantError(str(message))

    notes = Notes()
    with serving(sends(1)) as (address, _):
        reader = StreamReader(
            lambda: address, replace(notes.listener, on_message=die), SystemClock(), Random(1), TIMING
        )
        with pytest.raises(InvariantError):
            reader.run()


def test_the_address_is_asked_for_every_connection() -> None:
    notes, asked = Notes(), iter(range(9))
    with serving(leaves, leaves, stay) as (address, met), reading(lambda: f"{address}/ws/{next(asked)}", notes):
        eventually(lambda: len(met) == 3)
        paths = [connection.request.path for connection in met if connection.request]

    assert paths == ["/ws/0", "/ws/1", "/ws/2"]


def test_no_address_is_a_failed_attempt() -> None:
    notes, tries = Notes(), iter([Unreachable("no listen key"), Unreachable("no listen key"), None])

    with serving(stay) as (address, _):

        def ask() -> str:
            failure = next(tries)
            if failure:
                raise failure
            return address

        with reading(ask, notes):
            eventually(lambda: notes.ups == 1)

    assert notes.downs == ["no listen key"], "being down is said once"


def test_a_refused_handshake_is_a_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    with serve(stay, "127.0.0.1", 0, process_request=lambda c, _: c.respond(403, "no")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws/the-listen-key"
        with reading(address, notes):
            eventually(lambda: caplog.text.count("stream down") >= 3)

    assert notes.downs == ["the stream was refused with HTTP 403"]
    assert "the-listen-key" not in caplog.text


def test_nobody_there_is_a_failed_attempt() -> None:
    notes = Notes()

    with reading("ws://127.0.0.1:1", notes):
        eventually(lambda: notes.downs)

    assert notes.downs == ["connection failed: ConnectionRefusedError"]
    assert notes.ups == 0


def test_an_old_connection_is_changed_over_without_a_gap() -> None:
    """The new one is open before the old one goes, and what both have brought is told once."""
    notes, clock = Notes(), ManualClock()
    timing = replace(TIMING, renew_after_ms=100)
    meeting = threading.Event()

    def old(connection: ServerConnection) -> None:
        connection.send("1")
        meeting.wait(PATIENT_SECONDS)
        connection.send("2")
        stay(connection)

    def new(connection: ServerConnection) -> None:
        meeting.set()
        connection.send("2")
        connection.send("3")
        stay(connection)

    with serving(old, new) as (address, _), reading(address, notes, timing, clock=clock):
        eventually(lambda: notes.messages == [1])
        clock.advance(timing.renew_after_ms)
        eventually(lambda: 3 in notes.messages)

    assert notes.messages == [1, 2, 3]
    assert (notes.ups, notes.downs) == (2, [])


def test_an_old_connection_is_kept_until_the_new_one_has_brought_something() -> None:
    notes, clock, changed = Notes(), ManualClock(), threading.Event()

    def old(connection: ServerConnection) -> None:
        changed.wait(PATIENT_SECONDS)
        for message in ("1", "2"):
            connection.send(message)
        stay(connection)

    def new(connection: ServerConnection) -> None:
        changed.set()
        eventually(lambda: 2 in notes.messages)  # told by the old one, for the new one says nothing yet
        for message in ("2", "3"):
            connection.send(message)
        stay(connection)

    timing = replace(TIMING, renew_after_ms=100)
    with serving(old, new) as (address, _), reading(address, notes, timing, clock=clock):
        eventually(lambda: notes.ups == 1)
        clock.advance(timing.renew_after_ms)
        eventually(lambda: 3 in notes.messages)

    assert notes.messages == [1, 2, 3]
    assert notes.downs == []


def test_a_new_connection_that_stays_silent_does_not_hold_the_old_one_for_ever() -> None:
    notes = Notes()
    timing = replace(TIMING, renew_after_ms=50, overlap_ms=50)
    with serving(stay) as (address, met), reading(address, notes, timing):
        eventually(lambda: notes.ups >= 2)
    assert len(met) >= 2
    assert notes.downs == []


def test_a_new_connection_that_breaks_at_once_is_a_lost_connection() -> None:
    notes, clock = Notes(), ManualClock()
    timing = replace(TIMING, renew_after_ms=100)
    with serving(sends(1), leaves, sends(2)) as (address, _), reading(address, notes, timing, clock=clock):
        eventually(lambda: notes.messages == [1])
        clock.advance(timing.renew_after_ms)
        eventually(lambda: 2 in notes.messages)
    assert notes.downs == ["closed by the exchange, code 1001"]


def test_a_renewal_can_be_asked_for() -> None:
    notes = Notes()
    with serving(sends(1), sends(2)) as (address, met), reading(address, notes) as reader:
        eventually(lambda: notes.messages == [1])
        reader.renew()
        eventually(lambda: notes.messages == [1, 2])

    assert len(met) == 2
    assert (notes.ups, notes.downs) == (2, [])


def test_a_renewal_that_fails_is_a_lost_connection() -> None:
    notes, good = Notes(), threading.Event()
    with serving(stay) as (address, _):

        def ask() -> str:
            if good.is_set():
                raise Unreachable("no listen key")
            return address

        with reading(ask, notes) as reader:
            eventually(lambda: notes.ups == 1)
            good.set()
            reader.renew()
            eventually(lambda: notes.downs)

    assert notes.downs == ["no listen key"]


def test_a_stop_ends_a_long_pause() -> None:
    notes = Notes()
    timing = replace(TIMING, pause_ms=60_000, longest_pause_ms=60_000)
    with reading("ws://127.0.0.1:1", notes, timing):
        eventually(lambda: notes.downs)

    assert notes.ups == 0


def test_every_turn_is_a_sign_of_life() -> None:
    beats: list[int] = []
    notes = Notes()
    with serving(stay) as (address, _):
        reader = StreamReader(lambda: address, notes.listener, SystemClock(), Random(1), TIMING)
        thread = threading.Thread(target=reader.run, args=(lambda: beats.append(1),), daemon=True)
        thread.start()
        eventually(lambda: len(beats) > 5)
        reader.stop()
        thread.join(PATIENT_SECONDS)

    assert not thread.is_alive()


def test_pauses_grow_to_their_limit() -> None:
    pauses: list[tuple[float, float]] = []

    class Longest(Random):
        def uniform(self, a: float, b: float) -> float:
            pauses.append((a, b))
            return 0

    def refuse() -> str:
        if len(pauses) == 5:
            reader.stop()
        raise Unreachable("gone")

    reader = StreamReader(refuse, Notes().listener, SystemClock(), Longest(), TIMING)
    reader.run()

    assert pauses[:5] == [(5, 10), (10, 20), (20, 40), (20, 40), (20, 40)]
