import json
import threading
from typing import Any

import pytest

from src.core import user_stream
from src.core.user_stream import UserStream
from src.domain.clock import ManualClock
from src.domain.errors import AuthError, Rejected
from src.domain.events import AccountUpdate, ApiScope, AuthFailed, AuthRecovered, Event, Stream, StreamDown, StreamUp
from src.domain.orders import UnrecognizedOrder
from src.exchange.wire import ListenKeyExpired, render_event
from tests.builders import NOW, a_filled_update


class Keys:
    def __init__(self) -> None:
        self.extended = 0
        self.rejection: Rejected | None = None

    def create(self) -> str:
        if isinstance(self.rejection, AuthError):
            raise self.rejection
        return "key-1"

    def keep_alive(self) -> None:
        self.extended += 1
        if self.rejection is not None:
            raise self.rejection

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


def test_stream_url_contains_listen_key(stream: UserStream) -> None:
    assert stream.url() == "wss://example/ws/key-1"


def test_rejected_listen_key_is_reported(stream: UserStream, keys: Keys, events: list[Event]) -> None:
    keys.rejection = AuthError(-2015, "look on Aster's site")
    with pytest.raises(AuthError):
        stream.url()
    assert events == [AuthFailed(-2015, "look on Aster's site", ApiScope.USER_STREAM, NOW)]


def test_recovered_listen_key_is_reported_once(stream: UserStream, keys: Keys, events: list[Event]) -> None:
    keys.rejection = AuthError(-2015, "look on Aster's site")
    with pytest.raises(AuthError):
        stream.url()
    keys.rejection = None
    stream.url()
    stream.url()
    assert events[1:] == [AuthRecovered(ApiScope.USER_STREAM, NOW)]


def test_fill_is_posted(stream: UserStream, events: list[Event]) -> None:
    stream.handler.on_message(on_the_wire(a_filled_update()))
    assert events == [a_filled_update()]


def test_expired_listen_key_reconnects(stream: UserStream, events: list[Event]) -> None:
    reconnected = threading.Event()
    stream.on_reconnect_needed(reconnected.set)
    stream.handler.on_message(on_the_wire(ListenKeyExpired(NOW)))
    assert reconnected.is_set()
    assert events == []


def test_parse_errors_are_counted(stream: UserStream) -> None:
    stream.handler.on_message({"e": "SOMETHING_NEW"})
    stream.handler.on_message({"result": None, "id": 3})
    assert stream.handler.parse_errors == 1


def test_unrecognized_order_is_counted_and_posted(stream: UserStream, events: list[Event]) -> None:
    frame = on_the_wire(a_filled_update())
    frame["o"]["o"] = "ICEBERG"
    stream.handler.on_message(frame)
    [event] = events
    assert isinstance(event, UnrecognizedOrder)
    assert (event.client_order_id, event.type) == (a_filled_update().client_order_id, "ICEBERG")
    assert stream.handler.parse_errors == 1


def test_unrecognized_position_is_counted_and_rest_posted(stream: UserStream, events: list[Event]) -> None:
    known = {"s": "BTCUSDT", "pa": "0.01", "ep": "50000", "up": "0", "mt": "isolated", "iw": "0", "ps": "LONG"}
    changes = [known, {**known, "s": "ETHUSDT", "ps": "NEITHER"}]
    stream.handler.on_message({"e": "ACCOUNT_UPDATE", "E": NOW, "T": NOW, "a": {"m": "ORDER", "B": [], "P": changes}})
    [event] = events
    assert isinstance(event, AccountUpdate)
    assert [change.position.symbol for change in event.positions] == ["BTCUSDT"]
    assert [each.symbol for each in event.unrecognized] == ["ETHUSDT"]
    assert stream.handler.parse_errors == 1


def test_stream_up_and_down_are_posted(stream: UserStream, events: list[Event]) -> None:
    stream.handler.on_up()
    stream.handler.on_down("cut")
    assert events == [StreamUp(Stream.USER, NOW), StreamDown(Stream.USER, "cut", NOW)]


@pytest.mark.parametrize(("rejection", "reconnects"), [(None, False), (Rejected(-1125, "gone"), True)])
def test_listen_key_is_renewed_or_replaced(
    stream: UserStream, keys: Keys, monkeypatch: pytest.MonkeyPatch, rejection: Rejected | None, reconnects: bool
) -> None:
    monkeypatch.setattr(user_stream, "KEEP_ALIVE_SECONDS", 1)
    keys.rejection = rejection
    reconnected = threading.Event()
    stream.on_reconnect_needed(reconnected.set)

    def heartbeat() -> None:
        if keys.extended:
            stream.stop()

    monkeypatch.setattr(stream, "_stopping", _Impatient())
    stream.keep_alive(heartbeat)
    assert keys.extended >= 1
    assert reconnected.is_set() is reconnects


class _Impatient(threading.Event):
    """A stop flag that skips the waits of the test."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(0.001)
