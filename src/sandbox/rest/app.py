"""The REST host: a Flask app that counts, checks and answers, in the order the real one does."""

import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, request

from src.domain.errors import AuthError, RateLimited, Rejected
from src.exchange.wire import Refusal, render_refusal
from src.sandbox.exchange import SandboxExchange
from src.sandbox.faults import GARBLED_ANSWERS, Fault, FaultKind
from src.sandbox.rest.account_routes import ACCOUNT_ROUTES
from src.sandbox.rest.control import control_routes
from src.sandbox.rest.market_routes import MARKET_ROUTES
from src.sandbox.rest.order_routes import ORDER_ROUTES
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.routes import Route, is_v3
from src.sandbox.rest.security import Request, authenticate
from src.sandbox.rest.spot_routes import SPOT_ROUTES
from src.sandbox.rest.wallet_routes import WALLET_ROUTES
from src.sandbox.rest.wallet_security import authenticate_wallet

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ROUTES = (*MARKET_ROUTES, *ORDER_ROUTES, *ACCOUNT_ROUTES, *WALLET_ROUTES, *SPOT_ROUTES)
_DROPPED = "sandbox.dropped_reply"
_KEY_HEADER = "X-MBX-APIKEY"
_TOO_MANY_REQUESTS = -1003
_TOO_MANY_ORDERS = -1015
_BAD_TIMESTAMP = -1021
_KEY_CODES = (-2014, -2015)
_UNKNOWN_PATH = Refusal(-1020, "This operation is not supported.")
_LOST = Refusal(
    -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
)


def create_app(exchange: SandboxExchange, *, allow_faults: bool) -> Flask:
    """The app for one exchange; the routes that inject faults exist only where they are allowed."""
    app = Flask(__name__, static_folder=None)
    for route in ROUTES:
        for path in route.all_paths:
            view = _view(exchange, route, path)
            app.add_url_rule(path, f"{route.method} {path}", view, methods=[route.method])
    app.register_blueprint(control_routes(exchange, allow_faults=allow_faults))
    for status in (404, 405):
        app.register_error_handler(status, lambda _error, status=status: _reply(render_refusal(_UNKNOWN_PATH), status))
    return app


def dropping(app: "WSGIApplication") -> "WSGIApplication":
    """Let a request whose reply a fault drops end in a closed connection, without a byte of an answer."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = app(environ, start_response)
        if environ.get(_DROPPED):
            raise ConnectionAbortedError("the reply is dropped by a fault")  # waitress closes the socket on an OSError
        return body

    return call


def _view(exchange: SandboxExchange, route: Route, path: str) -> Callable[[], Response]:
    def serve() -> Response:
        client_order_id = _named_order()
        subject = f"{path} {client_order_id}" if client_order_id else path
        delay = exchange.faults.take(FaultKind.DELAY, route.method, subject)
        if delay:
            exchange.wait(delay.value)
        with exchange.lock:
            if route.method == "POST" and client_order_id:
                exchange.account.records.arrive(client_order_id)
            response = _answer(exchange, route, subject)
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(exchange.limits.used_weight)
            if route.orders:
                response.headers["X-MBX-ORDER-COUNT-1M"] = str(exchange.limits.orders)
        return response

    return serve


def _answer(exchange: SandboxExchange, route: Route, subject: str) -> Response:
    try:
        _strike_before(exchange, route, subject)
        parameters = Parameters.parse(request.query_string.decode(errors="replace"), _body())
        exchange.limits.spend(route.weigh(parameters), exchange.now_ms())
        _admit(exchange, route, parameters)
        return _strike_after(exchange, route, subject, _reply(route.action(exchange, parameters)))
    except _Struck as struck:
        return struck.response
    except RateLimited as limited:
        return _limited(str(limited), limited.retry_at - exchange.now_ms(), banned=limited.banned)
    except AuthError as refusal:
        if refusal.code == _BAD_TIMESTAMP and route.method == "POST":
            exchange.account.records.untimely[subject.partition(" ")[2]] += 1
        return _refused(refusal, 401 if refusal.code in _KEY_CODES else 400)
    except Rejected as refusal:
        return _refused(refusal, 429 if refusal.code == _TOO_MANY_ORDERS else 400)


def _admit(exchange: SandboxExchange, route: Route, parameters: Parameters) -> None:
    query = request.query_string.decode(errors="replace")
    signed = Request(request.headers.get(_KEY_HEADER), query, _body(), route.method)
    check = authenticate_wallet if is_v3(request.path) else authenticate
    check(route.security, signed, parameters, exchange.keys, exchange.now_ms())
    parameters.expect_only(route.known_parameters(request.path))
    for _ in range(route.orders):
        if not exchange.limits.spend_order(exchange.now_ms()):
            limit = exchange.limits.order_limit
            raise Rejected(_TOO_MANY_ORDERS, f"Too many new orders; current limit is {limit} orders per MINUTE.")


def _named_order() -> str:
    """The client id of the one order a request is about; empty where it names none."""
    told = parse_qs(f"{request.query_string.decode(errors='replace')}&{_body()}")
    return next((told[name][0] for name in ("newClientOrderId", "origClientOrderId") if name in told), "")


def _body() -> str:
    """Parameters may also come in the body (General Information on Endpoints); a JSON body holds none."""
    return "" if request.is_json else request.get_data().decode(errors="replace")


class _Struck(Exception):
    """A fault answers instead of the route."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _strike_before(exchange: SandboxExchange, route: Route, subject: str) -> None:
    def struck(kind: FaultKind) -> Fault | None:
        return exchange.faults.take(kind, route.method, subject)

    for kind in (FaultKind.RATE_LIMITED, FaultKind.BANNED):
        if fault := struck(kind):
            banned = kind is FaultKind.BANNED
            raise _Struck(_limited("Too many requests.", fault.value * 1000, banned=banned))
    if struck(FaultKind.UNAVAILABLE):
        raise _Struck(_reply(render_refusal(_LOST), 503))
    if struck(FaultKind.BAD_TIMESTAMP):
        raise AuthError(_BAD_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")
    if fault := struck(FaultKind.REFUSED):
        raise Rejected(-fault.value, "Refused by a fault.")


def _strike_after(exchange: SandboxExchange, route: Route, subject: str, response: Response) -> Response:
    if exchange.faults.take(FaultKind.UNKNOWN_OUTCOME, route.method, subject):
        return _reply(render_refusal(_LOST), 503)
    if fault := exchange.faults.take(FaultKind.GARBLED, route.method, subject):
        status, body = GARBLED_ANSWERS[fault.value]
        return Response(body, status, content_type="text/html" if body.startswith("<") else "application/json")
    if fault := exchange.faults.take(FaultKind.OUTDATED, route.method, subject):
        fault.kept = fault.kept or response.get_data(as_text=True)
        response.set_data(fault.kept)
    if fault := exchange.faults.take(FaultKind.REWORDED, route.method, subject):
        response.set_data(fault.reword(response.get_data(as_text=True)))
    if exchange.faults.take(FaultKind.DROPPED_REPLY, route.method, subject):
        request.environ[_DROPPED] = True
    return response


def _refused(refusal: Rejected, status: int) -> Response:
    return _reply(render_refusal(Refusal(refusal.code, refusal.reason)), status)


def _limited(reason: str, wait_ms: int, *, banned: bool) -> Response:
    response = _reply(render_refusal(Refusal(_TOO_MANY_REQUESTS, reason)), 418 if banned else 429)
    response.headers["Retry-After"] = str(math.ceil(wait_ms / 1000))
    return response


def _reply(body: object, status: int = 200) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, content_type="application/json;charset=UTF-8")
