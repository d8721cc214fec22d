"""The journal, read in pages and followed live."""

from flask import Blueprint, Response, jsonify, request

from src.api import parameters
from src.api.dashboard import dashboard, reading
from src.database.queries.journal import journal_after, latest_journal

blueprint = Blueprint("journal", __name__)

_LARGEST_ID = 2**63 - 1
KINDS = (
    "liquidation",
    "decision",
    "order",
    "fill",
    "protection",
    "position",
    "account",
    "state",
    "alert",
    "settings",
    "command",
)


@blueprint.get("/api/journal")
def list_entries() -> Response:
    """Oldest first: what follows ``after``, or without it the newest; of some kinds where ``kind`` names them."""
    kinds = parameters.choices("kind", KINDS)
    with reading() as connection:
        if "after" in request.args:
            entries = journal_after(connection, parameters.whole("after", 0, 0, _LARGEST_ID), parameters.limit(), kinds)
        else:
            entries = latest_journal(connection, parameters.limit(), kinds)
    return jsonify([entry.shape() for entry in entries])


@blueprint.get("/api/stream")
def follow() -> Response:
    """Server-sent events: ``hello``, what was missed since Last-Event-ID, then the journal as it grows."""
    streams = dashboard().streams
    subscription = streams.join(_last_id())
    is_gone = request.environ.get("waitress.client_disconnected", lambda: False)
    response = Response(streams.read(subscription, is_gone), mimetype="text/event-stream")
    response.call_on_close(lambda: streams.leave(subscription))
    return response


def _last_id() -> int | None:
    """A browser's own header, else ``?after=``; one that is no number counts as none."""
    text = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
