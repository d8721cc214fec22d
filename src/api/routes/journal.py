"""The journal: pages of entries, and a live event stream."""

import re

from flask import Blueprint, Response, jsonify, request

from src.api import request_args
from src.api.services import read_bot_database, services
from src.database.queries.account import journal_after, latest_journal

blueprint = Blueprint("journal", __name__)

CLIENT_HEADER = "X-Hunter-Client"
_CLIENT_NAME = re.compile(r"[0-9a-f]{32}")
_MAX_ID = 2**63 - 1
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
    """Entries after the id ``after``, else the newest ones, oldest first; ``kind`` filters by kinds.

    ``before`` gives those before an id: the page that precedes an earlier answer.
    """
    kinds = request_args.enum_list_arg("kind", KINDS)
    with read_bot_database() as connection:
        if "after" in request.args:
            entries = journal_after(
                connection, request_args.int_arg("after", 0, 0, _MAX_ID), request_args.limit_arg(), kinds
            )
        else:
            entries = latest_journal(connection, request_args.limit_arg(), kinds, request_args.before_arg())
    return jsonify([entry.to_dict() for entry in entries])


@blueprint.get("/api/stream")
def stream_events() -> Response:
    """Server-sent events: ``hello``, the entries missed since Last-Event-ID, then new entries."""
    event_hub = services().event_hub
    subscription = event_hub.subscribe(_last_id(), _client())
    is_disconnected = request.environ.get("waitress.client_disconnected", lambda: False)
    events = map(services().hide_home, event_hub.read(subscription, is_disconnected))
    response = Response(events, mimetype="text/event-stream")
    response.call_on_close(lambda: event_hub.unsubscribe(subscription))
    return response


def _client() -> str:
    """Who opens the stream: the name that a browser made up for itself, else the address."""
    name = request.headers.get(CLIENT_HEADER, "")
    return name if _CLIENT_NAME.fullmatch(name) else str(request.remote_addr)


def _last_id() -> int | None:
    """The Last-Event-ID header, else ``?after=``; None if it is not a number."""
    text = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
