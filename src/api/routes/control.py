"""What the operator wants of the bot as a whole."""

from typing import Any

from flask import Blueprint

from src.api import parameters
from src.api.asking import ask_bot
from src.api.dashboard import reading
from src.api.errors import bad_parameter, not_found
from src.database.queries import orders
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction

blueprint = Blueprint("control", __name__)

_WISHES = {
    OperatorAction.PAUSE: "the bot was asked to pause entries",
    OperatorAction.RESUME: "the bot was asked to resume entries",
    OperatorAction.HALT: "the bot was asked to halt",
    OperatorAction.FLATTEN: "the bot was asked to cancel its entries and close all its positions",
    OperatorAction.CANCEL_ENTRY: "the bot was asked to cancel the entry",
}


@blueprint.post("/api/control")
def ask() -> tuple[dict[str, Any], int]:
    """``{action, nonce}``, with ``client_order_id`` where an entry is to be cancelled. One nonce is one wish."""
    document = parameters.body()
    action = _action(document.get("action"))
    nonce = parameters.nonce(document)
    if nonce is None:
        raise bad_parameter("nonce", "nonce is missing: a name of your own for this wish, so that it is done once.")
    details = _entry(parameters.text_in(document, "client_order_id")) if action is OperatorAction.CANCEL_ENTRY else {}
    return ask_bot(action, nonce, _WISHES[action], **details)


def _action(value: Any) -> OperatorAction:
    for action in _WISHES:
        if value == action.value:
            return action
    raise bad_parameter("action", f"action must be one of {', '.join(_WISHES)}.")


def _entry(client_order_id: str) -> dict[str, str]:
    """The open entry of that name. Protective orders are not ours to cancel by hand."""
    with reading() as connection:
        row = orders.orders_by_id(connection, [client_order_id]).get(client_order_id)
    if row is None or row.role != OrderRole.ENTRY or row.order_status not in orders.OPEN_STATUSES:
        raise not_found("There is no open entry of that name.")
    return {"client_order_id": client_order_id, "symbol": row.symbol}
