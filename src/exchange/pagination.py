"""Lists that come in pages: our trades, our orders and the funding paid, each read to its end."""

import logging

from src.domain.commands import FetchFills, FetchFunding, FetchOrders
from src.domain.orders import Fill, OrderUpdate, UnrecognizedOrder
from src.domain.positions import Income
from src.exchange import endpoints
from src.exchange.client import AsterClient
from src.exchange.wire import parse_fill, parse_income, read_list, read_orders

log = logging.getLogger("hunter.rest")

_PAGE_SIZE = 1000
_MAX_AGE_MS = 7 * 24 * 60 * 60_000 - 60_000
"""One question may span seven days (Account Trade List); a minute less for clocks that differ."""


def fetch_fills(client: AsterClient, command: FetchFills) -> tuple[Fill, ...]:
    """The trades, oldest first. They name their order by number: ``client_order_id`` is empty."""
    fills: dict[int, Fill] = {}
    parameters = _first_page(client, command)
    while True:
        answer = client.request(endpoints.USER_TRADES, parameters, essential=True)
        page = [parse_fill(each) for each in read_list(answer)]
        fills.update((fill.trade_id, fill) for fill in page)
        if len(page) < _PAGE_SIZE:
            return tuple(fills[trade_id] for trade_id in sorted(fills))
        parameters = {**_page_of(command.symbol), "fromId": str(max(fills) + 1)}


def fetch_orders(
    client: AsterClient, command: FetchOrders
) -> tuple[tuple[OrderUpdate, ...], tuple[UnrecognizedOrder, ...]]:
    """The orders, oldest first, ended ones too (All Orders), and those told in words we do not know; what ended
    unfilled over a week ago is not told."""
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
        log.warning("trades asked for from too long ago symbol=%s since=%s", command.symbol, command.since_ms)
    return {**_page_of(command.symbol), "startTime": str(since_ms)}


def _clamp_start(client: AsterClient, since_ms: int) -> int:
    """No earlier than may be asked for, and no later than now: an instant of a clock that is ahead is refused."""
    now_ms = client.now_ms()
    return min(max(since_ms, now_ms - _MAX_AGE_MS), now_ms)


def _page_of(symbol: str) -> dict[str, str]:
    return {"symbol": symbol, "limit": str(_PAGE_SIZE)}


def fetch_funding(client: AsterClient, command: FetchFunding) -> tuple[Income, ...]:
    """Every funding since the instant, oldest first (Get Income History, FUNDING_FEE)."""
    incomes: dict[tuple[int, str], Income] = {}
    since_ms = min(command.since_ms, client.now_ms())  # ours may be ahead, and what is to come cannot be asked for
    while True:
        parameters = {"incomeType": "FUNDING_FEE", "startTime": str(since_ms), "limit": str(_PAGE_SIZE)}
        page = [parse_income(each) for each in read_list(client.request(endpoints.INCOME, parameters, essential=True))]
        known = len(incomes)
        incomes.update(((income.transaction_id, income.symbol), income) for income in page)
        # Pages overlap in the last millisecond; one that brings nothing new would be asked for ever.
        if len(page) < _PAGE_SIZE or len(incomes) == known:
            return tuple(sorted(incomes.values(), key=lambda income: income.at))
        since_ms = max(income.at for income in page)
