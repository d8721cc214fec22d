"""Open orders: ours with their role, and those of others as the bot reported them."""

from flask import Blueprint, Response, jsonify

from src.api import order_shapes
from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading
from src.database.queries import orders as queries

blueprint = Blueprint("orders", __name__)


@blueprint.get("/api/orders")
def list_open_orders() -> Response:
    with reading() as connection:
        ours = queries.open_orders(connection)
        bot = read_bot_state(connection, dashboard().clock.now_ms())
    foreign = bot.of("foreign_orders").get("items", [])
    return jsonify([*map(order_shapes.open_order, ours), *map(order_shapes.foreign_order, foreign)])
