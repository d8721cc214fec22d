"""The REST app: counts weight, authenticates and responds, in the order of the real exchange."""

import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, request

from src.domain.errors import AuthError, RateLimited, Rejected
from src.exchange.wire import ErrorBody, render_error
from src.sandbox.exchange import SandboxExchange
from src.sandbox.faults import GARBLED_RESPONSES, Fault, FaultKind
from src.sandbox.rest.account_routes import ACCOUNT_ROUTES, V3_ROUTES
from src.sandbox.rest.auth import SignedRequest, authenticate_v1, authenticate_v3
from src.sandbox.rest.control import control_routes
from src.sandbox.rest.market_routes import MARKET_ROUTES, SPOT_ROUTES
from src.sandbox.rest.order_routes import ORDER_ROUTES, client_order_ids
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.routes import Route, is_v3

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ROUTES = (*MARKET_ROUTES, *ORDER_ROUTES, *ACCOUNT_ROUTES, *V3_ROUTES, *SPOT_ROUTES)
_DROP_REPLY = "sandbox.dropped_reply"
_KEY_HEADER = "X-MBX-APIKEY"
_TOO_MANY_REQUESTS = -1003
_TOO_MANY_ORDERS = -1015
_BAD_TIMESTAMP = -1021
_KEY_CODES = (-2014, -2015)
_MAINTENANCE_PAGE = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
_UNKNOWN_PATH = ErrorBody(-1020, "This operation is not supported.")
_UNKNOWN_OUTCOME = ErrorBody(
    -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
)


def create_app(exchange: SandboxExchange, *, allow_faults: bool) -> Flask:
    """Create the app of one exchange; fault injection routes exist only with ``allow_faults``."""
    app = Flask(__name__, static_folder=None)
    for route in ROUTES:
        for path in route.all_paths:
            view = _view(exchange, route, path)
            app.add_url_rule(path, f"{route.method} {path}", view, methods=[route.method])
    app.register_blueprint(control_routes(exchange, allow_faults=allow_faults))
    for status in (404, 405):
        app.register_error_handler(
            status, lambda _error, status=status: _json_response(render_error(_UNKNOWN_PATH), status)
        )
    return app


def drop_replies(app: "WSGIApplication") -> "WSGIApplication":
    """Close the connection without a response if a fault drops the reply."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = app(environ, start_response)
        if environ.get(_DROP_REPLY):
            raise ConnectionAbortedError("the reply is dropped by a fault")  # waitress closes the socket on an OSError
        return body

    return call


def _view(exchange: SandboxExchange, route: Route, path: str) -> Callable[[], Response]:
    def serve() -> Response:
        client_order_id = _parameter("newClientOrderId", "origClientOrderId")
        named = client_order_id or _parameter("symbol")
        subject = f"{path} {named}" if named else path
        delay = exchange.faults.consume(FaultKind.DELAY, route.method, subject)
        if delay:
            exchange.wait(delay.value)
        with exchange.lock:
            for name in _new_orders(route):
                exchange.account.request_log.record_attempt(name)
            response = _answer(exchange, route, subject)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(exchange.limits.used_weight)
            if route.orders:
                response.headers["X-MBX-ORDER-COUNT-1M"] = str(exchange.limits.orders)
        return response

    return serve


def _answer(exchange: SandboxExchange, route: Route, subject: str) -> Response:
    if exchange.is_in_maintenance():
        return Response(_MAINTENANCE_PAGE, 503, content_type="text/html")
    try:
        _apply_faults_before(exchange, route, subject)
        parameters = Parameters.parse(request.query_string.decode(errors="replace"), _body())
        exchange.limits.use_weight(route.weight_of(parameters), exchange.now_ms())
        _authorize(exchange, route, parameters)
        return _apply_faults_after(exchange, route, subject, _json_response(route.action(exchange, parameters)))
    except _FaultResponse as faulted:
        return faulted.response
    except RateLimited as error:
        return _rate_limited(str(error), error.retry_at - exchange.now_ms(), banned=error.banned)
    except AuthError as error:
        if error.code == _BAD_TIMESTAMP:
            exchange.account.request_log.timestamp_rejections.update(_new_orders(route))
        return _rejection(error, 401 if error.code in _KEY_CODES else 400)
    except Rejected as error:
        return _rejection(error, 429 if error.code == _TOO_MANY_ORDERS else 400)


def _authorize(exchange: SandboxExchange, route: Route, parameters: Parameters) -> None:
    query = request.query_string.decode(errors="replace")
    signed = SignedRequest(request.headers.get(_KEY_HEADER), query, _body(), route.method)
    check = authenticate_v3 if is_v3(request.path) else authenticate_v1
    check(route.security, signed, parameters, exchange.keys, exchange.now_ms())
    parameters.expect_only(route.known_parameters(request.path))
    for _ in range(route.orders_of(parameters)):
        if not exchange.limits.use_order(exchange.now_ms()):
            limit = exchange.limits.order_limit
            raise Rejected(_TOO_MANY_ORDERS, f"Too many new orders; current limit is {limit} orders per MINUTE.")


def _new_orders(route: Route) -> list[str]:
    """Return the client order ids of the orders that the request wants to place."""
    if route.method != "POST" or not route.orders:
        return []
    single = _parameter("newClientOrderId")
    return [single] if single else client_order_ids(_parameter("batchOrders"))


def _parameter(*names: str) -> str:
    """Return the first of these parameters in the request; empty if it has none of them."""
    parameters = parse_qs(f"{request.query_string.decode(errors='replace')}&{_body()}")
    return next((parameters[name][0] for name in names if name in parameters), "")


def _body() -> str:
    """Return the form body, which may hold parameters (General Information on Endpoints); empty for JSON."""
    return "" if request.is_json else request.get_data().decode(errors="replace")


class _FaultResponse(Exception):
    """A fault responds instead of the route."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _apply_faults_before(exchange: SandboxExchange, route: Route, subject: str) -> None:
    def consume(kind: FaultKind) -> Fault | None:
        return exchange.faults.consume(kind, route.method, subject)

    for kind in (FaultKind.RATE_LIMITED, FaultKind.BANNED):
        if fault := consume(kind):
            banned = kind is FaultKind.BANNED
            raise _FaultResponse(_rate_limited("Too many requests.", fault.value * 1000, banned=banned))
    if consume(FaultKind.UNAVAILABLE):
        raise _FaultResponse(_json_response(render_error(_UNKNOWN_OUTCOME), 503))
    if consume(FaultKind.BAD_TIMESTAMP):
        raise AuthError(_BAD_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")
    if fault := consume(FaultKind.REJECTED):
        raise Rejected(-fault.value, "Rejected by a fault.")


def _apply_faults_after(exchange: SandboxExchange, route: Route, subject: str, response: Response) -> Response:
    if exchange.faults.consume(FaultKind.UNKNOWN_OUTCOME, route.method, subject):
        return _json_response(render_error(_UNKNOWN_OUTCOME), 503)
    if fault := exchange.faults.consume(FaultKind.GARBLED, route.method, subject):
        status, body = GARBLED_RESPONSES[fault.value]
        return Response(body, status, content_type="text/html" if body.startswith("<") else "application/json")
    if fault := exchange.faults.consume(FaultKind.OUTDATED, route.method, subject):
        fault.stale_response = fault.stale_response or response.get_data(as_text=True)
        response.set_data(fault.stale_response)
    if fault := exchange.faults.consume(FaultKind.REWRITTEN, route.method, subject):
        response.set_data(fault.rewrite(response.get_data(as_text=True)))
    if exchange.faults.consume(FaultKind.DROPPED_REPLY, route.method, subject):
        request.environ[_DROP_REPLY] = True
    return response


def _rejection(error: Rejected, status: int) -> Response:
    return _json_response(render_error(ErrorBody(error.code, error.reason)), status)


def _rate_limited(reason: str, wait_ms: int, *, banned: bool) -> Response:
    response = _json_response(render_error(ErrorBody(_TOO_MANY_REQUESTS, reason)), 418 if banned else 429)
    response.headers["Retry-After"] = str(math.ceil(wait_ms / 1000))
    return response


def _json_response(body: object, status: int = 200) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, content_type="application/json;charset=UTF-8")
