"""Paginated histories, read to the end: account trades, orders and income."""

import logging

from src.domain.clock import DAY_MS, MINUTE_MS
from src.domain.commands import FetchFills, FetchIncome, FetchOrders
from src.domain.errors import ProtocolError
from src.domain.orders import Fill, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Income
from src.exchange import endpoints
from src.exchange.client import AsterClient
from src.exchange.wire import parse_fill, parse_income, read_list, read_orders

log = logging.getLogger("hunter.rest")

_PAGE_SIZE = 1000
_MAX_AGE_MS = 7 * DAY_MS - MINUTE_MS
"""A request may span seven days (Account Trade List); one minute less allows for clock differences."""
_MAX_INCOME_AGE_MS = 4 * _MAX_AGE_MS


def fetch_fills(client: AsterClient, command: FetchFills) -> tuple[tuple[Fill, ...], tuple[str, ...]]:
    """Return the trades, oldest first. Trades carry only the exchange's order id: ``client_order_id`` is empty.

    A trade that cannot be read must not lose the others: what is wrong with each is returned separately.
    """
    fills: dict[int, Fill] = {}
    problems: list[str] = []
    parameters = _first_page(client, command)
    while True:
        page = read_list(client.request(endpoints.USER_TRADES, parameters, essential=True))
        known = len(fills)
        for each in page:
            try:
                fill = parse_fill(each)
                fills[fill.trade_id] = fill
            except ProtocolError as error:
                problems.append(f"trade list: {error}")
        if len(page) < _PAGE_SIZE or len(fills) == known:
            return tuple(fills[trade_id] for trade_id in sorted(fills)), tuple(problems)
        parameters = {**_page_of(command.symbol), "fromId": str(max(fills) + 1)}


def fetch_orders(
    client: AsterClient, command: FetchOrders
) -> tuple[tuple[OrderUpdate, ...], tuple[UnrecognizedOrder, ...]]:
    """Return the orders, closed ones included (All Orders), and those with unrecognized values; each oldest first.

    The exchange omits orders that ended unfilled more than seven days ago.
    """
    orders: dict[int, OrderUpdate | UnrecognizedOrder] = {}
    since_ms = _clamp_start(client, command.since_ms)
    parameters = {**_page_of(command.symbol), "startTime": str(since_ms)}
    while True:
        understood, unrecognized = read_orders(client.request(endpoints.ALL_ORDERS, parameters, essential=True))
        page: list[OrderUpdate | UnrecognizedOrder] = [*understood, *unrecognized]
        orders.update((order.order_id, order) for order in page)
        if len(page) < _PAGE_SIZE:
            ordered = [orders[number] for number in sorted(orders)]
            return (
                tuple(each for each in ordered if isinstance(each, OrderUpdate)),
                tuple(each for each in ordered if isinstance(each, UnrecognizedOrder)),
            )
        parameters = {**_page_of(command.symbol), "orderId": str(max(orders) + 1)}


def _first_page(client: AsterClient, command: FetchFills) -> dict[str, str]:
    if command.from_trade_id is not None:
        return {**_page_of(command.symbol), "fromId": str(command.from_trade_id)}
    since_ms = _clamp_start(client, command.since_ms)
    if command.since_ms < since_ms:
        log.warning("trade history limited to seven days symbol=%s since=%s", command.symbol, command.since_ms)
    return {**_page_of(command.symbol), "startTime": str(since_ms)}


def _clamp_start(client: AsterClient, since_ms: int) -> int:
    """Limit a start time to the last seven days and to now: the exchange rejects a start in the future."""
    now_ms = client.now_ms()
    return min(max(since_ms, now_ms - _MAX_AGE_MS), now_ms)


def _page_of(symbol: str) -> dict[str, str]:
    return {"symbol": symbol, "limit": str(_PAGE_SIZE)}


def fetch_income(client: AsterClient, command: FetchIncome) -> tuple[tuple[Income, ...], tuple[str, ...]]:
    """Return the income of one type since ``since_ms``, oldest first (Get Income History).

    More than seven days are read in parts, as the other histories allow no more, and at most four weeks. An entry that
    cannot be read must not lose the others: what is wrong with each is returned separately.
    """
    incomes: dict[tuple[int, str], Income] = {}
    problems: list[str] = []
    now_ms = client.now_ms()
    since_ms = max(command.since_ms, now_ms - _MAX_INCOME_AGE_MS)
    since_ms = min(since_ms, now_ms)  # a fast local clock must not give a start in the future
    while since_ms < now_ms - _MAX_AGE_MS:
        problems += _read_incomes(client, command, incomes, since_ms, since_ms + _MAX_AGE_MS)
        since_ms += _MAX_AGE_MS
    problems += _read_incomes(client, command, incomes, since_ms, None)
    return tuple(sorted(incomes.values(), key=lambda income: income.paid_at)), tuple(problems)


def _read_incomes(
    client: AsterClient, command: FetchIncome, found: dict[tuple[int, str], Income], since_ms: int, until_ms: int | None
) -> list[str]:
    """Read the pages between two instants, both included; None reads to the end. Returns what could not be read."""
    problems: list[str] = []
    fixed = {"incomeType": command.type.value, "limit": str(_PAGE_SIZE)}
    fixed |= {"symbol": command.symbol} if command.symbol else {}
    fixed |= {"endTime": str(until_ms)} if until_ms else {}
    while True:
        parameters = {**fixed, "startTime": str(since_ms)}
        page = read_list(client.request(endpoints.INCOME, parameters, essential=True))
        known = len(found)
        for each in page:
            try:
                income = parse_income(each)
                found[income.transaction_id, income.symbol] = income
            except ProtocolError as error:
                problems.append(f"income history: {error}")
        # Pages overlap in their last millisecond: without this check the last full page would repeat for ever.
        if len(page) < _PAGE_SIZE or len(found) == known:
            return problems
        since_ms = max(income.paid_at for income in found.values())
