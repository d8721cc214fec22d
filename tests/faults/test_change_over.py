"""The private stream changes over before the exchange cuts it, as it does after 23 hours (F25)."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from src.bot.surroundings import PRIVATE_TIMING
from src.core.user_stream import UserStream
from src.sandbox.stream_names import USER_STREAM
from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

_RENEWED_AFTER_MS = 2_000


@dataclass
class BothEnds:
    """What the exchange has sent on the private stream, and what the bot has made of it: event by event."""

    told: list[object] = field(default_factory=list)
    heard: list[object] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Nothing was lost, nothing came twice."""
        heard = Counter(map(json.dumps, self.heard))
        return bool(self.told) and all(heard[json.dumps(each)] == 1 for each in self.told)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """For its bot 23 hours are two seconds."""
    rig = make_rig()
    rig.private_timing = replace(PRIVATE_TIMING, renew_after_ms=_RENEWED_AFTER_MS)
    return rig


@pytest.fixture
def ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> BothEnds:
    """What is told from the moment on at which the bot trades."""
    ends, streams = BothEnds(), rig.exchange._streams
    publish, process = streams.publish, UserStream._process

    def tell(names: Iterable[str], body: object, called: str = "") -> None:
        if called == USER_STREAM:
            ends.told.append(body)
        publish(names, body, called)

    def hear(stream: UserStream, payload: object) -> None:
        ends.heard.append(payload)
        process(stream, payload)

    monkeypatch.setattr(UserStream, "_process", hear)
    rig.start()
    monkeypatch.setattr(streams, "publish", tell)
    return ends


def connections(rig: Rig) -> int:
    """How many of the bot's connections listen to its private stream."""
    with rig.exchange.lock:
        key = rig.exchange.listen_key.active(rig.exchange.now_ms())
        return rig.exchange._streams._wanted[str(key)]


def wait_for_both(rig: Rig) -> None:
    wait_until(lambda: connections(rig) == 2, 20, "the new connection stands beside the old one")


def test_f25_what_fills_as_the_stream_changes_over_is_told_once(rig: Rig, ends: BothEnds) -> None:
    entry = rig.hunt()
    wait_for_both(rig)
    rig.fill()
    rig.wait_protected()
    wait_until(lambda: connections(rig) == 1, 10, "the old connection has gone")
    wait_for_both(rig)
    rig.shift("-3")
    wait_until(lambda: not rig.position and not rig.orders(), 10, "stopped out, and no order is left")
    wait_until(lambda: ends.agree, 10, "both ends agree")
    assert rig.status(entry) == "FILLED"
    assert not [alert for alert in rig.alerts() if "mute" in alert or "corrected" in alert]
    rig.check_books()
    assert ends.agree
