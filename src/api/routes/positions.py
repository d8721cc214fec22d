"""Open positions, one of them with its orders, and the wish to close it."""

import secrets
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import order_shapes, parameters, position_shapes
from src.api.asking import ask_bot
from src.api.dashboard import reading
from src.api.errors import ApiError, bad_parameter, not_found
from src.database.queries import account, orders
from src.domain.messages import OperatorAction
from src.domain.positions import Protection

blueprint = Blueprint("positions", __name__)

_SMALLEST_SHARE = Decimal("0.001")


@blueprint.get("/api/positions")
def list_positions() -> Response:
    with reading() as connection:
        return jsonify([position_shapes.position(row) for row in account.positions(connection)])


@blueprint.get("/api/positions/<symbol>/<side>")
def show_position(symbol: str, side: str) -> dict[str, Any]:
    """The position with the orders that belong to it."""
    with reading() as connection:
        found = _find(connection, symbol, side)
        rows = orders.orders_of_position(connection, symbol, found["positionSide"], found["opened_at"] or 0)
    is_open = [row for row in rows if row.order_status in orders.OPEN_STATUSES]
    return {
        **found,
        "orders": [order_shapes.open_order(row) for row in is_open],
        "trades": [order_shapes.trade(row) for row in rows],
    }


@blueprint.post("/api/positions/<symbol>/<side>/close")
def close_position(symbol: str, side: str) -> tuple[dict[str, Any], int]:
    """Ask the bot to close a ``fraction`` (default: all) of a position at the market price."""
    document = parameters.body()
    fraction = _fraction(document.get("fraction", 1))
    with reading() as connection:
        found = _find(connection, symbol, side)
    if found["protection"] is Protection.FOREIGN:
        raise ApiError(409, "not_ours", "The bot did not open this position and leaves it alone.")
    nonce = parameters.nonce(document) or secrets.token_urlsafe(16)
    share = "" if fraction == 1 else f"{format(100 * fraction, 'f').rstrip('0').rstrip('.')} % of "
    return ask_bot(
        OperatorAction.CLOSE_POSITION,
        nonce,
        f"the bot was asked to close {share}{symbol} {found['side']}",
        symbol=symbol,
        position_side=found["positionSide"].value,
        fraction=fraction,
    )


def _find(connection: Connection, symbol: str, side: str) -> dict[str, Any]:
    """By the direction it has, LONG or SHORT; in one-way mode its slot, BOTH, is understood too."""
    wanted = side.upper()
    for row in account.positions(connection):
        shape = position_shapes.position(row)
        if shape["symbol"] == symbol and wanted in (shape["side"], shape["positionSide"]):
            return shape
    raise not_found("There is no such open position.")


def _fraction(value: Any) -> Decimal:
    """A share of the position, to a tenth of a percent."""
    try:
        fraction = Decimal(str(value))
    except InvalidOperation:
        fraction = Decimal(0)
    if isinstance(value, bool) or not fraction.is_finite() or not _SMALLEST_SHARE <= fraction <= 1:
        raise bad_parameter("fraction", f"fraction must be a number from {_SMALLEST_SHARE} to 1.")
    return fraction.quantize(_SMALLEST_SHARE, ROUND_DOWN).normalize()
