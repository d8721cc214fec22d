"""The sandbox's own routes, which no exchange has: how it goes, and what shall go wrong. Without a key, on loopback."""

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, request

from src.sandbox.exchange import SandboxExchange
from src.sandbox.faults import Fault, FaultKind
from src.sandbox.status import status_of

_FIELDS: Mapping[str, type] = {"times": int, "path": str, "method": str, "value": int, "old": str, "new": str}


def control_routes(exchange: SandboxExchange, *, allow_faults: bool) -> Blueprint:
    routes = Blueprint("control", __name__, url_prefix="/sandbox")

    @routes.get("/status")
    def status() -> Response:
        return jsonify(status_of(exchange))

    if allow_faults:
        _add_fault_routes(routes, exchange)
    return routes


def _add_fault_routes(routes: Blueprint, exchange: SandboxExchange) -> None:
    @routes.get("/faults")
    def waiting() -> Response:
        faults = exchange.faults.waiting()
        return jsonify(
            [{"kind": each.kind.value, **{name: getattr(each, name) for name in _FIELDS}} for each in faults]
        )

    @routes.post("/faults")
    def inject() -> tuple[Response, int]:
        fault = _fault(request.get_json(silent=True))
        if fault is None:
            kinds = ", ".join(FaultKind)
            return jsonify({"error": f"send an object with kind ({kinds}) and {', '.join(_FIELDS)}"}), 400
        exchange.inject(fault)
        return jsonify({"done": True}), 200

    @routes.delete("/faults")
    def clear() -> Response:
        exchange.clear_faults()
        return jsonify({"done": True})


def _fault(body: object) -> Fault | None:
    """The fault that is asked for; None where it is not understood."""
    if not isinstance(body, dict) or body.get("kind") not in list(FaultKind):
        return None
    given = {name: value for name, value in body.items() if name != "kind"}
    if any(name not in _FIELDS or type(value) is not _FIELDS[name] for name, value in given.items()):
        return None
    return Fault(FaultKind(body["kind"]), **given)
