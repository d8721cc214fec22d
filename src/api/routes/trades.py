"""Our orders as a trade list, one of them with everything that belongs to it, and the list as a spreadsheet."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import order_shapes, parameters
from src.api.csv_export import as_attachment
from src.api.dashboard import dashboard, reading
from src.api.errors import not_found
from src.api.round_trips import RoundTrip, round_trips
from src.api.timeline import timeline
from src.database.queries import market, orders
from src.database.queries.fills import BookedFill, BookedFunding, fills, fills_of, funding
from src.database.queries.orders import OrderRow

blueprint = Blueprint("trades", __name__)

ZERO = Decimal(0)
_MOST_IN_A_FILE = 100_000
_A_WEEK_IN_HOURS = 168


@blueprint.get("/api/trades")
def list_trades() -> Response:
    """Newest first: the orders that traded; all of them with ``include_all``, or those of one ``status``."""
    with reading() as connection:
        return jsonify(_asked_for(connection, parameters.limit()))


@blueprint.get("/api/trades.csv")
def export_trades() -> Response:
    with reading() as connection:
        return as_attachment("trades.csv", _asked_for(connection, _MOST_IN_A_FILE))


@blueprint.get("/api/trades/<name>")
def show_trade(name: str) -> dict[str, Any]:
    """By our row id, the client order id or the exchange's id."""
    with reading() as connection:
        row = orders.find_order(connection, name)
        if row is None:
            raise not_found("There is no trade of that name.")
        return _details(connection, row)


def _asked_for(connection: Connection, limit: int) -> list[dict[str, Any]]:
    rows = orders.orders(
        connection,
        parameters.since(dashboard().clock.now_ms(), _A_WEEK_IN_HOURS),
        limit,
        parameters.symbol(),
        parameters.choice("status", orders.STATUSES),
        include_all=parameters.flag("include_all"),
    )
    return _shapes(connection, rows)


def _shapes(connection: Connection, rows: Sequence[OrderRow]) -> list[dict[str, Any]]:
    own_fills: dict[str, list[BookedFill]] = defaultdict(list)
    for fill in fills_of(connection, [row.client_order_id for row in rows]):
        own_fills[fill.client_order_id].append(fill)
    fees = _funding_by_entry(connection, rows)
    return [
        order_shapes.trade(row, own_fills[row.client_order_id], fees.get(row.client_order_id, ZERO)) for row in rows
    ]


def _funding_by_entry(connection: Connection, rows: Iterable[OrderRow]) -> dict[str, Decimal]:
    """Funding is paid by a position: it is shown with the entry that opened it."""
    payments = funding(connection)
    symbols = {row.symbol for row in rows} & {payment.symbol for payment in payments}
    found: dict[str, Decimal] = defaultdict(Decimal)
    for symbol in symbols:
        for trip in _trips(connection, symbol, payments):
            found[trip.entry] += trip.funding_fee
    return found


def _trips(connection: Connection, symbol: str, payments: Sequence[BookedFunding]) -> list[RoundTrip]:
    """Those on paper and the real ones, neither mixed into the other."""
    booked = fills(connection, symbol=symbol)
    return [
        trip
        for mode in (False, True)
        for trip in round_trips(
            [fill for fill in booked if fill.is_simulated == mode],
            [each for each in payments if each.symbol == symbol and each.is_simulated == mode],
        )
    ]


def _details(connection: Connection, row: OrderRow) -> dict[str, Any]:
    entry = row.parent_order_id or row.client_order_id
    relatives = orders.family(connection, entry)
    names = [each.client_order_id for each in relatives]
    is_entry = row.client_order_id == entry
    booked = fills_of(connection, names)
    counted = booked if is_entry else [fill for fill in booked if fill.client_order_id == row.client_order_id]
    paid = _payments_of(connection, row.symbol, entry) if is_entry else []
    decision = market.decision_of(connection, entry)
    (shape,) = _shapes(connection, [row])
    return {
        **shape,
        "pnl_breakdown": order_shapes.breakdown(counted, paid),
        "related_trades": _shapes(connection, [each for each in relatives if each.id != row.id]),
        "order_relationships": orders.relationships(connection, entry),
        "decision": decision,
        "timeline": timeline(decision, relatives, orders.lives(connection, names), booked),
    }


def _payments_of(connection: Connection, symbol: str, entry: str) -> list[BookedFunding]:
    payments = [each for each in funding(connection) if each.symbol == symbol]
    own = [trip for trip in _trips(connection, symbol, payments) if trip.entry == entry]
    return [payment for trip in own for payment in trip.payments]
