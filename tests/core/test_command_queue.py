"""Which commands leave next, and which of them in one request."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain, permutations

import pytest

from src.core.command_queue import (
    MAX_CANCELS,
    MAX_ORDERS,
    BatchRules,
    CommandQueue,
    is_entry,
    next_commands,
    priority_of,
    subject_of,
)
from src.domain.commands import CancelOrder, Command, QueryOrder, SetLeverage, SubmitOrder, TakeSnapshot
from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import ClientOrderId
from tests.builders import NOW, a_request

A, B = "BTCUSDT", "ETHUSDT"
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ON, OFF, ONLY_QUANTITIES = BatchRules(True), BatchRules(False), BatchRules(True, with_close_position=False)


def submit(role: OrderRole, symbol: str, side: PositionSide = LONG, number: int = 0) -> SubmitOrder:
    request = a_request(role, 0 if role is OrderRole.ENTRY else 1, symbol=symbol, position_side=side)
    token = f"{symbol[0]}{side[0]}{number}".lower().ljust(10, "0")
    known = ClientOrderId(token, role, 0 if role is OrderRole.ENTRY else 1)
    return SubmitOrder(replace(request, client_order_id=str(known)))


ENTRY_A, ENTRY_A_SHORT, ENTRY_B = (
    submit(OrderRole.ENTRY, A),
    submit(OrderRole.ENTRY, A, SHORT),
    submit(OrderRole.ENTRY, B),
)
STOP_A, STOP_B = submit(OrderRole.STOP_LOSS, A), submit(OrderRole.STOP_LOSS, B)
TAKE_A, TAKE_A_SHORT, TAKE_B = (
    submit(OrderRole.TAKE_PROFIT, A),
    submit(OrderRole.TAKE_PROFIT, A, SHORT),
    submit(OrderRole.TAKE_PROFIT, B),
)
CLOSE_B = submit(OrderRole.CLOSE, B)
CANCEL_A, CANCEL_A2, CANCEL_B = CancelOrder(A, "one"), CancelOrder(A, "two"), CancelOrder(B, "one")
QUERY_A, LEVERAGE_B = QueryOrder(A, "one"), SetLeverage(B, 5)
ALPHABET: tuple[Command, ...] = (
    *(ENTRY_A, ENTRY_A_SHORT, ENTRY_B, STOP_A, STOP_B, TAKE_A, TAKE_A_SHORT, TAKE_B, CLOSE_B),
    *(CANCEL_A, CANCEL_A2, CANCEL_B, QUERY_A, LEVERAGE_B),
)


def kind_of(command: Command, rules: BatchRules) -> object:
    """What the commands of one request have in common; None for a command that leaves alone."""
    if isinstance(command, CancelOrder):
        return "cancel", command.symbol
    if not isinstance(command, SubmitOrder) or "-s" in command.request.client_order_id:
        return None
    if command.request.close_position and not rules.with_close_position:
        return None
    return "entry" if is_entry(command) else "exit"


def position_of(command: Command) -> object:
    """The position that a submit is for; each cancel is of its own."""
    return (command.request.symbol, command.request.position_side) if isinstance(command, SubmitOrder) else id(command)


def check(waiting: Sequence[Command], busy: Collection[str], rules: BatchRules) -> None:
    taken = next_commands(waiting, busy, rules)
    free = [each for each in waiting if subject_of(each) not in busy]
    assert taken[:1] == tuple(free[:1])
    kinds = {kind_of(each, rules) for each in taken}
    if len(taken) > 1:
        assert rules.is_enabled
        assert len(kinds) == 1
        assert None not in kinds
        assert len({position_of(each) for each in taken}) == len(taken)
    left: set[str] = set()
    held = {position_of(each) for each in taken}
    for command in free:
        symbol = subject_of(command)
        if any(command is each for each in taken):
            assert symbol not in left, "it overtakes an earlier command of its symbol"
            continue
        may_join = rules.is_enabled and kind_of(command, rules) in kinds - {None} and position_of(command) not in held
        assert symbol in left or not may_join, "it could leave in this request"
        left.add(symbol)


@pytest.mark.parametrize("rules", [ON, OFF, ONLY_QUANTITIES], ids=["on", "off", "no closePosition"])
def test_every_sequence_of_commands_is_split_by_the_rules(rules: BatchRules) -> None:
    sequences = chain(*(permutations(ALPHABET, length) for length in range(4)), permutations(ALPHABET[::2], 5))
    for sequence in sequences:
        waiting = sorted(sequence, key=priority_of)
        check(waiting, (), rules)
        check(waiting, (A,), rules)
    assert next_commands([ENTRY_A, ENTRY_B], (A, B), rules) == ()


def test_a_burst_leaves_in_requests_of_five() -> None:
    symbols = [f"S{number}USDT" for number in range(7)]
    entries = [submit(OrderRole.ENTRY, symbol) for symbol in symbols]
    assert next_commands(entries, (), ON) == tuple(entries[:MAX_ORDERS])
    assert next_commands(entries[MAX_ORDERS:], symbols[:MAX_ORDERS], ON) == tuple(entries[MAX_ORDERS:])
    cancels = [CancelOrder(A, str(number)) for number in range(12)]
    assert next_commands(cancels, (), ON) == tuple(cancels[:MAX_CANCELS])


def test_stop_is_first_and_alone_however_late_it_was_queued() -> None:
    queue = CommandQueue(lambda: ON)
    queue.put([ENTRY_A, TAKE_B, CANCEL_B, LEVERAGE_B, STOP_B, ENTRY_A_SHORT, STOP_A])
    assert [queue.take(0), queue.take(1)] == [(STOP_B,), (STOP_A,)]
    assert queue.take(2) == ()
    queue.release([STOP_A])
    assert queue.take(0) == (ENTRY_A, ENTRY_A_SHORT)
    queue.release([STOP_B])
    assert [queue.take(1)] == [(TAKE_B,)]


def test_commands_of_a_symbol_wait_for_each_other_in_every_lane() -> None:
    queue = CommandQueue(lambda: ON)
    queue.put([ENTRY_A, ENTRY_B, TAKE_A])
    assert [queue.take(lane) for lane in range(3)] == [(TAKE_A,), (ENTRY_B,), ()]
    queue.release([TAKE_A])
    assert queue.take(2) == (ENTRY_A,)


def test_account_reads_have_a_lane_of_their_own_and_wait_only_once() -> None:
    queue, read = CommandQueue(lambda: ON), TakeSnapshot("test")
    queue.put([read, read, ENTRY_A])
    assert queue.take(0) == (ENTRY_A,)
    account = queue.lanes - 1
    assert queue.take(account) == (read,)
    assert queue.take(account) == ()
    queue.put([read])
    assert queue.take(account) == (read,)


def test_waiting_lane_is_woken_by_a_command_and_by_a_release() -> None:
    queue = CommandQueue(lambda: ON)
    taken: list[Command] = []
    has_one = threading.Event()

    def work() -> None:
        while len(taken) < 2:
            taken.extend(queue.take(0, timeout_seconds=20))
            has_one.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    queue.put([ENTRY_A])
    assert has_one.wait(10)
    queue.put([TAKE_A])
    queue.release([ENTRY_A])
    thread.join(10)
    assert taken == [ENTRY_A, TAKE_A]


def test_entry_is_recognised_by_its_id() -> None:
    assert is_entry(SubmitOrder(a_request(), NOW))
    assert not is_entry(STOP_A)
