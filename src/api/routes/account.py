"""The account's balance and margin, its positions, and its open orders."""

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
from src.database.queries.fills import fills_of
from src.domain.commands import OperatorAction
from src.domain.numbers import ZERO
from src.domain.positions import Protection

blueprint = Blueprint("account", __name__)

_MIN_FRACTION = Decimal("0.001")
_OWNERS = {
    "ours": (OperatorAction.POSITION_OURS, "managing {} as the bot's"),
    "external": (OperatorAction.POSITION_EXTERNAL, "leaving {} to you; cancelling the bot's orders behind it"),
}


@blueprint.get("/api/account")
def show_account() -> dict[str, Any]:
    """The bot's last report of the account, with its time (``as_of``)."""
    with read_bot_database() as connection:
        bot = read_bot_state(connection, services().clock.now_ms())
    return schemas.account_summary(bot.get("account"))


@blueprint.get("/api/positions")
def list_positions() -> Response:
    with read_bot_database() as connection:
        return jsonify([schemas.position_row(row) for row in account.positions(connection)])


@blueprint.get("/api/positions/<symbol>/<side>")
def show_position(symbol: str, side: str) -> dict[str, Any]:
    """A position with its orders."""
    with read_bot_database() as connection:
        found = _find_position(connection, symbol, side)
        rows = orders.orders_of_position(connection, symbol, found["positionSide"], found["opened_at"] or 0)
        traded = fills_of(connection, [row.client_order_id for row in rows])
    is_open = [row for row in rows if row.order_status in orders.OPEN_STATUSES]
    return {
        **found,
        "orders": [schemas.open_order_row(row) for row in is_open],
        "trades": [
            schemas.trade_row(row, [fill for fill in traded if fill.client_order_id == row.client_order_id])
            for row in rows
        ],
    }


@blueprint.post("/api/positions/<symbol>/<side>/close")
def close_position(symbol: str, side: str) -> tuple[dict[str, Any], int]:
    """Have the bot close a ``fraction`` (default: all) of a position at the market price."""
    document = request_args.json_body()
    fraction = _fraction(document.get("fraction", 1))
    with read_bot_database() as connection:
        found = _find_position(connection, symbol, side)
    if found["protection"] is Protection.EXTERNAL:
        raise ApiError(409, "not_ours", "Not opened by the bot, so the bot does not manage it.")
    nonce = request_args.nonce_field(document) or secrets.token_urlsafe(16)
    share = "" if fraction == 1 else f"{format(100 * fraction, 'f').rstrip('0').rstrip('.')} % of "
    return submit_command(
        OperatorAction.CLOSE_POSITION,
        nonce,
        f"closing {share}{symbol} {found['side']}",
        symbol=symbol,
        position_side=found["positionSide"].value,
        close_fraction=fraction,
    )


@blueprint.post("/api/positions/<symbol>/<side>/owner")
def answer_position_question(symbol: str, side: str) -> tuple[dict[str, Any], int]:
    """``{owner, nonce}``: say that a position the bot asks about is its own (``ours``), or yours (``external``).

    ``external`` cancels the bot's stop loss and take profit. ``ours`` also adopts an external position. 404 if the bot
    does not ask.
    """
    document = request_args.json_body()
    owner = document.get("owner")
    if not isinstance(owner, str) or owner not in _OWNERS:
        raise bad_parameter("owner", f"owner must be one of {', '.join(_OWNERS)}.")
    nonce = request_args.nonce_field(document) or secrets.token_urlsafe(16)
    action, message = _OWNERS[owner]
    with read_bot_database() as connection:
        found = account.find_answerable(connection, action, symbol, side.upper())
    if found is None:
        raise not_found("The bot does not ask about this position.")
    name, position_side = found
    about = f"{name} {side.upper()}"
    return submit_command(action, nonce, message.format(about), symbol=name, position_side=position_side.value)


def _find_position(connection: Connection, symbol: str, side: str) -> dict[str, Any]:
    """Find an open position by its side (LONG or SHORT) or, in one-way mode, by its position side BOTH."""
    wanted = side.upper()
    for row in account.positions(connection):
        row_json = schemas.position_row(row)
        if row_json["symbol"] == symbol and wanted in (row_json["side"], row_json["positionSide"]):
            return row_json
    raise not_found("No such open position.")


def _fraction(value: Any) -> Decimal:
    """The fraction of a position, rounded down to 0.1 %."""
    try:
        fraction = Decimal(str(value))
    except InvalidOperation:
        fraction = ZERO
    if isinstance(value, bool) or not fraction.is_finite() or not _MIN_FRACTION <= fraction <= 1:
        raise bad_parameter("fraction", f"fraction must be a number from {_MIN_FRACTION} to 1.")
    return fraction.quantize(_MIN_FRACTION, ROUND_DOWN).normalize()


@blueprint.get("/api/orders")
def list_open_orders() -> Response:
    with read_bot_database() as connection:
        ours = orders.open_orders(connection)
        bot = read_bot_state(connection, services().clock.now_ms())
    external = bot.get("external_orders").get("items", [])
    return jsonify([*map(schemas.open_order_row, ours), *map(schemas.external_order_row, external)])
