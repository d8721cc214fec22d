"""The exchange's error payload (Error Codes and Messages)."""

from dataclasses import dataclass

from src.exchange.wire.fields import Body, Fields


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    message: str


def parse_refusal(payload: object) -> Refusal:
    """``{"code": -1121, "msg": "Invalid symbol."}``; ``ProtocolError`` for anything else."""
    refusal = Fields(payload)
    return Refusal(refusal.integer("code"), refusal.text("msg"))


def render_refusal(refusal: Refusal) -> Body:
    return {"code": refusal.code, "msg": refusal.message}


def render_done() -> Body:
    """The answer to a changed mode or margin type."""
    return {"code": 200, "msg": "success"}
