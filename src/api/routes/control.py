"""What the operator wants of the bot as a whole."""

from typing import Any

from flask import Blueprint

from src.api import request_args
from src.api.bot_database import read_bot_state
from src.api.errors import ApiError, bad_parameter, not_found
from src.api.services import read_bot_database, services, submit_command
from src.database.queries import orders
from src.domain.commands import CONFIRM_WORD, OperatorAction, is_confirmation
from src.domain.enums import OrderRole

blueprint = Blueprint("control", __name__)

_ACTION_MESSAGES = {
    OperatorAction.PAUSE: "the bot was asked to pause entries",
    OperatorAction.RESUME: "the bot was asked to resume entries",
    OperatorAction.HALT: "the bot was asked to halt",
    OperatorAction.FLATTEN: "the bot was asked to cancel its entries and close all its positions",
    OperatorAction.CANCEL_ENTRY: "the bot was asked to cancel the entry",
}


@blueprint.post("/api/control")
def post_command() -> tuple[dict[str, Any], int]:
    """``{action, nonce}``, with ``client_order_id`` where an entry is to be cancelled. One nonce is one wish."""
    document = request_args.json_body()
    action = _action(document.get("action"))
    nonce = request_args.nonce_field(document)
    if nonce is None:
        raise bad_parameter("nonce", "nonce is missing: a name of your own for this wish, so that it is done once.")
    details = (
        _open_entry(request_args.str_field(document, "client_order_id"))
        if action is OperatorAction.CANCEL_ENTRY
        else {}
    )
    return submit_command(action, nonce, _ACTION_MESSAGES[action], **details)


def _action(value: Any) -> OperatorAction:
    for action in _ACTION_MESSAGES:
        if value == action.value:
            return action
    raise bad_parameter("action", f"action must be one of {', '.join(_ACTION_MESSAGES)}.")


def _open_entry(client_order_id: str) -> dict[str, str]:
    """The open entry of that name. Protective orders are not ours to cancel by hand."""
    with read_bot_database() as connection:
        row = orders.orders_by_id(connection, [client_order_id]).get(client_order_id)
    if row is None or row.role != OrderRole.ENTRY or row.order_status not in orders.OPEN_STATUSES:
        raise not_found("There is no open entry of that name.")
    return {"client_order_id": client_order_id, "symbol": row.symbol}


@blueprint.get("/api/live-consent")
def show_pending() -> dict[str, Any]:
    """``{pending}``: the terms, their fingerprint and what rises; None where nothing waits."""
    return {"pending": pending_consent(), "word": CONFIRM_WORD}


@blueprint.post("/api/live-consent/confirm")
def confirm_live() -> tuple[dict[str, Any], int]:
    """``{fingerprint, typed, nonce}``: agree to the terms that were shown. 409 where they are others by now."""
    document = request_args.json_body()
    fingerprint, typed = request_args.str_field(document, "fingerprint"), request_args.str_field(document, "typed")
    nonce = request_args.nonce_field(document)
    if nonce is None:
        raise bad_parameter("nonce", "nonce is missing: a name of your own for this wish, so that it is done once.")
    pending = pending_consent()
    if pending is None:
        raise ApiError(409, "nothing_pending", "Nothing waits to be agreed to.")
    if pending["fingerprint"] != fingerprint:
        raise ApiError(409, "terms_changed", "The settings have changed since you looked: read them again.")
    if not is_confirmation(typed, pending["terms"]["account"]):
        raise bad_parameter("typed", f"Type {CONFIRM_WORD}, or the last four signs of the account.")
    message = "the bot was told that you agree to real orders"
    return submit_command(OperatorAction.CONFIRM_LIVE, nonce, message, terms=fingerprint)


def pending_consent() -> dict[str, Any] | None:
    """What the bot says that it waits for."""
    with read_bot_database() as connection:
        found = read_bot_state(connection, services().clock.now_ms()).get("live_pending")
    return dict(found) if found else None
