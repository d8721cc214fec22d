"""The private stream changes over before the exchange cuts it, as it does after 23 hours (F25)."""

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
    """What the exchange has sent on the private stream, and what the bot has made of it: event by event."""

    sent: list[object] = field(default_factory=list)
    received: list[object] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Nothing was lost, nothing came twice."""
        heard = Counter(map(json.dumps, self.received))
        return bool(self.sent) and all(heard[json.dumps(each)] == 1 for each in self.sent)


@pytest.fixture
def harness(make_harness: MakeHarness) -> FaultHarness:
    """For its bot 23 hours are two seconds."""
    harness = make_harness()
    harness.user_stream_timing = replace(USER_STREAM_TIMING, renew_after_ms=_RENEWED_AFTER_MS)
    return harness


@pytest.fixture
def ends(harness: FaultHarness, monkeypatch: pytest.MonkeyPatch) -> ConnectionLog:
    """What is told from the moment on at which the bot trades."""
    ends, streams = ConnectionLog(), harness.exchange._streams
    publish, process = streams.publish, UserStream._process

    def tell(names: Iterable[str], body: object, called: str = "") -> None:
        if called == USER_STREAM:
            ends.sent.append(body)
        publish(names, body, called)

    def hear(stream: UserStream, payload: object) -> None:
        ends.received.append(payload)
        process(stream, payload)

    monkeypatch.setattr(UserStream, "_process", hear)
    harness.start()
    monkeypatch.setattr(streams, "publish", tell)
    return ends


def connections(harness: FaultHarness) -> int:
    """How many of the bot's connections listen to its private stream."""
    with harness.exchange.lock:
        key = harness.exchange.listen_key.active(harness.exchange.now_ms())
        return harness.exchange._streams._subscribed[str(key)]


def wait_for_both(harness: FaultHarness) -> None:
    wait_until(lambda: connections(harness) == 2, 20, "the new connection stands beside the old one")


def test_f25_what_fills_as_the_stream_changes_over_is_told_once(harness: FaultHarness, ends: ConnectionLog) -> None:
    entry = harness.trigger_entry()
    wait_for_both(harness)
    harness.fill()
    harness.wait_protected()
    wait_until(lambda: connections(harness) == 1, 10, "the old connection has gone")
    wait_for_both(harness)
    harness.shift("-3")
    wait_until(lambda: not harness.position and not harness.orders(), 10, "stopped out, and no order is left")
    wait_until(lambda: ends.agree, 10, "both ends agree")
    assert harness.status(entry) == "FILLED"
    assert not [alert for alert in harness.alerts() if "missed an update" in alert or "corrected" in alert]
    harness.check_consistency()
    assert ends.agree
