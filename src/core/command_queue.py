"""Commands that wait to be sent: which is next, in order per symbol, and which orders leave in one request."""

import threading
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import assert_never

from src.domain.commands import (
    CancelOrder,
    CheckPositions,
    Command,
    FetchBrackets,
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
from src.domain.enums import OrderRole
from src.domain.orders import ClientOrderId

READS = ReadCommand | QueryOrder
MAX_ORDERS, MAX_CANCELS = 5, 10
"""In one request (Place Multiple Orders, Cancel Multiple Orders)."""
_ORDER_LANES = 3
_ACCOUNT_LANE = _ORDER_LANES
_ACCOUNT = ""
"""The subject of commands about the whole account."""


class Priority(IntEnum):
    """Which of the waiting commands goes first: a stop loss before all others."""

    STOP = 0
    PROTECTION = 1
    QUERY = 2
    ENTRY = 3


@dataclass(frozen=True, slots=True)
class BatchRules:
    """Which orders may share a request."""

    is_enabled: bool = False
    """The setting ``batch_orders``."""
    with_close_position: bool = True
    """Also orders without a quantity (closePosition), which Place Multiple Orders does not name."""


def next_commands(waiting: Iterable[Command], busy: Collection[str], rules: BatchRules) -> tuple[Command, ...]:
    """The first command whose symbol is not busy, and the orders that leave in one request with it. Pure.

    ``waiting`` is in the order of sending. No command overtakes an earlier one of its symbol. A stop loss always
    leaves alone. Empty if every symbol is busy.
    """
    taken: list[Command] = []
    blocked = set(busy)
    for command in waiting:
        symbol = subject_of(command)
        if symbol in blocked:
            continue
        if not taken:
            taken.append(command)
            if _batch_of(command, rules) is None:
                break
        elif _may_join(taken, command, rules):
            taken.append(command)
            if len(taken) == (MAX_CANCELS if isinstance(command, CancelOrder) else MAX_ORDERS):
                break
        else:
            blocked.add(symbol)
    return tuple(taken)


def _may_join(taken: Sequence[Command], command: Command, rules: BatchRules) -> bool:
    """Whether the command leaves with these.

    The exchange processes a batch concurrently, so two orders for one position never share one.
    """
    batch = _batch_of(command, rules)
    if batch is None or batch != _batch_of(taken[0], rules):
        return False
    if not isinstance(command, SubmitOrder):
        return True
    return all(_position_of(each) != _position_of(command) for each in taken if isinstance(each, SubmitOrder))


def _position_of(command: SubmitOrder) -> tuple[str, str]:
    return command.request.symbol, command.request.position_side


def _batch_of(command: Command, rules: BatchRules) -> str | bool | None:
    """Commands of the same batch may leave in one request; None if the command leaves alone.

    Entries are kept from exits, which may use more of the request limit. Cancels are of one symbol (Cancel Multiple
    Orders).
    """
    if not rules.is_enabled:
        return None
    match command:
        case SubmitOrder(request):
            is_alone = _role_of(command) is OrderRole.STOP_LOSS or (
                request.close_position and not rules.with_close_position
            )
            return None if is_alone else is_entry(command)
        case CancelOrder(symbol):
            return symbol
        case _:
            return None


def is_entry(command: SubmitOrder) -> bool:
    return _role_of(command) is OrderRole.ENTRY


def _role_of(command: SubmitOrder) -> OrderRole | None:
    known = ClientOrderId.parse(command.request.client_order_id)
    return None if known is None else known.role


def subject_of(command: Command) -> str:
    """The symbol whose commands are executed one after the other; empty for one about the account."""
    match command:
        case SubmitOrder(request):
            return request.symbol
        case CancelOrder(symbol) | QueryOrder(symbol) | SetMarginType(symbol) | SetLeverage(symbol):
            return symbol
        case FetchFills() | FetchOrders() | FetchIncome() | FetchQuote() | FetchInstruments() | FetchBrackets():
            return _ACCOUNT
        case TakeSnapshot() | CheckPositions():
            return _ACCOUNT
        case SetPositionMode() | SetMultiAssetsMode():
            return _ACCOUNT
        case _:
            assert_never(command)


def priority_of(command: Command) -> Priority:
    match command:
        case SubmitOrder():
            role = _role_of(command)
            if role is OrderRole.STOP_LOSS:
                return Priority.STOP
            return Priority.ENTRY if role is OrderRole.ENTRY else Priority.PROTECTION
        case CancelOrder():
            return Priority.PROTECTION
        case _:
            return Priority.QUERY


class CommandQueue:
    """Hands commands to a few parallel lanes: commands of a symbol one after the other, those about the account in a
    lane of their own. Thread-safe.
    """

    lanes = _ORDER_LANES + 1

    def __init__(self, read_rules: Callable[[], BatchRules]) -> None:
        self._read_rules = read_rules
        self._sequence = count()
        self._waiting: tuple[list[tuple[Priority, int, Command]], list[tuple[Priority, int, Command]]] = ([], [])
        """Of symbols, and about the account; each in the order of sending."""
        self._queued_reads: set[Command] = set()
        self._busy: set[str] = set()
        """Symbols with a command that is being executed."""
        lock = threading.Lock()
        self._added = threading.Condition(lock), threading.Condition(lock)

    def put(self, commands: Iterable[Command]) -> None:
        """Add commands. A read that is already waiting is not added again: an exchange that recovers must not receive
        every read of the outage at once.
        """
        with self._added[0]:
            added = [0, 0]
            for command in commands:
                if isinstance(command, READS):
                    if command in self._queued_reads:
                        continue
                    self._queued_reads.add(command)
                of_account = subject_of(command) == _ACCOUNT
                insort(self._waiting[of_account], (priority_of(command), next(self._sequence), command))
                added[of_account] += 1
            for condition, number in zip(self._added, added, strict=True):
                condition.notify(number)

    def take(self, lane: int, timeout_seconds: float = 0) -> tuple[Command, ...]:
        """Take the commands that a lane sends next, in one request; empty after the timeout.

        Their symbols are busy until ``release``.
        """
        of_account = lane == _ACCOUNT_LANE
        added = self._added[of_account]
        with added:
            taken = self._take(of_account)
            if not taken and timeout_seconds:
                added.wait(timeout_seconds)
                taken = self._take(of_account)
            return taken

    def _take(self, of_account: bool) -> tuple[Command, ...]:
        waiting = self._waiting[of_account]
        taken = next_commands((command for _, _, command in waiting), self._busy, self._read_rules())
        chosen = {id(each) for each in taken}
        waiting[:] = [each for each in waiting if id(each[2]) not in chosen]
        self._queued_reads.difference_update(each for each in taken if isinstance(each, READS))
        if not of_account:
            self._busy.update(map(subject_of, taken))
        return taken

    def release(self, commands: Iterable[Command]) -> None:
        """The commands are executed: others of their symbols may be taken."""
        with self._added[0]:
            self._busy.difference_update(map(subject_of, commands))
            if self._waiting[0]:
                self._added[0].notify(_ORDER_LANES)
