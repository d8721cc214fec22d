"""Executes the trader's commands, protection first and in order per symbol; every outcome becomes an event."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from src.core.command_queue import READS, BatchRules, CommandQueue, is_entry
from src.core.events import OrderResponse
from src.domain import crash_points
from src.domain.clock import Clock, drift_ms
from src.domain.commands import CancelOrder, Command, OrderWrite, SubmitOrder
from src.domain.crash_points import Point
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
from src.exchange.port import Answer, Exchange

PostOutcome = Callable[[Event | OrderResponse], None]

log = logging.getLogger("hunter.gateway")

_IDLE_SECONDS = 0.5
_PARAMETER_CODES = range(-1199, -1099)
"""The request does not have the form that the endpoint expects (Error Codes, 11xx)."""


class Gateway:
    """Runs commands in a few parallel lanes, those of a symbol one after the other; account-wide reads have their own.

    ``is_batching`` returns the setting ``batch_orders``: whether orders that wait together leave in one request.
    """

    def __init__(
        self,
        exchange: Exchange,
        post: PostOutcome,
        clock: Clock,
        is_halted: Callable[[], bool],
        is_batching: Callable[[], bool] = lambda: False,
        keep_connection: Callable[[], None] = lambda: None,
    ) -> None:
        self._exchange = exchange
        self._post = post
        self._clock = clock
        self._is_halted = is_halted
        self._keep_connection = keep_connection
        """Called in each lane's thread at its start and while it is idle."""
        self._is_batching = is_batching
        self._queue = CommandQueue(self._batch_rules)
        self._accepts_batches = self._accepts_close_position = True
        """What the exchange has not refused in this run."""
        self._failures: dict[str, str] = {}
        """The last failure of each kind of command, until one succeeds: it is logged as a warning once."""
        self._stopping = threading.Event()

    @property
    def lanes(self) -> int:
        """How many threads must call ``work``."""
        return self._queue.lanes

    def submit(self, commands: Sequence[Command]) -> None:
        """Queue commands the trader has committed."""
        for command in commands:
            crash_points.reached(Point.ORDER_COMMITTED, _describe(command))
        self._queue.put(map(self._guard_entry, commands))

    def work(self, lane: int, heartbeat: Callable[[], None]) -> None:
        """Execute the commands of one lane until ``stop`` is called."""
        self._keep_connection()
        while not self._stopping.is_set():
            heartbeat()
            if not self.run_next(lane, _IDLE_SECONDS):
                self._keep_connection()

    def run_next(self, lane: int, timeout_seconds: float = 0) -> bool:
        """Execute the next commands of a lane and post what came of them; False if there are none."""
        commands = self._queue.take(lane, timeout_seconds)
        if not commands:
            return False
        try:
            for event in self.execute(*commands):
                self._post(OrderResponse(event) if isinstance(event, OrderUpdate) else event)
        finally:
            self._queue.release(commands)
        return True

    def stop(self) -> None:
        """Finish the current commands; the next start recovers those still queued by reading the account."""
        self._stopping.set()

    def execute(self, *commands: Command) -> list[Event]:
        """Execute one command, or several in one request; an error becomes the event that describes its outcome."""
        guarded = [self._guard_entry(each) for each in commands]
        answers = self._answers(guarded)
        crash_points.reached(Point.ANSWERED, _describe(*commands))
        return [
            event for command, answer in zip(guarded, answers, strict=True) for event in self._events(command, answer)
        ]

    def _answers(self, commands: Sequence[Command]) -> list[Answer]:
        """Send what may still be sent; one answer for each command."""
        now_ms = self._clock.now_ms()
        withheld = [_refusal(each, now_ms) for each in commands]
        sent = [command for command, refusal in zip(commands, withheld, strict=True) if refusal is None]
        received = iter(self._send(sent))
        return [next(received) if refusal is None else refusal for refusal in withheld]

    def _send(self, commands: Sequence[Command]) -> Sequence[Answer]:
        if not commands:
            return []
        crash_points.reached(Point.SENDING, _describe(*commands))
        try:
            if len(commands) == 1:
                return [self._exchange.execute(*commands)]
            answers = self._exchange.execute_batch([each for each in commands if isinstance(each, OrderWrite)])
        except (ExchangeError, ProtocolError) as error:
            if len(commands) > 1 and isinstance(error, Rejected) and not isinstance(error, AuthError):
                self._accepts_batches = False
                log.warning("the exchange refuses batches, so each order is sent by itself: %s", error)
            return [error] * len(commands)
        for command, answer in zip(commands, answers, strict=True):
            if self._accepts_close_position and _is_close_position_refused(command, answer):
                self._accepts_close_position = False
                log.warning("the exchange refuses closePosition in a batch, so such orders are sent alone: %s", answer)
        return answers

    def _events(self, command: Command, answer: Answer) -> Sequence[Event]:
        """The events of an answer; a failure is logged."""
        kind = type(command).__name__
        if isinstance(answer, NotSent):
            log.info("%s not sent: %s", kind, answer)
        elif isinstance(answer, ExchangeError | ProtocolError):
            self._log_failure(kind, str(answer))
        else:
            self._failures.pop(kind, None)
            return answer
        return events_for_error(command, answer, self._clock.now_ms())

    def _batch_rules(self) -> BatchRules:
        return BatchRules(self._is_batching() and self._accepts_batches, self._accepts_close_position)

    def _log_failure(self, kind: str, reason: str) -> None:
        """Log a failure as a warning, its repetitions at level DEBUG: an outage must not fill the log."""
        is_known = self._failures.get(kind) == reason
        self._failures[kind] = reason
        log.log(logging.DEBUG if is_known else logging.WARNING, "%s failed: %s", kind, reason)

    def _guard_entry(self, command: Command) -> Command:
        """Give an entry or a close its ``EntryGuard``, from when it was queued; other commands are sent in any case."""
        if not isinstance(command, SubmitOrder) or isinstance(command.before_send, EntryGuard):
            return command
        if not is_entry(command) and command.not_after is None:
            return command
        return replace(command, before_send=EntryGuard(command, self._clock, self._is_halted))


class EntryGuard:
    """Decides whether an entry may still be sent: before its deadline, and not under the HALT file (I24).

    A close has a deadline too: after a suspension it is decided again. The one place of this rule. It is asked when the
    order leaves the queue and directly before every attempt to send it: after the rate limit, and again before the
    retry after a rejected timestamp (-1021).
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
            subject = "signal expired" if is_entry(self._command) else "close was decided too long"
            raise NotSent(f"{subject} before the order was sent")
        if is_entry(self._command) and self._is_halted():
            raise NotSent("the HALT file forbids entries")


def events_for_error(command: Command, error: ExchangeError | ProtocolError, at: int) -> list[Event]:
    """The outcome of the command, and an ``AuthFailed`` if our credentials were rejected."""
    failure = event_for_error(command, error, at)
    unreadable = error if isinstance(error, ProtocolError) else error.__cause__
    if isinstance(unreadable, ProtocolError):
        return [failure, UnreadableMessages(None, str(unreadable), 1, at)]
    if not isinstance(error, AuthError):
        return [failure]
    scope = ApiScope.READ if isinstance(command, READS) else ApiScope.TRADE
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


def _refusal(command: Command, now_ms: int) -> NotSent | None:
    """Why the command must not be sent any more; None if it may."""
    try:
        if isinstance(command, SubmitOrder):
            command.before_send(now_ms)
    except NotSent as refusal:
        return refusal
    return None


def _is_close_position_refused(command: Command, answer: Answer) -> bool:
    """Whether the exchange refused the order for its form, which it may accept outside a batch."""
    is_malformed = isinstance(answer, Rejected) and answer.code in _PARAMETER_CODES
    return is_malformed and isinstance(command, SubmitOrder) and command.request.close_position


def _describe(command: Command, *others: Command) -> str:
    """A short name of a command: the role of the order it submits or cancels, else its type; of several, the first."""
    if others:
        return f"batch {_describe(command)}"
    match command:
        case SubmitOrder(request):
            known, verb = ClientOrderId.parse(request.client_order_id), ""
        case CancelOrder(_, client_order_id):
            known, verb = ClientOrderId.parse(client_order_id), "cancel "
        case _:
            return type(command).__name__
    return verb + (known.role if known else "")
