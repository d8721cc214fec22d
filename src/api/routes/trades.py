"""The trade list, the details of one trade, and the CSV export."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import request_args, schemas
from src.api.errors import not_found
from src.api.round_trips import RoundTrip, round_trips
from src.api.serialization import csv_attachment
from src.api.services import read_bot_database, services
from src.api.timeline import build_timeline
from src.database.queries import market, orders
from src.database.queries.fills import FillRecord, FundingRecord, external_income, fills, fills_of, funding
from src.database.queries.orders import OrderRow
from src.domain.numbers import ZERO

blueprint = Blueprint("trades", __name__)

_MAX_CSV_ROWS = 100_000
_DEFAULT_HOURS = 168


@blueprint.get("/api/trades")
def list_trades() -> Response:
    """Filled orders, newest first; all orders with ``include_all``, or those with a ``status``."""
    with read_bot_database() as connection:
        return jsonify(_query_trades(connection, request_args.limit_arg()))


@blueprint.get("/api/trades.csv")
def export_trades() -> Response:
    with read_bot_database() as connection:
        return csv_attachment("trades.csv", _query_trades(connection, _MAX_CSV_ROWS))


@blueprint.get("/api/trades/<name>")
def show_trade(name: str) -> dict[str, Any]:
    """A trade by its row id, client order id, or exchange order id."""
    with read_bot_database() as connection:
        row = orders.find_order(connection, name)
        if row is None:
            raise not_found("No such trade.")
        return _details(connection, row)


def _query_trades(connection: Connection, limit: int) -> list[dict[str, Any]]:
    rows = orders.orders(
        connection,
        request_args.since_arg(services().clock.now_ms(), _DEFAULT_HOURS),
        limit,
        request_args.symbol_arg(),
        request_args.enum_arg("status", orders.STATUSES),
        include_all=request_args.bool_arg("include_all"),
    )
    return _trade_rows(connection, rows)


def _trade_rows(connection: Connection, rows: Sequence[OrderRow]) -> list[dict[str, Any]]:
    own_fills: dict[str, list[FillRecord]] = defaultdict(list)
    for fill in fills_of(connection, [row.client_order_id for row in rows]):
        own_fills[fill.client_order_id].append(fill)
    fees = _funding_by_entry(connection, rows)
    return [schemas.trade_row(row, own_fills[row.client_order_id], fees.get(row.client_order_id, ZERO)) for row in rows]


def _funding_by_entry(connection: Connection, rows: Iterable[OrderRow]) -> dict[str, Decimal]:
    """The funding of each position, by the client order id of the entry that opened it."""
    payments = funding(connection)
    symbols = {row.symbol for row in rows} & {payment.symbol for payment in payments}
    found: dict[str, Decimal] = defaultdict(Decimal)
    for symbol in symbols:
        for trip in _trips(connection, symbol, payments):
            found[trip.entry_client_order_id] += trip.funding_fee
    return found


def _trips(connection: Connection, symbol: str, payments: Sequence[FundingRecord]) -> list[RoundTrip]:
    """The round trips of paper and live trading, computed separately."""
    recorded, by_hand = fills(connection, symbol=symbol), external_income(connection)
    return [
        trip
        for mode in (False, True)
        for trip in round_trips(
            [fill for fill in recorded if fill.is_simulated == mode],
            [each for each in payments if each.symbol == symbol and each.is_simulated == mode],
            [each for each in by_hand if each.symbol == symbol and each.is_simulated == mode],
        )
    ]


def _details(connection: Connection, row: OrderRow) -> dict[str, Any]:
    entry = row.entry_client_order_id or row.client_order_id
    relatives = orders.order_group(connection, entry)
    names = [each.client_order_id for each in relatives]
    is_entry = row.client_order_id == entry
    recorded = fills_of(connection, names)
    counted = recorded if is_entry else [fill for fill in recorded if fill.client_order_id == row.client_order_id]
    own_trips = _trips_of(connection, row.symbol, entry) if is_entry else []
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


def _trips_of(connection: Connection, symbol: str, entry: str) -> list[RoundTrip]:
    payments = [each for each in funding(connection) if each.symbol == symbol]
    return [trip for trip in _trips(connection, symbol, payments) if trip.entry_client_order_id == entry]
