"""Balance and margin."""

from typing import Any

from flask import Blueprint

from src.api import position_shapes
from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading

blueprint = Blueprint("account", __name__)


@blueprint.get("/api/account")
def show_account() -> dict[str, Any]:
    """As the bot last knew it, with the moment (``as_of``)."""
    with reading() as connection:
        bot = read_bot_state(connection, dashboard().clock.now_ms())
    return position_shapes.account(bot.of("account"))
