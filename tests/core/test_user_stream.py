import json
import threading
from typing import Any

import pytest

from src.core import user_stream
from src.core.user_stream import UserStream
from src.domain.clock import ManualClock
from src.domain.errors import AuthError, OutcomeUnknown, ProtocolError, RateLimited, Rejected, Unreachable
from src.domain.events import (
    AccountUpdate,
    ApiScope,
    AuthFailed,
    AuthRecovered,
    Event,
    Stream,
    StreamDown,
    StreamUp,
    UnreadableMessages,
)
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
    stream.on_reconnect_needed(reconnected.set, reconnected.set)
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
    unreadable, event = events
    assert unreadable == UnreadableMessages(Stream.USER, "invalid ps: 'NEITHER'", 1, NOW)
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
    stream.on_reconnect_needed(reconnected.set, reconnected.set)

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


class Renewals:
    """Runs so many renewals of the listen key; ``extend`` and ``create`` answer each in turn."""

    def __init__(self, *, extend: list[Exception | None], create: list[Exception | str]) -> None:
        self._extend, self._create = extend, create
        self.reconnects = self.renewals = 0
        self.created = 0
        self.seconds: list[int] = []
        """Seconds waited before each renewal."""
        self._waited = 0
        self.stream = UserStream("wss://example", self, lambda _: None, ManualClock(NOW))
        self.stream.on_reconnect_needed(self._on_reconnect, self._on_renew)

    def run(self, monkeypatch: pytest.MonkeyPatch) -> "Renewals":
        monkeypatch.setattr(self.stream, "_stopping", _Impatient())
        self.stream.url()
        self.stream.keep_alive(self._heartbeat)
        return self

    def _heartbeat(self) -> None:
        self._waited += 1
        if not self._extend:
            self.stream.stop()

    def _on_reconnect(self) -> None:
        self.reconnects += 1

    def _on_renew(self) -> None:
        self.renewals += 1

    def create(self) -> str:
        self.created += 1
        answer = "key-1" if self.created == 1 else self._create.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def keep_alive(self) -> None:
        self.seconds.append(self._waited)
        self._waited = 0
        answer = self._extend.pop(0)
        if answer is not None:
            raise answer

    def close(self) -> None:
        raise AssertionError("the key of a stream that works was closed")


_FAILED: list[Exception] = [
    OutcomeUnknown("HTTP 503"),
    OutcomeUnknown("read timeout"),
    Unreachable("no route"),
    Rejected(-1125, "This listenKey does not exist"),
    OutcomeUnknown("HTTP 400 (-1000)"),
    RateLimited("slow", NOW),
]


@pytest.mark.parametrize("failures", [*[[each] for each in _FAILED], _FAILED, _FAILED[::-1]])
@pytest.mark.parametrize("is_post_answered", [True, False])
def test_renewal_that_fails_never_closes_a_stream_that_works(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception], is_post_answered: bool
) -> None:
    """In any sequence, whether or not the exchange then answers the request for a key with the same key."""
    answers = ["key-1" if is_post_answered else ProtocolError("no key") for _ in failures]
    renewals = Renewals(extend=[*failures, None], create=[*answers]).run(monkeypatch)
    assert (renewals.reconnects, renewals.renewals) == (0, 0)
    assert renewals.created == 1 + len(failures)


def test_failed_renewal_is_tried_again_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Exception] = [OutcomeUnknown("HTTP 503")] * 3
    renewals = Renewals(extend=[*failures, None], create=[*failures]).run(monkeypatch)
    assert renewals.seconds == [1_800, 60, 60, 60]


def test_key_that_is_gone_is_replaced_before_the_old_connection_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader opens the new connection first (tests of the reader); the key of the answer is used for it."""
    gone = Rejected(-1125, "This listenKey does not exist")
    renewals = Renewals(extend=[gone, None], create=["key-2"]).run(monkeypatch)
    assert (renewals.reconnects, renewals.renewals) == (0, 1)  # the old one is kept while no new one opens
    assert renewals.stream.url() == "wss://example/ws/key-2"
    assert renewals.created == 2
