"""What was decided before the machine was suspended, or before HALT, is not sent: asked again at each send (I24)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from src.core.events import TraderEvent
from src.core.gateway import EntryGuard, Gateway
from src.domain.clock import ManualClock, SteadyClock
from src.domain.commands import SubmitOrder
from src.domain.enums import OrderRole
from src.domain.errors import NotSent
from src.domain.events import OrderRejected
from src.domain.instrument import InstrumentList
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient, ClockOffset
from src.exchange.limits import RateLimits
from src.exchange.paper import PaperExchange
from src.utils.auth import ApiVersion
from tests.builders import a_request
from tests.exchange.builders import ACCEPTED, CANCEL, ENTRY, ORDER, STOP, accepted, rejected
from tests.exchange.conftest import NOW_MS, a_signer
from tests.exchange.scripted_server import ReceivedRequest, Reply, Reset, ScriptedServer

HOURS = 8 * 3_600_000
NEW_ENTRY = SubmitOrder(ENTRY, not_after=NOW_MS + 5_000)
TOO_LATE = "signal expired before the order was sent"


class Exchange(ScriptedServer):
    """Refuses requests that are more than 3 s off its clock, as a real one does; ``on_order`` runs at each order."""

    def __init__(self, machine: ManualClock) -> None:
        super().__init__()
        self._machine = machine
        self.asleep_ms = 0
        """How long the machine and both its clocks stood still, as a paused virtual machine."""
        self.on_order: Callable[[], None] = lambda: None

    def next_reply(self, request: ReceivedRequest) -> Reply | Reset:
        now_ms = self._machine.now_ms() + self.asleep_ms
        super().next_reply(request)
        if request.path.endswith("/time"):
            return Reply({"serverTime": now_ms})
        self.on_order()
        is_stale = abs(now_ms - int(request.parameters["timestamp"])) > 3_000
        return rejected(-1021) if is_stale else accepted()


class Bot:
    """Gateway and client of the bot on a machine whose monotonic clock stands still while it is suspended."""

    def __init__(self, server: ScriptedServer, machine: ManualClock) -> None:
        clock = SteadyClock(machine)
        self.is_halted = False
        self.events: list[TraderEvent] = []
        self.offset = ClockOffset(clock, clock)
        self.client = AsterClient(server.url, clock, RateLimits(clock), a_signer(ApiVersion.V1), offset=self.offset)
        self.client.measure_offset()
        self.gateway = Gateway(AsterExchange(self.client), self.events.append, clock, lambda: self.is_halted)


@pytest.fixture
def machine() -> ManualClock:
    return ManualClock(NOW_MS)


def refused(bot: Bot) -> str:
    [event] = bot.gateway.execute(NEW_ENTRY)
    assert isinstance(event, OrderRejected)
    assert event.code is None
    return event.reason


def test_entry_decided_before_a_suspension_is_not_sent_after_it(machine: ManualClock) -> None:
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        bot.gateway.submit([NEW_ENTRY])
        machine.step(HOURS)
        assert bot.gateway.run_next(lane=0)
        assert server.received_at(ORDER) == []
    [event] = bot.events
    assert isinstance(event, OrderRejected)
    assert event.reason == TOO_LATE


def test_close_decided_before_a_suspension_is_not_sent_after_it(machine: ManualClock) -> None:
    server, close = Exchange(machine), SubmitOrder(a_request(OrderRole.CLOSE, 1), not_after=NOW_MS + 30_000)
    with server.running():
        bot = Bot(server, machine)
        bot.is_halted = True
        bot.gateway.submit([close])
        machine.step(HOURS)
        assert bot.gateway.run_next(lane=0)
        assert server.received_at(ORDER) == []
    [event] = bot.events
    assert isinstance(event, OrderRejected)
    assert (event.code, event.reason) == (None, "close was decided too long before the order was sent")


def test_entry_is_not_sent_again_after_a_clock_that_stood_still(machine: ManualClock) -> None:
    """A paused virtual machine: neither clock shows it, but the exchange rejects the timestamp (-1021)."""
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        server.asleep_ms = HOURS
        assert refused(bot) == TOO_LATE
        assert len(server.received_at(ORDER)) == 1


def test_halt_during_the_first_attempt_stops_the_second(machine: ManualClock) -> None:
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        bot.offset.ms = -4_000

        def halt() -> None:
            bot.is_halted = True

        server.on_order = halt
        assert refused(bot) == "the HALT file forbids entries"
        assert len(server.received_at(ORDER)) == 1


def test_protection_and_cancels_are_sent_again_in_spite_of_halt(machine: ManualClock) -> None:
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        bot.is_halted = True
        for command, method in ((SubmitOrder(STOP), "POST"), (CANCEL, "DELETE")):
            bot.offset.ms = -4_000
            bot.gateway.execute(command)
            assert [each.method for each in server.received_at(ORDER)][-2:] == [method, method]


def test_entry_within_its_deadline_is_sent_again_once(machine: ManualClock) -> None:
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        bot.offset.ms = -4_000
        assert bot.gateway.execute(NEW_ENTRY) == [ACCEPTED]
        assert len(server.received_at(ORDER)) == 2


def test_guard_is_asked_after_the_rate_limit(machine: ManualClock) -> None:
    """The HALT file appears while another thread holds the lock of the rate limits."""
    server = Exchange(machine)
    with server.running():
        bot = Bot(server, machine)
        acquire = bot.client.limits.acquire

        def wait(*arguments: int, **options: bool) -> None:
            acquire(*arguments, **options)
            bot.is_halted = True

        bot.client.limits.acquire = wait  # type: ignore[method-assign,assignment]
        assert refused(bot) == "the HALT file forbids entries"
        assert server.received_at(ORDER) == []


def test_clock_set_back_or_by_a_little_withholds_nothing(machine: ManualClock) -> None:
    for step in (-3_600_000, 900):
        guard = EntryGuard(NEW_ENTRY, SteadyClock(machine), lambda: False)
        machine.step(step)
        guard(NOW_MS + 4_000)


def test_paper_exchange_asks_the_guard_too() -> None:
    paper = PaperExchange(Engine({}, Fees()), lambda _: None, ManualClock(NOW_MS), lambda: InstrumentList({}))
    guarded = replace(NEW_ENTRY, before_send=EntryGuard(NEW_ENTRY, ManualClock(NOW_MS), lambda: True))
    with pytest.raises(NotSent):
        paper.execute(guarded)
