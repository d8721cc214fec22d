"""Balance and margin."""

import secrets
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from src.api import request_args, schemas
from src.api.bot_database import read_bot_state
from src.api.errors import ApiError, bad_parameter, not_found
from src.api.services import read_bot_database, services, submit_command
from src.database.queries import account, orders
from src.domain.commands import OperatorAction
from src.domain.positions import Protection

blueprint = Blueprint("account", __name__)


@blueprint.get("/api/account")
def show_account() -> dict[str, Any]:
    """As the bot last knew it, with the moment (``as_of``)."""
    with read_bot_database() as connection:
        bot = read_bot_state(connection, services().clock.now_ms())
    return schemas.account_summary(bot.get("account"))


_MIN_FRACTION = Decimal("0.001")


@blueprint.get("/api/positions")
def list_positions() -> Response:
    with read_bot_database() as connection:
        return jsonify([schemas.position_row(row) for row in account.positions(connection)])


@blueprint.get("/api/positions/<symbol>/<side>")
def show_position(symbol: str, side: str) -> dict[str, Any]:
    """The position with the orders that belong to it."""
    with read_bot_database() as connection:
        found = _find_position(connection, symbol, side)
        rows = orders.orders_of_position(connection, symbol, found["positionSide"], found["opened_at"] or 0)
    is_open = [row for row in rows if row.order_status in orders.OPEN_STATUSES]
    return {
        **found,
        "orders": [schemas.open_order_row(row) for row in is_open],
        "trades": [schemas.trade_row(row) for row in rows],
    }


@blueprint.post("/api/positions/<symbol>/<side>/close")
def close_position(symbol: str, side: str) -> tuple[dict[str, Any], int]:
    """Ask the bot to close a ``fraction`` (default: all) of a position at the market price."""
    document = request_args.json_body()
    fraction = _fraction(document.get("fraction", 1))
    with read_bot_database() as connection:
        found = _find_position(connection, symbol, side)
    if found["protection"] is Protection.EXTERNAL:
        raise ApiError(409, "not_ours", "The bot did not open this position and leaves it alone.")
    nonce = request_args.nonce_field(document) or secrets.token_urlsafe(16)
    share = "" if fraction == 1 else f"{format(100 * fraction, 'f').rstrip('0').rstrip('.')} % of "
    return submit_command(
        OperatorAction.CLOSE_POSITION,
        nonce,
        f"the bot was asked to close {share}{symbol} {found['side']}",
        symbol=symbol,
        position_side=found["positionSide"].value,
        fraction=fraction,
    )


def _find_position(connection: Connection, symbol: str, side: str) -> dict[str, Any]:
    """By the direction it has, LONG or SHORT; in one-way mode its slot, BOTH, is understood too."""
    wanted = side.upper()
    for row in account.positions(connection):
        row_json = schemas.position_row(row)
        if row_json["symbol"] == symbol and wanted in (row_json["side"], row_json["positionSide"]):
            return row_json
    raise not_found("There is no such open position.")


def _fraction(value: Any) -> Decimal:
    """A share of the position, to a tenth of a percent."""
    try:
        fraction = Decimal(str(value))
    except InvalidOperation:
        fraction = Decimal(0)
    if isinstance(value, bool) or not fraction.is_finite() or not _MIN_FRACTION <= fraction <= 1:
        raise bad_parameter("fraction", f"fraction must be a number from {_MIN_FRACTION} to 1.")
    return fraction.quantize(_MIN_FRACTION, ROUND_DOWN).normalize()


@blueprint.get("/api/orders")
def list_open_orders() -> Response:
    with read_bot_database() as connection:
        ours = orders.open_orders(connection)
        bot = read_bot_state(connection, services().clock.now_ms())
    external = bot.get("foreign_orders").get("items", [])
    return jsonify([*map(schemas.open_order_row, ours), *map(schemas.external_order_row, external)])
