"""What can happen to a command on its way, and which command it shall happen to."""

from enum import StrEnum

from src.domain.commands import CancelOrder, Command, SubmitOrder
from src.domain.enums import OrderRole
from src.domain.orders import ClientOrderId


class Target(StrEnum):
    """What a blow is meant for."""

    ENTRY = "entry"
    STOP_LOSS = "stop loss"
    TAKE_PROFIT = "take profit"
    CLOSE = "close"
    CANCEL = "cancel"
    READ = "read"


class Fault(StrEnum):
    """What the network, or the exchange, does to one command."""

    REJECTED = "refused"
    WOULD_TRIGGER = "would trigger"
    NOT_SENT = "never left"
    RESPONSE_LOST = "answer lost"
    REQUEST_LOST = "request lost"
    LATE = "late"
    """Unknown to the bot; it is executed when the matcher comes to it."""
    SLOW = "slow"
    """Executed at once; the answer comes after other news."""


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
