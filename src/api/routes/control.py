"""Operator commands: pause, resume, halt, flatten, cancel an entry, restart, and confirm live trading."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint

from src.api import request_args
from src.api.bot_database import read_bot_state
from src.api.errors import ApiError, bad_parameter, not_found
from src.api.services import read_bot_database, services, submit_command
from src.database.queries import orders
from src.domain.commands import CONFIRM_WORD, OperatorAction, is_confirmation
from src.domain.enums import Network, OrderRole, mode_label

blueprint = Blueprint("control", __name__)

_ACTION_MESSAGES = {
    OperatorAction.PAUSE: "pausing entries",
    OperatorAction.RESUME: "resuming entries",
    OperatorAction.HALT: "halting",
    OperatorAction.FLATTEN: "cancelling entries and closing all positions",
    OperatorAction.CANCEL_ENTRY: "cancelling the entry",
    OperatorAction.RESTART: "restarting the bot",
}


@blueprint.post("/api/control")
def post_command() -> tuple[dict[str, Any], int]:
    """``{action, nonce}``, with ``client_order_id`` to cancel an entry. A nonce is executed once."""
    document = request_args.json_body()
    action = _action(document.get("action"))
    nonce = _required_nonce(document)
    details = (
        _open_entry(request_args.str_field(document, "client_order_id"))
        if action is OperatorAction.CANCEL_ENTRY
        else {}
    )
    return submit_command(action, nonce, _ACTION_MESSAGES[action], **details)


def _required_nonce(document: Mapping[str, Any]) -> str:
    nonce = request_args.nonce_field(document)
    if nonce is None:
        raise bad_parameter("nonce", "nonce is required (idempotency key).")
    return nonce


def _action(value: Any) -> OperatorAction:
    for action in _ACTION_MESSAGES:
        if value == action.value:
            return action
    raise bad_parameter("action", f"action must be one of {', '.join(_ACTION_MESSAGES)}.")


def _open_entry(client_order_id: str) -> dict[str, str]:
    """The details of an open entry. Other orders, such as protective ones, cannot be cancelled."""
    with read_bot_database() as connection:
        row = orders.orders_by_id(connection, [client_order_id]).get(client_order_id)
    if row is None or row.role != OrderRole.ENTRY or row.order_status not in orders.OPEN_STATUSES:
        raise not_found("No such open entry.")
    return {"client_order_id": client_order_id, "symbol": row.symbol}


@blueprint.get("/api/live-consent")
def show_pending() -> dict[str, Any]:
    """``{pending}``: the terms to confirm, their fingerprint, mode and risk increases; None if there are none."""
    return {"pending": pending_consent(), "word": CONFIRM_WORD}


@blueprint.post("/api/live-consent/confirm")
def confirm_live() -> tuple[dict[str, Any], int]:
    """``{fingerprint, typed, nonce}``: confirm the terms that were shown; 409 if they have changed."""
    document = request_args.json_body()
    fingerprint, typed = request_args.str_field(document, "fingerprint"), request_args.str_field(document, "typed")
    nonce = _required_nonce(document)
    pending = pending_consent()
    if pending is None:
        raise ApiError(409, "nothing_pending", "Nothing to confirm.")
    if pending["fingerprint"] != fingerprint:
        raise ApiError(409, "terms_changed", "The settings have changed. Check the new terms and confirm again.")
    if not is_confirmation(typed, pending["terms"]["account"]):
        raise bad_parameter("typed", f"Type {CONFIRM_WORD}, or the last four characters of the account.")
    return submit_command(OperatorAction.CONFIRM_LIVE, nonce, "live trading confirmed", terms_fingerprint=fingerprint)


def pending_consent() -> dict[str, Any] | None:
    """The live consent that the bot waits for, with the trading mode it is for."""
    with read_bot_database() as connection:
        found = read_bot_state(connection, services().clock.now_ms()).get("live_consent_pending")
    if not found:
        return None
    return {**found, "mode": mode_label(Network(found["terms"]["network"]), is_simulated=False)}
