import threading
from collections.abc import Callable, Sequence

import pytest

from src.core.gateway import Gateway, failure_of
from src.core.inbox import TraderEvent
from src.domain.access import AccessRefused, Door
from src.domain.account_commands import SetLeverage, SetMarginType, SetPositionMode
from src.domain.clock import ManualClock
from src.domain.enums import MarginType, OrderRole
from src.domain.errors import (
    AuthError,
    ExchangeError,
    OutcomeUnknown,
    ProtocolError,
    RateLimited,
    Rejected,
    Unreachable,
)
from src.domain.messages import (
    CancelOrder,
    CancelRefused,
    Command,
    CommandFailed,
    Event,
    FetchFills,
    FetchQuote,
    OrderRefused,
    OrderUnresolved,
    Outcome,
    QueryOrder,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.positions import Snapshot
from tests.builders import NOW, a_request, a_snapshot, an_update

ENTRY = SubmitOrder(a_request(), not_after=NOW + 5_000)
STOP = SubmitOrder(a_request(OrderRole.STOP_LOSS, 1))
NAME = ENTRY.request.client_order_id


class Scripted:
    """An exchange that answers as the test says and remembers what it was asked."""

    def __init__(self, answer: Callable[[Command], Sequence[Outcome]]) -> None:
        self._answer = answer
        self.asked: list[Command] = []

    def execute(self, command: Command) -> Sequence[Outcome]:
        self.asked.append(command)
        return self._answer(command)

    def snapshot(self, reason: str) -> Snapshot:
        return a_snapshot()


def raising(error: Exception) -> Callable[[Command], Sequence[Outcome]]:
    def answer(_: Command) -> Sequence[Outcome]:
        raise error

    return answer


def a_gateway(exchange: Scripted, events: list[TraderEvent], now_ms: int = NOW, halted: bool = False) -> Gateway:
    return Gateway(exchange, events.append, ManualClock(now_ms), lambda: halted)


def test_an_answer_is_passed_on() -> None:
    gateway = a_gateway(Scripted(lambda _: [an_update()]), [])
    assert gateway.execute(ENTRY) == [an_update()]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Rejected(-2019, "margin"), OrderRefused("BTCUSDT", NAME, -2019, "margin", NOW)),
        (Unreachable("no route"), OrderRefused("BTCUSDT", NAME, None, "no route", NOW)),
        (RateLimited("slow", NOW), OrderRefused("BTCUSDT", NAME, None, "slow", NOW)),
        (OutcomeUnknown("503"), OrderUnresolved("BTCUSDT", NAME, "503", NOW)),
        (ProtocolError("no id"), OrderUnresolved("BTCUSDT", NAME, "no id", NOW)),
    ],
)
def test_each_error_of_a_submit_says_what_it_means(error: Exception, event: Event) -> None:
    gateway = a_gateway(Scripted(raising(error)), [])
    assert gateway.execute(ENTRY) == [event]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Rejected(-2011, "unknown"), CancelRefused("BTCUSDT", NAME, -2011, "unknown", NOW)),
        (Unreachable("no"), CancelRefused("BTCUSDT", NAME, None, "no", NOW)),
        (OutcomeUnknown("?"), OrderUnresolved("BTCUSDT", NAME, "?", NOW)),
    ],
)
def test_each_error_of_a_cancel_says_what_it_means(error: ExchangeError, event: Event) -> None:
    assert failure_of(CancelOrder("BTCUSDT", NAME), error, NOW) == event


def test_a_refusal_to_let_us_in_does_not_judge_the_order() -> None:
    refused = failure_of(ENTRY, AuthError(-2015, "key"), NOW)
    assert refused == OrderRefused("BTCUSDT", NAME, -2015, "key", NOW, of_access=True)


def test_a_read_that_failed_tells_nothing_else() -> None:
    command = QueryOrder("BTCUSDT", NAME)
    assert failure_of(command, OutcomeUnknown("?"), NOW) == CommandFailed(command, None, "?", NOW)
    assert failure_of(command, Rejected(-1, "no"), NOW) == CommandFailed(command, -1, "no", NOW)


def test_an_entry_whose_time_has_passed_does_not_leave() -> None:
    exchange = Scripted(lambda _: [])
    refused = a_gateway(exchange, [], now_ms=NOW + 5_001).execute(ENTRY)
    assert exchange.asked == []
    assert isinstance(refused[0], OrderRefused)
    assert refused[0].code is None


def test_the_halt_file_stops_entries_and_nothing_else() -> None:
    exchange = Scripted(lambda _: [])
    gateway = a_gateway(exchange, [], halted=True)
    assert "halt file" in str(gateway.execute(ENTRY)[0])
    gateway.execute(STOP)
    gateway.execute(CancelOrder("BTCUSDT", NAME))
    assert exchange.asked == [STOP, CancelOrder("BTCUSDT", NAME)]


def worked(gateway: Gateway, exchange: Scripted, commands: Sequence[Command]) -> list[Command]:
    """What the exchange was asked once every lane has served what was queued."""
    gateway.submit(commands)
    done = threading.Event()

    def beat() -> None:
        if len(exchange.asked) == len(commands):
            done.set()

    threads = [threading.Thread(target=gateway.work, args=(lane, beat)) for lane in range(gateway.lanes)]
    for thread in threads:
        thread.start()
    assert done.wait(10)
    gateway.stop()
    for thread in threads:
        thread.join(20)
    return exchange.asked


def test_protection_leaves_before_entries_and_questions() -> None:
    events: list[TraderEvent] = []
    exchange = Scripted(lambda _: [an_update()])
    query = QueryOrder("BTCUSDT", NAME)
    asked = worked(a_gateway(exchange, events), exchange, [ENTRY, query, CancelOrder("BTCUSDT", NAME), STOP])
    assert asked == [CancelOrder("BTCUSDT", NAME), STOP, query, ENTRY]
    assert len(events) == 4


def test_a_question_that_waits_is_not_put_twice() -> None:
    exchange, question = Scripted(lambda _: []), QueryOrder("BTCUSDT", NAME)
    gateway = a_gateway(exchange, [])
    gateway.submit([question])
    assert worked(gateway, exchange, [question, ENTRY]) == [question, ENTRY]


def test_a_question_that_was_put_may_be_put_again() -> None:
    question = QueryOrder("BTCUSDT", NAME)

    def ask_again(_: Command) -> Sequence[Outcome]:
        gateway.submit([question])
        return []

    exchange = Scripted(ask_again)
    gateway = a_gateway(exchange, [])
    gateway.submit([question])
    assert worked(gateway, exchange, [question, question])[:2] == [question, question]


def test_every_command_finds_a_lane() -> None:
    exchange = Scripted(lambda _: [])
    commands: list[Command] = [
        TakeSnapshot("test"),
        FetchFills("BTCUSDT", NOW),
        FetchQuote("BTCUSDT"),
        SetPositionMode(True),
        SetLeverage("BTCUSDT", 5),
        SetMarginType("BTCUSDT", MarginType.CROSSED),
    ]
    assert set(worked(a_gateway(exchange, []), exchange, commands)) == set(commands)


@pytest.mark.parametrize(("command", "of_write"), [(ENTRY, True), (STOP, True), (TakeSnapshot("test"), False)])
def test_a_refused_key_is_told_beside_what_became_of_the_command(command: Command, of_write: bool) -> None:
    exchange = Scripted(raising(AuthError(-2015, "look on Aster's site")))
    failure, refusal = a_gateway(exchange, []).execute(command)
    assert isinstance(failure, OrderRefused if of_write else CommandFailed)
    assert refusal == AccessRefused(-2015, "look on Aster's site", Door.ORDERS if of_write else Door.QUESTIONS, NOW)
