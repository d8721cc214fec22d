"""Faults that a command may suffer, and the kinds of commands they apply to."""

from enum import StrEnum

from src.domain.commands import CancelOrder, Command, SubmitOrder
from src.domain.enums import OrderRole
from src.domain.orders import ClientOrderId


class Target(StrEnum):
    """The kind of command a fault applies to."""

    ENTRY = "entry"
    STOP_LOSS = "stop loss"
    TAKE_PROFIT = "take profit"
    CLOSE = "close"
    CANCEL = "cancel"
    READ = "read"


class Fault(StrEnum):
    """What happens to one command in the network or at the exchange."""

    REJECTED = "rejected"
    WOULD_TRIGGER = "would trigger"
    NOT_SENT = "not sent"
    RESPONSE_LOST = "response lost"
    REQUEST_LOST = "request lost"
    LATE = "late"
    """The response is lost, and the command is executed later."""
    SLOW = "slow"
    """Executed at once, but other events arrive before the response."""


def role_of(client_order_id: str) -> OrderRole | None:
    known = ClientOrderId.parse(client_order_id)
    return None if known is None else known.role


def target_of(command: Command) -> Target:
    match command:
        case SubmitOrder(request):
            role = role_of(request.client_order_id)
            assert role is not None
            return Target[role.name]
        case CancelOrder():
            return Target.CANCEL
        case _:
            return Target.READ


def client_order_id_of(command: SubmitOrder | CancelOrder) -> str:
    return command.client_order_id if isinstance(command, CancelOrder) else command.request.client_order_id
