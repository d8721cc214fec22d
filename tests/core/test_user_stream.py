import json
import threading
from typing import Any

import pytest

from src.core import user_stream
from src.core.user_stream import UserStream
from src.domain.access import AccessGranted, AccessRefused, Door
from src.domain.clock import ManualClock
from src.domain.errors import AuthError, Rejected
from src.domain.messages import AccountUpdate, Event, Stream, StreamDown, StreamUp
from src.domain.strange import StrangeOrder
from src.exchange.wire import ListenKeyExpired, render_event
from tests.builders import NOW, a_filled_update


class Keys:
    def __init__(self) -> None:
        self.extended = 0
        self.refusal: Rejected | None = None

    def create(self) -> str:
        if isinstance(self.refusal, AuthError):
            raise self.refusal
        return "key-1"

    def keep_alive(self) -> None:
        self.extended += 1
        if self.refusal is not None:
            raise self.refusal

    def close(self) -> None:
        self.extended = -1


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def stream(keys: Keys, events: list[Event]) -> UserStream:
    return UserStream("wss://example", keys, events.append, ManualClock(NOW))


def on_the_wire(event: Any) -> Any:
    return json.loads(json.dumps(render_event(event)))


def test_the_stream_opens_with_a_key(stream: UserStream) -> None:
    assert stream.url() == "wss://example/ws/key-1"


def test_a_key_that_is_refused_is_told(stream: UserStream, keys: Keys, events: list[Event]) -> None:
    keys.refusal = AuthError(-2015, "look on Aster's site")
    with pytest.raises(AuthError):
        stream.url()
    assert events == [AccessRefused(-2015, "look on Aster's site", Door.PRIVATE_STREAM, NOW)]


def test_a_key_that_is_had_again_is_told_once(stream: UserStream, keys: Keys, events: list[Event]) -> None:
    keys.refusal = AuthError(-2015, "look on Aster's site")
    with pytest.raises(AuthError):
        stream.url()
    keys.refusal = None
    stream.url()
    stream.url()
    assert events[1:] == [AccessGranted(Door.PRIVATE_STREAM, NOW)]


def test_a_fill_is_posted(stream: UserStream, events: list[Event]) -> None:
    stream.ear.on_message(on_the_wire(a_filled_update()))
    assert events == [a_filled_update()]


def test_an_ended_key_asks_for_a_new_connection(stream: UserStream, events: list[Event]) -> None:
    asked = threading.Event()
    stream.on_expiry(asked.set)
    stream.ear.on_message(on_the_wire(ListenKeyExpired(NOW)))
    assert asked.is_set()
    assert events == []


def test_what_is_not_understood_is_counted(stream: UserStream) -> None:
    stream.ear.on_message({"e": "SOMETHING_NEW"})
    stream.ear.on_message({"result": None, "id": 3})
    assert stream.ear.not_understood == 1


def test_an_order_in_words_nobody_knows_is_counted_and_handed_on(stream: UserStream, events: list[Event]) -> None:
    frame = on_the_wire(a_filled_update())
    frame["o"]["o"] = "ICEBERG"
    stream.ear.on_message(frame)
    [told] = events
    assert isinstance(told, StrangeOrder)
    assert (told.client_order_id, told.type) == (a_filled_update().client_order_id, "ICEBERG")
    assert stream.ear.not_understood == 1


def test_a_position_in_words_nobody_knows_is_counted_and_the_rest_handed_on(
    stream: UserStream, events: list[Event]
) -> None:
    known = {"s": "BTCUSDT", "pa": "0.01", "ep": "50000", "up": "0", "mt": "isolated", "iw": "0", "ps": "LONG"}
    changes = [known, {**known, "s": "ETHUSDT", "ps": "NEITHER"}]
    stream.ear.on_message({"e": "ACCOUNT_UPDATE", "E": NOW, "T": NOW, "a": {"m": "ORDER", "B": [], "P": changes}})
    [told] = events
    assert isinstance(told, AccountUpdate)
    assert [change.position.symbol for change in told.positions] == ["BTCUSDT"]
    assert [each.symbol for each in told.strange] == ["ETHUSDT"]
    assert stream.ear.not_understood == 1


def test_the_connection_is_told(stream: UserStream, events: list[Event]) -> None:
    stream.ear.on_up()
    stream.ear.on_down("cut")
    assert events == [StreamUp(Stream.USER, NOW), StreamDown(Stream.USER, "cut", NOW)]


@pytest.mark.parametrize(("refusal", "reconnects"), [(None, False), (Rejected(-1125, "gone"), True)])
def test_the_key_is_extended_and_replaced_where_it_cannot_be(
    stream: UserStream, keys: Keys, monkeypatch: pytest.MonkeyPatch, refusal: Rejected | None, reconnects: bool
) -> None:
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)
    keys.refusal = refusal
    asked = threading.Event()
    stream.on_expiry(asked.set)

    def beat() -> None:
        if keys.extended:
            stream.stop()

    monkeypatch.setattr(stream, "_stopping", _Impatient())
    stream.keep_alive(beat)
    assert keys.extended >= 1
    assert asked.is_set() is reconnects


class _Impatient(threading.Event):
    """A stop flag that does not let the test wait for whole seconds."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0.001)
