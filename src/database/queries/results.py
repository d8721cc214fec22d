"""Results by day and closed positions, up to date with the records: what is stale is made again in memory."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, func, select

from src.database.db import older_than
from src.database.models import SIMULATED, PositionRow
from src.database.queries.orders import OrderRow
from src.database.results import Grouped, Result, day_result, group, recompute, stale_symbols
from src.database.round_trips import RoundTrip
from src.database.tables.history import DailyResultRow, RoundTripRow
from src.domain.positions import Protection

_IDS_PER_QUERY = 10_000  # SQLite allows 32,766 values in a statement


def daily_results(connection: Connection, since_day: int, *, is_simulated: bool) -> list[tuple[int, str, Result]]:
    """Return the day (ms UTC), the symbol and its result, from the start of a day on; in no certain order."""
    stale = stale_symbols(connection, is_simulated=is_simulated).items()
    fresh = [recompute(connection, symbol, since, is_simulated=is_simulated) for symbol, since in stale]
    first_days = {each.symbol: each.first_day for each in fresh}
    row = DailyResultRow
    query = select(row.__table__).where(row.is_simulated == is_simulated, row.day >= since_day)
    found = [
        (each.day, each.symbol, day_result(each))
        for each in connection.execute(query)
        if each.symbol not in first_days or each.day < first_days[each.symbol]
    ]
    found += [(day, each.symbol, result) for each in fresh for day, result in each.days.items() if day >= since_day]
    return found


def closed_trips(
    connection: Connection, limit: int, symbol: str | None = None, before: int | None = None, *, is_simulated: bool
) -> list[dict[str, Any]]:
    """Return closed positions, the last closed first; ``before`` is the id of the last one of the previous page.

    A position follows about a second after it was closed, once the bot has stored it here.
    """
    row = RoundTripRow
    query = select(row.__table__).where(row.is_simulated == is_simulated)
    if symbol is not None:
        query = query.where(row.symbol == symbol)
    if before is not None:
        query = query.where(older_than(connection, row.closed_at, row.id, before))
    newest_first = query.order_by(row.closed_at.desc(), row.id.desc()).limit(limit)
    return [dict(each) for each in connection.execute(newest_first).mappings()]


def funding_by_entry(connection: Connection, orders: Collection[OrderRow]) -> dict[str, Decimal]:
    """Return the funding of the positions that these orders opened, by their client order ids."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    changing = _changing_trips(connection, {(order.symbol, order.status == SIMULATED) for order in orders})
    for each in _stored_trips(connection, [order.client_order_id for order in orders]):
        grouped = changing.get((each.symbol, each.is_simulated))
        if grouped is None or not grouped.replaces(each):
            found[each.entry_client_order_id] += each.funding_fee
    for grouped in changing.values():
        for trip in grouped.trips:
            found[trip.entry_client_order_id] += trip.funding_fee
    return found


def trips_of_entry(connection: Connection, entry: OrderRow) -> list[RoundTrip]:
    """Return the positions that an order opened, open or closed, with their payments and manual results."""
    is_simulated = entry.status == SIMULATED
    stored = _stored_trips(connection, [entry.client_order_id])
    stale_since = stale_symbols(connection, is_simulated=is_simulated).get(entry.symbol)
    if stored and (stale_since is None or all(each.closed_at < stale_since for each in stored)):
        opened_at, closed_at = min(each.opened_at for each in stored), max(each.closed_at for each in stored)
        grouped = group(connection, entry.symbol, opened_at, is_simulated=is_simulated, until_ms=closed_at)
    else:
        grouped = group(connection, entry.symbol, entry.created_at, is_simulated=is_simulated)
    return [trip for trip in grouped.trips if trip.entry_client_order_id == entry.client_order_id]


def _stored_trips(connection: Connection, entries: list[str]) -> list[Row[Any]]:
    row = RoundTripRow
    found: list[Row[Any]] = []
    for start in range(0, len(entries), _IDS_PER_QUERY):
        part = row.entry_client_order_id.in_(entries[start : start + _IDS_PER_QUERY])
        found += connection.execute(select(row.__table__).where(part)).all()
    return found


def _changing_trips(connection: Connection, keys: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], Grouped]:
    """The trips of symbols with new records or open positions, by symbol and mode."""
    found: dict[tuple[str, bool], Grouped] = {}
    position, by_mode = PositionRow, defaultdict[bool, set[str]](set)
    for symbol, is_simulated in keys:
        by_mode[is_simulated].add(symbol)
    for is_simulated, symbols in by_mode.items():
        own = (
            position.is_simulated == is_simulated,
            position.protection != Protection.EXTERNAL,
            position.opened_at > 0,
        )
        opened = connection.execute(
            select(position.symbol, func.min(position.opened_at).label("since")).where(*own).group_by(position.symbol)
        )
        since = {row.symbol: row.since for row in opened}
        for symbol, at in stale_symbols(connection, is_simulated=is_simulated).items():
            since[symbol] = min(at, since.get(symbol, at))
        for symbol in symbols & since.keys():
            found[symbol, is_simulated] = group(connection, symbol, since[symbol], is_simulated=is_simulated)
    return found
