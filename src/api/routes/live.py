"""Going live: what waits for a person's word, and the word itself."""

from typing import Any

from flask import Blueprint

from src.api import parameters
from src.api.asking import ask_bot
from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading
from src.api.errors import ApiError, bad_parameter
from src.domain.consent import WORD, is_agreement
from src.domain.messages import OperatorAction

blueprint = Blueprint("live", __name__)


@blueprint.get("/api/live")
def show_pending() -> dict[str, Any]:
    """``{pending}``: the terms, their fingerprint and what rises; None where nothing waits."""
    return {"pending": pending(), "word": WORD}


@blueprint.post("/api/live/confirm")
def confirm() -> tuple[dict[str, Any], int]:
    """``{fingerprint, typed, nonce}``: agree to the terms that were shown. 409 where they are others by now."""
    document = parameters.body()
    fingerprint, typed = parameters.text_in(document, "fingerprint"), parameters.text_in(document, "typed")
    nonce = parameters.nonce(document)
    if nonce is None:
        raise bad_parameter("nonce", "nonce is missing: a name of your own for this wish, so that it is done once.")
    waiting = pending()
    if waiting is None:
        raise ApiError(409, "nothing_pending", "Nothing waits to be agreed to.")
    if waiting["fingerprint"] != fingerprint:
        raise ApiError(409, "terms_changed", "The settings have changed since you looked: read them again.")
    if not is_agreement(typed, waiting["terms"]["account"]):
        raise bad_parameter("typed", f"Type {WORD}, or the last four signs of the account.")
    message = "the bot was told that you agree to real orders"
    return ask_bot(OperatorAction.CONFIRM_LIVE, nonce, message, terms=fingerprint)


def pending() -> dict[str, Any] | None:
    """What the bot says that it waits for."""
    with reading() as connection:
        found = read_bot_state(connection, dashboard().clock.now_ms()).of("live_pending")
    return dict(found) if found else None
