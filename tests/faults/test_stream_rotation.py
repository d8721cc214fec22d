"""The user data stream reconnects before the exchange cuts it, normally after 23 hours (F25)."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from src.bot.bot import USER_STREAM_TIMING
from src.core.user_stream import UserStream
from src.sandbox.streams.names import USER_STREAM
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

_RENEWED_AFTER_MS = 2_000


@dataclass
class ConnectionLog:
    """Events sent on the user data stream by the exchange, and events received by the bot."""

    sent: list[object] = field(default_factory=list)
    received: list[object] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Whether each event was received exactly once."""
        received = Counter(map(json.dumps, self.received))
        return bool(self.sent) and all(received[json.dumps(each)] == 1 for each in self.sent)


@pytest.fixture
def harness(make_harness: MakeHarness) -> FaultHarness:
    """Its bot reconnects after two seconds instead of 23 hours."""
    harness = make_harness()
    harness.user_stream_timing = replace(USER_STREAM_TIMING, renew_after_ms=_RENEWED_AFTER_MS)
    return harness


@pytest.fixture
def stream_log(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> ConnectionLog:
    """Records all events from the time the bot trades."""
    log, streams = ConnectionLog(), harness.exchange._streams
    publish, process = streams.publish, UserStream._process

    def publish_logged(names: Iterable[str], body: object, stream: str = "") -> None:
        if stream == USER_STREAM:
            log.sent.append(body)
        publish(names, body, stream)

    def process_logged(stream: UserStream, payload: object) -> None:
        log.received.append(payload)
        process(stream, payload)

    monkeypatch.setattr(UserStream, "_process", process_logged)
    harness.start()
    monkeypatch.setattr(streams, "publish", publish_logged)
    return log


def connections(harness: FaultHarness) -> int:
    """Number of the bot's connections to its user data stream."""
    with harness.exchange.lock:
        key = harness.exchange.listen_key.active(harness.exchange.now_ms())
        return harness.exchange._streams._subscribed[str(key)]


def wait_for_both(harness: FaultHarness) -> None:
    wait_until(lambda: connections(harness) == 2, 20, "both connections are open")


def test_f25_fills_during_stream_rotation_are_reported_once(harness: FaultHarness, stream_log: ConnectionLog) -> None:
    entry = harness.trigger_entry()
    wait_for_both(harness)
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: connections(harness) == 1, 10, "the old connection is closed")
    wait_for_both(harness)
    harness.shift("-3")
    wait_until(lambda: not harness.position and not harness.orders(), 10, "stopped out, no open orders")
    wait_until(lambda: stream_log.agree, 10, "each event is received once")
    assert harness.status(entry) == "FILLED"
    assert not [alert for alert in harness.alerts() if "missed an update" in alert or "corrected" in alert]
    harness.check_consistency()
    assert stream_log.agree
