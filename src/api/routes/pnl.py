"""Results by day and by symbol."""

from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import parameters
from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading
from src.api.pnl_tracker import PnlTracker

blueprint = Blueprint("pnl", __name__)

_MOST_DAYS = 366 * 5


@blueprint.get("/api/pnl/stats")
def show_results() -> dict[str, Any]:
    now_ms = dashboard().clock.now_ms()
    with reading() as connection:
        return _tracker(connection, now_ms).stats(_days(), now_ms)


@blueprint.get("/api/pnl/symbols")
def list_symbols() -> Response:
    now_ms = dashboard().clock.now_ms()
    with reading() as connection:
        return jsonify(_tracker(connection, now_ms).by_symbol(_days(), now_ms))


def _days() -> int:
    return parameters.whole("days", 7, 1, _MOST_DAYS)


def _tracker(connection: Connection, now_ms: int) -> PnlTracker:
    """The books of the mode the bot runs in."""
    return PnlTracker(connection, is_simulated=bool(read_bot_state(connection, now_ms).is_simulated))
