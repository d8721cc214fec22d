"""Executes the trader's commands, protection first and in order per symbol; every outcome becomes an event."""

import logging
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from queue import Empty, PriorityQueue
from typing import assert_never

from src.core.events import OrderResponse
from src.domain import crash_points
from src.domain.clock import Clock, drift_ms
from src.domain.commands import (
    CancelOrder,
    CheckPositions,
    Command,
    FetchFills,
    FetchIncome,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    QueryOrder,
    ReadCommand,
    SetLeverage,
    SetMarginType,
    SetMultiAssetsMode,
    SetPositionMode,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.errors import AuthError, ExchangeError, NotSent, OutcomeUnknown, ProtocolError, Rejected
from src.domain.events import (
    ApiScope,
    AuthFailed,
    CancelRejected,
    CommandFailed,
    Event,
    OrderRejected,
    OrderUnresolved,
    UnreadableMessages,
)
from src.domain.orders import ClientOrderId, OrderUpdate
from src.exchange.port import Exchange

PostOutcome = Callable[[Event | OrderResponse], None]

log = logging.getLogger("hunter.gateway")

_LANES = 3
_IDLE_SECONDS = 0.5
_PROTECTION, _QUERY, _ENTRY = range(3)
_READS = ReadCommand | QueryOrder


class Gateway:
    """Runs commands in a few parallel lanes. A symbol always uses the same lane; account-wide reads have their own."""

    def __init__(self, exchange: Exchange, post: PostOutcome, clock: Clock, is_halted: Callable[[], bool]) -> None:
        self._exchange = exchange
        self._post = post
        self._clock = clock
        self._is_halted = is_halted
        self._sequence = count()
        self._lanes: list[PriorityQueue[tuple[int, int, Command]]] = [PriorityQueue() for _ in range(_LANES + 1)]
        self._queued_reads: set[Command] = set()
        """Reads that are queued and not sent yet."""
        self._failures: dict[str, str] = {}
        """The last failure of each kind of command, until one succeeds: it is logged as a warning once."""
        self._stopping = threading.Event()

    @property
    def lanes(self) -> int:
        """How many threads must call ``work``."""
        return len(self._lanes)

    def submit(self, commands: Sequence[Command]) -> None:
        """Queue commands the trader has committed. A read that is already queued is not queued again: an exchange
        that recovers must not receive every read of the outage at once."""
        for command in commands:
            if isinstance(command, _READS):
                if command in self._queued_reads:
                    continue
                self._queued_reads.add(command)
            crash_points.reached(Point.ORDER_COMMITTED, _describe(command))
            queued = (_priority(command), next(self._sequence), self._guard_entry(command))
            self._lanes[_lane_of(command)].put(queued)

    def work(self, lane: int, heartbeat: Callable[[], None]) -> None:
        """Execute the commands of one lane until ``stop`` is called."""
        while not self._stopping.is_set():
            heartbeat()
            try:
                _, _, command = self._lanes[lane].get(timeout=_IDLE_SECONDS)
            except Empty:
                continue
            events = self.execute(command)
            crash_points.reached(Point.ANSWERED, _describe(command))
            for event in events:
                self._post(OrderResponse(event) if isinstance(event, OrderUpdate) else event)

    def stop(self) -> None:
        """Finish the current commands; the next start recovers those still queued by reading the account."""
        self._stopping.set()

    def execute(self, command: Command) -> Sequence[Event]:
        """Execute one command; an error becomes the event that describes its outcome."""
        self._queued_reads.discard(command)
        command = self._guard_entry(command)
        try:
            if isinstance(command, SubmitOrder):
                command.before_send(self._clock.now_ms())
            crash_points.reached(Point.SENDING, _describe(command))
            outcomes = self._exchange.execute(command)
        except NotSent as withheld:
            log.info("%s not sent: %s", type(command).__name__, withheld)
            return events_for_error(command, withheld, self._clock.now_ms())
        except (ExchangeError, ProtocolError) as error:
            self._log_failure(type(command).__name__, str(error))
            return events_for_error(command, error, self._clock.now_ms())
        self._failures.pop(type(command).__name__, None)
        return outcomes

    def _log_failure(self, kind: str, reason: str) -> None:
        """Log a failure as a warning, its repetitions at level DEBUG: an outage must not fill the log."""
        is_known = self._failures.get(kind) == reason
        self._failures[kind] = reason
        log.log(logging.DEBUG if is_known else logging.WARNING, "%s failed: %s", kind, reason)

    def _guard_entry(self, command: Command) -> Command:
        """Give an entry its ``EntryGuard``, from when it was queued; other commands are sent whatever happens."""
        if not isinstance(command, SubmitOrder) or isinstance(command.before_send, EntryGuard):
            return command
        if not _is_entry(command):
            return command
        return replace(command, before_send=EntryGuard(command, self._clock, self._is_halted))


class EntryGuard:
    """Decides whether an entry may still be sent: before its deadline, and not under the HALT file (I24).

    The one place of this rule. It is asked when the entry leaves the queue and directly before every attempt to send
    it: after the rate limit, and again before the retry after a rejected timestamp (-1021).
    """

    def __init__(self, command: SubmitOrder, clock: Clock, is_halted: Callable[[], bool]) -> None:
        self._command = command
        self._clock = clock
        self._is_halted = is_halted
        self._drift_ms = drift_ms(clock)

    def __call__(self, now_ms: int) -> None:
        """Raise ``NotSent`` if the entry must not be sent at ``now_ms`` (UTC)."""
        # Of a machine that was suspended, maybe only the system clock knows how long.
        suspended_ms = max(0, drift_ms(self._clock) - self._drift_ms)
        if self._command.is_expired(now_ms + suspended_ms):
            raise NotSent("signal expired before the order was sent")
        if self._is_halted():
            raise NotSent("the HALT file forbids entries")


def events_for_error(command: Command, error: ExchangeError | ProtocolError, at: int) -> list[Event]:
    """The outcome of the command, and an ``AuthFailed`` if our credentials were rejected."""
    failure = event_for_error(command, error, at)
    unreadable = error if isinstance(error, ProtocolError) else error.__cause__
    if isinstance(unreadable, ProtocolError):
        return [failure, UnreadableMessages(None, str(unreadable), 1, at)]
    if not isinstance(error, AuthError):
        return [failure]
    scope = ApiScope.READ if isinstance(command, _READS) else ApiScope.TRADE
    return [failure, AuthFailed(error.code, error.reason, scope, at)]


def event_for_error(command: Command, error: ExchangeError | ProtocolError, at: int) -> Event:
    """The outcome of a command that raised: rejected, failed, or unknown (docs/safety.md)."""
    code = error.code if isinstance(error, Rejected) else None
    is_unknown = isinstance(error, OutcomeUnknown | ProtocolError)
    match command:
        case SubmitOrder(request):
            if is_unknown:
                return OrderUnresolved(request.symbol, request.client_order_id, str(error), at)
            return _rejected(command, code, _reason(error), at, of_access=isinstance(error, AuthError))
        case CancelOrder(symbol, client_order_id):
            if is_unknown:
                return OrderUnresolved(symbol, client_order_id, str(error), at)
            return CancelRejected(symbol, client_order_id, code, _reason(error), at)
        case _:
            return CommandFailed(command, code, _reason(error), at)


def _reason(error: ExchangeError | ProtocolError) -> str:
    return error.reason if isinstance(error, Rejected) else str(error)


def _rejected(
    command: SubmitOrder, code: int | None, reason: str, at: int, *, of_access: bool = False
) -> OrderRejected:
    request = command.request
    return OrderRejected(request.symbol, request.client_order_id, code, reason, at, of_access)


def _is_entry(command: SubmitOrder) -> bool:
    known = ClientOrderId.parse(command.request.client_order_id)
    return known is not None and known.role is OrderRole.ENTRY


def _describe(command: Command) -> str:
    """A short name of a command: the role of the order it submits or cancels, else its type."""
    match command:
        case SubmitOrder(request):
            known, verb = ClientOrderId.parse(request.client_order_id), ""
        case CancelOrder(_, client_order_id):
            known, verb = ClientOrderId.parse(client_order_id), "cancel "
        case _:
            return type(command).__name__
    return verb + (known.role if known else "")


def _lane_of(command: Command) -> int:
    match command:
        case SubmitOrder(request):
            return _symbol_lane(request.symbol)
        case CancelOrder(symbol) | QueryOrder(symbol) | SetMarginType(symbol) | SetLeverage(symbol):
            return _symbol_lane(symbol)
        case FetchFills() | FetchOrders() | FetchInstruments() | FetchIncome() | FetchQuote():
            return _LANES
        case TakeSnapshot() | CheckPositions():
            return _LANES
        case SetPositionMode() | SetMultiAssetsMode():
            return _LANES
        case _:
            assert_never(command)


def _symbol_lane(symbol: str) -> int:
    return zlib.crc32(symbol.encode()) % _LANES


def _priority(command: Command) -> int:
    match command:
        case SubmitOrder():
            return _ENTRY if _is_entry(command) else _PROTECTION
        case CancelOrder():
            return _PROTECTION
        case _:
            return _QUERY
