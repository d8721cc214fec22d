"""Control routes of the sandbox, without authentication: status and fault injection."""

from collections.abc import Mapping
from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request

from src.domain.errors import Rejected
from src.exchange.wire import Body, decimal_str
from src.sandbox.exchange import SandboxExchange
from src.sandbox.faults import Fault, FaultKind
from src.sandbox.market.replay import Progress

_FAULT_FIELDS: Mapping[str, type] = {"times": int, "path": str, "method": str, "value": int, "old": str, "new": str}


def control_routes(exchange: SandboxExchange, *, allow_faults: bool) -> Blueprint:
    routes = Blueprint("control", __name__, url_prefix="/sandbox")

    @routes.get("/status")
    def status() -> Response:
        return jsonify(sandbox_status(exchange))

    if allow_faults:
        _add_fault_routes(routes, exchange)
    return routes


def _add_fault_routes(routes: Blueprint, exchange: SandboxExchange) -> None:
    @routes.get("/faults")
    def pending() -> Response:
        faults = exchange.faults.pending()
        return jsonify(
            [{"kind": each.kind.value, **{name: getattr(each, name) for name in _FAULT_FIELDS}} for each in faults]
        )

    @routes.post("/faults")
    def inject() -> tuple[Response, int]:
        fault = _parse_fault(request.get_json(silent=True))
        if fault is None:
            kinds = ", ".join(FaultKind)
            return jsonify({"error": f"send an object with kind ({kinds}) and {', '.join(_FAULT_FIELDS)}"}), 400
        try:
            exchange.inject(fault)
        except Rejected as error:
            return jsonify({"error": error.reason}), 400
        return jsonify({"done": True}), 200

    @routes.delete("/faults")
    def clear() -> Response:
        exchange.clear_faults()
        return jsonify({"done": True})


def _parse_fault(body: object) -> Fault | None:
    """Parse a fault; None if the request is invalid."""
    if not isinstance(body, dict) or body.get("kind") not in list(FaultKind):
        return None
    given = {name: value for name, value in body.items() if name != "kind"}
    if any(name not in _FAULT_FIELDS or type(value) is not _FAULT_FIELDS[name] for name, value in given.items()):
        return None
    return Fault(FaultKind(body["kind"]), **given)


def sandbox_status(exchange: SandboxExchange) -> Body:
    """Return the progress of the replay and figures of the account."""
    with exchange.lock:
        return {
            "now": exchange.now_ms(),
            "symbols": len(exchange.market.symbols),
            "replay": None if exchange.progress is None else asdict(exchange.progress),
            "orders_received": len(exchange.account.request_log.received),
            "open_orders": len(exchange.engine.open_orders()),
            "open_positions": len(exchange.account.open_positions()),
            "wallet_balance": decimal_str(exchange.account.summary().wallet_balance),
            "longest_unprotected_ms": exchange.protection.longest_ms(exchange.now_ms()),
            "streams": len(exchange.subscribed_streams()),
        }


def progress_line(progress: Progress) -> str:
    """Return one line of progress, in steps of 10 %."""
    if progress.is_finished:
        return f"replay finished rows={progress.rows} pushed={progress.pushed} suppressed={progress.suppressed}"
    return f"replay {progress.played * 10 // progress.rows * 10}% of {progress.rows} rows played"
