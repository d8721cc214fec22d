"""Order endpoints: place, modify, query and cancel, single and in batches (Account/Trades Endpoints)."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar, cast
from zlib import crc32

from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderUpdate
from src.engine.execution import Modification
from src.exchange.wire import Body, ErrorBody, render_error, render_order
from src.sandbox.exchange import SandboxExchange
from src.sandbox.faults import FaultKind
from src.sandbox.rest.auth import Security
from src.sandbox.rest.order_parameters import (
    NEW_ORDER_PARAMETERS,
    is_result_requested,
    read_new_order,
    read_optional_symbol,
    read_order_ids,
    read_symbol,
)
from src.sandbox.rest.parameters import INVALID, MANDATORY, Parameters, read_period
from src.sandbox.rest.routes import Route, by_symbol

Item = TypeVar("Item")
_MAX_BATCH = 5
_MAX_CANCEL_BATCH = 10
_NO_SUCH_ORDER = -2013
_IDS = ("symbol", "orderId", "origClientOrderId")


def _place(exchange: SandboxExchange, parameters: Parameters) -> Body:
    """Place an order. ACK returns it as accepted, RESULT after any immediate fill (newOrderRespType)."""
    wants_result = is_result_requested(parameters)
    order = exchange.account.submit(read_new_order(parameters, exchange.market.symbols, exchange.engine.hedge_mode))
    return _render(exchange, exchange.account.find(order.symbol, order.order_id, None) if wants_result else order)


def _place_batch(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    """Place each order separately; results come in the order asked (Place Multiple Orders).

    The orders are processed concurrently, which guarantees no order: here, one that has nothing to do with the list.
    """
    orders = _list(parameters, "batchOrders")
    if not 1 <= len(orders) <= _MAX_BATCH:
        raise Rejected(-4082, f"Invalid number of batch place orders: {len(orders)}.")
    if not all(isinstance(order, dict) for order in orders):
        raise Rejected(INVALID, "Data sent for parameter 'batchOrders' is not valid.")
    listed = [cast(dict[str, object], order) for order in orders]
    processed = sorted(range(len(listed)), key=lambda index: crc32(_client_order_id(listed[index]).encode()))
    results = {index: _result_or_error(_place_one, exchange, listed[index]) for index in processed}
    return [results[index] for index in range(len(listed))]


def _place_one(exchange: SandboxExchange, order: dict[str, object]) -> Body:
    fault = exchange.faults.consume(FaultKind.REJECTED, "POST", _client_order_id(order))
    if fault is not None:
        raise Rejected(-fault.value, "Rejected by a fault.")
    parameters = Parameters({name: _text(value) for name, value in order.items() if value is not None})
    parameters.expect_only(NEW_ORDER_PARAMETERS)
    return _place(exchange, parameters)


def _client_order_id(order: dict[str, object]) -> str:
    return str(order.get("newClientOrderId") or "")


def _listed_orders(batch: str) -> list[object]:
    """Return the entries of the parameter of a batch; empty if it is not a list."""
    try:
        orders = json.loads(batch)
    except (ValueError, RecursionError):
        return []
    return orders if isinstance(orders, list) else []


def client_order_ids(batch: str) -> list[str]:
    """Return the client order ids in the parameter of a batch."""
    names = [_client_order_id(order) for order in _listed_orders(batch) if isinstance(order, dict)]
    return [name for name in names if name]


def _count_batch(parameters: Parameters) -> int:
    """Return how many orders a batch counts as: each of them, as the document names no exception (Limits)."""
    return max(1, len(_listed_orders(parameters.optional("batchOrders") or "")))


def _text(value: object) -> str:
    """Convert JSON numbers and booleans of a batch to the text of a query string."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _query(exchange: SandboxExchange, parameters: Parameters) -> Body:
    return _render(exchange, _find(exchange, parameters))


def _query_open(exchange: SandboxExchange, parameters: Parameters) -> Body:
    order = _find(exchange, parameters)
    if order.status.is_terminal:
        raise Rejected(_NO_SUCH_ORDER, "Order does not exist.")
    return _render(exchange, order)


def _find(exchange: SandboxExchange, parameters: Parameters) -> OrderUpdate:
    symbol = read_symbol(parameters, exchange.market.symbols)
    return exchange.account.find(symbol, *read_order_ids(parameters))


def _open_orders(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_optional_symbol(parameters, exchange.market.symbols)
    return [
        _render(exchange, order)
        for order in exchange.engine.open_orders(symbol)
        if not exchange.faults.consume(FaultKind.OMITTED_FROM_LIST, "", order.client_order_id)
    ]


def _all_orders(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_symbol(parameters, exchange.market.symbols)
    first = parameters.optional_integer("orderId")
    period = read_period(parameters, exchange.now_ms())
    limit = parameters.limit(default=500, maximum=1000)
    orders = [
        order
        for order in exchange.account.all_orders(symbol)
        if (order.order_id >= first if first is not None else period.contains(exchange.account.created_at(order)))
    ]
    chosen = orders[:limit] if first is not None or period.is_given else orders[-limit:]
    return [_render(exchange, order) for order in chosen]


def _cancel(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    return _render(exchange, exchange.account.cancel(symbol, *read_order_ids(parameters)))


def _modify(exchange: SandboxExchange, parameters: Parameters) -> Body:
    """Modify an order. Price and quantity are mandatory; the order id overrides the client id (Modify Order)."""
    symbol = read_symbol(parameters, exchange.market.symbols)
    modification = Modification(Price(parameters.decimal("price")), Quantity(parameters.decimal("quantity")))
    return _render(exchange, exchange.account.modify(symbol, *read_order_ids(parameters), modification))


def _cancel_batch(exchange: SandboxExchange, parameters: Parameters) -> list[Body]:
    symbol = read_symbol(parameters, exchange.market.symbols)
    numbers = _list(parameters, "orderIdList") if "orderIdList" in parameters else []
    names = _list(parameters, "origClientOrderIdList") if "origClientOrderIdList" in parameters else []
    if not numbers and not names:
        reason = "Param 'origClientOrderIdList' or 'orderIdList' must be sent, but both were empty/null!"
        raise Rejected(MANDATORY, reason)
    if len(numbers) > _MAX_CANCEL_BATCH or len(names) > _MAX_CANCEL_BATCH:
        raise Rejected(-4032, "Exceed maximum cancel order size.")
    if not all(map(_is_number, numbers)) or not all(isinstance(each, str) for each in names):
        raise Rejected(INVALID, "Data sent for parameter 'orderIdList' is not valid.")
    by_number = [(symbol, int(cast(str, number)), None) for number in numbers]
    by_name = [(symbol, None, cast(str, name)) for name in names]
    return [_result_or_error(_cancel_one, exchange, each) for each in by_number or by_name]


def _is_number(value: object) -> bool:
    """Accept a number, or a string of digits as some clients send it."""
    return type(value) is int or (isinstance(value, str) and value.isascii() and value.isdecimal())


def _cancel_one(exchange: SandboxExchange, order: tuple[str, int | None, str | None]) -> Body:
    return _render(exchange, exchange.account.cancel(*order))


def _cancel_all(exchange: SandboxExchange, parameters: Parameters) -> Body:
    exchange.account.cancel_all(read_symbol(parameters, exchange.market.symbols))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _count_down(exchange: SandboxExchange, parameters: Parameters) -> Body:
    symbol = read_symbol(parameters, exchange.market.symbols)
    span_ms = parameters.integer("countdownTime")
    if span_ms < 0:
        raise Rejected(INVALID, "Data sent for parameter 'countdownTime' is not valid.")
    exchange.account.set_countdown(symbol, span_ms)
    return {"symbol": symbol, "countdownTime": str(span_ms)}


def _result_or_error(action: Callable[[SandboxExchange, Item], Body], exchange: SandboxExchange, item: Item) -> Body:
    try:
        return action(exchange, item)
    except Rejected as error:
        return render_error(ErrorBody(error.code, error.reason))


def _list(parameters: Parameters, name: str) -> list[object]:
    """Parse a JSON array with exact numbers."""
    try:
        value = json.loads(parameters.text(name), parse_float=Decimal)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise Rejected(INVALID, f"Data sent for parameter '{name}' is not valid.")
    return value


def _render(exchange: SandboxExchange, order: OrderUpdate) -> Body:
    """Render an order, with its status as the exchange names it."""
    body = render_order(order, exchange.account.created_at(order))
    return {**body, "status": exchange.account.status_word(order)}


def _route(method: str, name: str, action: Callable[[SandboxExchange, Parameters], object], *parameters: str) -> Route:
    return Route(method, (f"/fapi/v1/{name}",), action, Security.SIGNED, parameters=parameters)


ORDER_ROUTES = (
    Route("POST", ("/fapi/v1/order",), _place, Security.SIGNED, parameters=NEW_ORDER_PARAMETERS, orders=1),
    Route("POST", ("/fapi/v1/batchOrders",), _place_batch, Security.SIGNED, 5, ("batchOrders",), orders=_count_batch),
    _route("GET", "order", _query, *_IDS),
    _route("DELETE", "order", _cancel, *_IDS),
    Route("PUT", ("/fapi/v3/order",), _modify, Security.SIGNED, parameters=(*_IDS, "quantity", "price")),
    _route("DELETE", "batchOrders", _cancel_batch, "symbol", "orderIdList", "origClientOrderIdList"),
    _route("DELETE", "allOpenOrders", _cancel_all, "symbol"),
    _route("GET", "openOrder", _query_open, *_IDS),
    Route("GET", ("/fapi/v1/openOrders",), _open_orders, Security.SIGNED, by_symbol(1, 40), ("symbol",)),
    Route(
        "GET",
        ("/fapi/v1/allOrders",),
        _all_orders,
        Security.SIGNED,
        5,
        ("symbol", "orderId", "startTime", "endTime", "limit"),
    ),
    Route("POST", ("/fapi/v1/countdownCancelAll",), _count_down, Security.SIGNED, 10, ("symbol", "countdownTime")),
)
