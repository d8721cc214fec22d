import threading
from collections.abc import Callable, Sequence

import pytest

from src.core.events import OrderResponse, TraderEvent
from src.core.gateway import Gateway, event_for_error
from src.domain.clock import ManualClock
from src.domain.commands import (
    CancelOrder,
    Command,
    FetchFills,
    FetchQuote,
    OrderWrite,
    QueryOrder,
    SetLeverage,
    SetMarginType,
    SetPositionMode,
    SubmitOrder,
    TakeSnapshot,
)
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
from src.domain.events import (
    ApiScope,
    AuthFailed,
    CancelRejected,
    CommandFailed,
    Event,
    OrderRejected,
    OrderUnresolved,
    Outcome,
    UnreadableMessages,
)
from src.domain.positions import Snapshot
from src.exchange.port import Answer
from tests.builders import NOW, a_request, a_snapshot, an_update

ENTRY = SubmitOrder(a_request(), not_after=NOW + 5_000)
STOP = SubmitOrder(a_request(OrderRole.STOP_LOSS, 1))
NAME = ENTRY.request.client_order_id


BatchReply = Callable[[Sequence[OrderWrite]], Sequence[Answer]]


class Scripted:
    """An exchange with scripted outcomes that remembers its commands and batches."""

    def __init__(self, answer: Callable[[Command], Sequence[Outcome]], answer_batch: BatchReply = lambda _: []) -> None:
        self._answer, self._answer_batch = answer, answer_batch
        self.commands: list[Command] = []
        self.batches: list[Sequence[OrderWrite]] = []

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        self.batches.append(commands)
        return self._answer_batch(commands)

    def execute(self, command: Command) -> Sequence[Outcome]:
        self.commands.append(command)
        return self._answer(command)

    def snapshot(self, reason: str) -> Snapshot:
        return a_snapshot()


def raising(error: Exception) -> Callable[[Command], Sequence[Outcome]]:
    def answer(_: Command) -> Sequence[Outcome]:
        raise error

    return answer


def a_gateway(exchange: Scripted, events: list[TraderEvent], now_ms: int = NOW, halted: bool = False) -> Gateway:
    return Gateway(exchange, events.append, ManualClock(now_ms), lambda: halted, lambda: True)


def test_response_is_posted() -> None:
    gateway = a_gateway(Scripted(lambda _: [an_update()]), [])
    assert gateway.execute(ENTRY) == [an_update()]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Rejected(-2019, "margin"), OrderRejected("BTCUSDT", NAME, -2019, "margin", NOW)),
        (Unreachable("no route"), OrderRejected("BTCUSDT", NAME, None, "no route", NOW)),
        (RateLimited("slow", NOW), OrderRejected("BTCUSDT", NAME, None, "slow", NOW)),
        (OutcomeUnknown("503"), OrderUnresolved("BTCUSDT", NAME, "503", NOW)),
    ],
)
def test_submit_error_becomes_event(error: Exception, event: Event) -> None:
    gateway = a_gateway(Scripted(raising(error)), [])
    assert gateway.execute(ENTRY) == [event]


def test_response_that_is_not_understood_is_counted() -> None:
    gateway = a_gateway(Scripted(raising(ProtocolError("no id"))), [])
    unresolved = OrderUnresolved("BTCUSDT", NAME, "no id", NOW)
    assert gateway.execute(ENTRY) == [unresolved, UnreadableMessages(None, "no id", 1, NOW)]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Rejected(-2011, "unknown"), CancelRejected("BTCUSDT", NAME, -2011, "unknown", NOW)),
        (Unreachable("no"), CancelRejected("BTCUSDT", NAME, None, "no", NOW)),
        (OutcomeUnknown("?"), OrderUnresolved("BTCUSDT", NAME, "?", NOW)),
    ],
)
def test_cancel_error_becomes_event(error: ExchangeError, event: Event) -> None:
    assert event_for_error(CancelOrder("BTCUSDT", NAME), error, NOW) == event


def test_auth_error_is_not_order_rejection() -> None:
    rejected = event_for_error(ENTRY, AuthError(-2015, "key"), NOW)
    assert rejected == OrderRejected("BTCUSDT", NAME, -2015, "key", NOW, is_auth_error=True)


def test_failed_read_becomes_command_failed() -> None:
    command = QueryOrder("BTCUSDT", NAME)
    assert event_for_error(command, OutcomeUnknown("?"), NOW) == CommandFailed(command, None, "?", NOW)
    assert event_for_error(command, Rejected(-1, "no"), NOW) == CommandFailed(command, -1, "no", NOW)


def test_expired_entry_is_not_sent() -> None:
    exchange = Scripted(lambda _: [])
    rejected = a_gateway(exchange, [], now_ms=NOW + 5_001).execute(ENTRY)
    assert exchange.commands == []
    assert isinstance(rejected[0], OrderRejected)
    assert rejected[0].code is None


def test_halt_file_stops_only_entries() -> None:
    exchange = Scripted(lambda _: [])
    gateway = a_gateway(exchange, [], halted=True)
    assert "HALT file" in str(gateway.execute(ENTRY)[0])
    gateway.execute(STOP)
    gateway.execute(CancelOrder("BTCUSDT", NAME))
    assert exchange.commands == [STOP, CancelOrder("BTCUSDT", NAME)]


def worked(gateway: Gateway, exchange: Scripted, commands: Sequence[Command]) -> list[Command]:
    """The commands the exchange received once every lane is idle."""
    gateway.submit(commands)
    done = threading.Event()

    def heartbeat() -> None:
        if len(exchange.commands) == len(commands):
            done.set()

    threads = [threading.Thread(target=gateway.work, args=(lane, heartbeat)) for lane in range(gateway.lanes)]
    for thread in threads:
        thread.start()
    assert done.wait(10)
    gateway.stop()
    for thread in threads:
        thread.join(20)
    return exchange.commands


def test_protection_is_sent_before_entries_and_reads() -> None:
    events: list[TraderEvent] = []
    exchange = Scripted(lambda _: [an_update()])
    query = QueryOrder("BTCUSDT", NAME)
    executed = worked(a_gateway(exchange, events), exchange, [ENTRY, query, CancelOrder("BTCUSDT", NAME), STOP])
    assert executed == [STOP, CancelOrder("BTCUSDT", NAME), query, ENTRY]
    assert len(events) == 4


def test_queued_read_is_not_queued_twice() -> None:
    exchange, query = Scripted(lambda _: []), QueryOrder("BTCUSDT", NAME)
    gateway = a_gateway(exchange, [])
    gateway.submit([query])
    assert worked(gateway, exchange, [query, ENTRY]) == [query, ENTRY]


def test_finished_read_may_be_queued_again() -> None:
    query = QueryOrder("BTCUSDT", NAME)

    def query_again(_: Command) -> Sequence[Outcome]:
        gateway.submit([query])
        return []

    exchange = Scripted(query_again)
    gateway = a_gateway(exchange, [])
    gateway.submit([query])
    assert worked(gateway, exchange, [query, query])[:2] == [query, query]


def test_every_command_has_a_lane() -> None:
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
def test_rejected_key_posts_auth_failed(command: Command, of_write: bool) -> None:
    exchange = Scripted(raising(AuthError(-2015, "look on Aster's site")))
    failure, rejection = a_gateway(exchange, []).execute(command)
    assert isinstance(failure, OrderRejected if of_write else CommandFailed)
    assert rejection == AuthFailed(-2015, "look on Aster's site", ApiScope.TRADE if of_write else ApiScope.READ, NOW)


OTHER = SubmitOrder(a_request(symbol="ETHUSDT", client_order_id="lh-another0-e"), not_after=NOW + 5_000)
THIRD = SubmitOrder(a_request(symbol="SOLUSDT", client_order_id="lh-another1-e"), not_after=NOW - 1)


def run_all(gateway: Gateway, *commands: Command) -> None:
    gateway.submit(commands)
    while any(gateway.run_next(lane) for lane in range(gateway.lanes)):
        pass


def test_entries_of_one_burst_leave_in_one_request_and_are_answered_one_by_one() -> None:
    events: list[TraderEvent] = []
    accepted = an_update(OTHER.request)
    exchange = Scripted(lambda _: [], lambda _: [Rejected(-2019, "margin"), [accepted]])
    run_all(a_gateway(exchange, events), ENTRY, OTHER)
    assert [list(batch) for batch in exchange.batches] == [[ENTRY, OTHER]]
    assert exchange.commands == []
    assert events == [OrderRejected("BTCUSDT", NAME, -2019, "margin", NOW), OrderResponse(accepted)]


def test_lost_answer_to_a_batch_leaves_each_order_unresolved() -> None:
    def lose(_: Sequence[OrderWrite]) -> Sequence[Answer]:
        raise OutcomeUnknown("503")

    events: list[TraderEvent] = []
    run_all(a_gateway(Scripted(lambda _: [], lose), events), ENTRY, OTHER)
    assert events == [
        OrderUnresolved(each.request.symbol, each.request.client_order_id, "503", NOW) for each in (ENTRY, OTHER)
    ]


def test_expired_entry_is_left_out_of_its_batch() -> None:
    events: list[TraderEvent] = []
    exchange = Scripted(lambda _: [], lambda _: [[an_update(ENTRY.request)], [an_update(OTHER.request)]])
    run_all(a_gateway(exchange, events), ENTRY, THIRD, OTHER)
    assert [list(batch) for batch in exchange.batches] == [[ENTRY, OTHER]]
    [rejected] = [event for event in events if isinstance(event, OrderRejected)]
    assert (rejected.symbol, rejected.code) == ("SOLUSDT", None)


def test_stops_never_leave_in_a_batch() -> None:
    exchange = Scripted(lambda _: [])
    stop = SubmitOrder(a_request(OrderRole.STOP_LOSS, 1, symbol="ETHUSDT", client_order_id="lh-another0-s1"))
    run_all(a_gateway(exchange, []), STOP, stop)
    assert exchange.commands == [STOP, stop]
    assert exchange.batches == []


def test_refused_batch_ends_batches_of_this_run() -> None:
    def refuse(_: Sequence[OrderWrite]) -> Sequence[Answer]:
        raise Rejected(-1020, "not supported")

    events: list[TraderEvent] = []
    exchange = Scripted(lambda _: [], refuse)
    gateway = a_gateway(exchange, events)
    run_all(gateway, ENTRY, OTHER)
    assert [(event.code, event.symbol) for event in events if isinstance(event, OrderRejected)] == [
        (-1020, "BTCUSDT"),
        (-1020, "ETHUSDT"),
    ]
    run_all(gateway, ENTRY, OTHER)
    assert len(exchange.batches) == 1
    assert exchange.commands == [ENTRY, OTHER]


def test_refused_key_does_not_end_batches() -> None:
    def refuse(_: Sequence[OrderWrite]) -> Sequence[Answer]:
        raise AuthError(-2015, "key")

    exchange = Scripted(lambda _: [], refuse)
    gateway = a_gateway(exchange, [])
    run_all(gateway, ENTRY, OTHER)
    run_all(gateway, ENTRY, OTHER)
    assert len(exchange.batches) == 2


def test_close_position_refused_in_a_batch_is_sent_alone_from_then_on() -> None:
    takes = [
        SubmitOrder(a_request(OrderRole.TAKE_PROFIT, 1, symbol=symbol, client_order_id=f"lh-another{number}-t1"))
        for number, symbol in enumerate(("BTCUSDT", "ETHUSDT"))
    ]
    exchange = Scripted(lambda _: [], lambda commands: [Rejected(-1102, "quantity")] * len(commands))
    gateway = a_gateway(exchange, [])
    run_all(gateway, *takes)
    assert [list(batch) for batch in exchange.batches] == [takes]
    run_all(gateway, *takes)
    assert exchange.commands == takes
    run_all(gateway, ENTRY, OTHER)
    assert len(exchange.batches) == 2


def test_every_lane_keeps_its_connection_from_the_start_and_while_idle() -> None:
    used: list[str] = []
    second = threading.Event()

    def keep_connection() -> None:
        used.append(threading.current_thread().name)
        if len(used) > 1:
            second.set()

    exchange = Scripted(lambda _: [])
    gateway = Gateway(exchange, lambda _: None, ManualClock(NOW), lambda: False, keep_connection=keep_connection)
    lane = threading.Thread(target=gateway.work, args=[0, lambda: None], name="lane")
    lane.start()
    assert second.wait(10)
    gateway.stop()
    lane.join()
    assert set(used) == {"lane"}
    assert not exchange.commands
