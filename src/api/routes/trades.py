"""The trade list, the details of one trade, and the CSV export."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import request_args, schemas
from src.api.bot_database import BotDatabase
from src.api.errors import not_found
from src.api.serialization import csv_attachment
from src.api.services import read_bot_database, services
from src.api.timeline import build_timeline
from src.database.queries import market, orders
from src.database.queries.account import is_paper_mode
from src.database.queries.fills import FillRecord, fills_of
from src.database.queries.orders import OrderRow
from src.database.queries.results import closed_trips, funding_by_entry, trips_of_entry
from src.domain.numbers import ZERO

blueprint = Blueprint("trades", __name__)

_CSV_PAGE = 1_000
_DEFAULT_HOURS = 168


@blueprint.get("/api/trades")
def list_trades() -> Response:
    """Filled orders, newest first; all orders with ``include_all``, or those with a ``status``.

    ``before`` is the id of the last row of the previous page.
    """
    with read_bot_database() as connection:
        rows = _trade_filter()(connection, limit=request_args.limit_arg(), before=request_args.before_arg())
        return jsonify(_trade_rows(connection, rows))


@blueprint.get("/api/trades.csv")
def export_trades() -> Response:
    return csv_attachment("trades.csv", _every_trade(services().bot_database, _trade_filter()))


@blueprint.get("/api/round-trips")
def list_round_trips() -> Response:
    """Closed positions, the last closed first; ``before`` is the id of the last row of the previous page."""
    with read_bot_database() as connection:
        rows = closed_trips(
            connection,
            request_args.limit_arg(),
            request_args.symbol_arg(),
            request_args.before_arg(),
            is_simulated=is_paper_mode(connection),
        )
    return jsonify(rows)


@blueprint.get("/api/trades/<name>")
def show_trade(name: str) -> dict[str, Any]:
    """A trade by its row id, client order id, or exchange order id."""
    with read_bot_database() as connection:
        row = orders.find_order(connection, name)
        if row is None:
            raise not_found("No such trade.")
        return _details(connection, row)


def _trade_filter() -> Callable[..., list[OrderRow]]:
    """The query for the trades that the request asks for; it lacks the page."""
    return partial(
        orders.orders,
        since_ms=request_args.since_arg(services().clock.now_ms(), _DEFAULT_HOURS),
        symbol=request_args.symbol_arg(),
        status=request_args.enum_arg("status", orders.STATUSES),
        include_all=request_args.bool_arg("include_all"),
    )


def _every_trade(database: BotDatabase, query: Callable[..., list[OrderRow]]) -> Iterator[dict[str, Any]]:
    """All trades, page by page: each page has a transaction of its own, since a long one lets the log grow."""
    before = None
    while True:
        with database.read_transaction() as connection:
            rows = query(connection, limit=_CSV_PAGE, before=before)
            found = _trade_rows(connection, rows)
        yield from found
        if len(rows) < _CSV_PAGE:
            return
        before = rows[-1].id


def _trade_rows(connection: Connection, rows: Sequence[OrderRow]) -> list[dict[str, Any]]:
    own_fills: dict[str, list[FillRecord]] = defaultdict(list)
    for fill in fills_of(connection, [row.client_order_id for row in rows]):
        own_fills[fill.client_order_id].append(fill)
    fees = funding_by_entry(connection, rows)
    return [schemas.trade_row(row, own_fills[row.client_order_id], fees.get(row.client_order_id, ZERO)) for row in rows]


def _details(connection: Connection, row: OrderRow) -> dict[str, Any]:
    entry = row.entry_client_order_id or row.client_order_id
    relatives = orders.order_group(connection, entry)
    names = [each.client_order_id for each in relatives]
    is_entry = row.client_order_id == entry
    recorded = fills_of(connection, names)
    counted = recorded if is_entry else [fill for fill in recorded if fill.client_order_id == row.client_order_id]
    own_trips = trips_of_entry(connection, row) if is_entry and recorded else []
    payments = [payment for trip in own_trips for payment in trip.payments]
    by_hand = [income for trip in own_trips for income in trip.external]
    decision = market.decision_for(connection, entry)
    (own_row,) = _trade_rows(connection, [row])
    return {
        **own_row,
        "pnl_breakdown": schemas.pnl_breakdown(counted, payments, by_hand),
        "related_trades": _trade_rows(connection, [each for each in relatives if each.id != row.id]),
        "order_relationships": orders.relationships(connection, entry),
        "decision": decision,
        "timeline": build_timeline(decision, relatives, orders.status_history(connection, names), recorded),
    }
