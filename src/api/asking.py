"""The one way from a request to the bot: refused while it is silent, and answered with what was asked, not done."""

from typing import Any

from src.api.bot_state import read_bot_state
from src.api.dashboard import dashboard, reading
from src.api.errors import ApiError
from src.domain.messages import OperatorAction


def ask_bot(action: OperatorAction, nonce: str, message: str, **details: Any) -> tuple[dict[str, Any], int]:
    """202 with the number under which the journal will tell the outcome. Raises 409 while the bot is silent."""
    with reading() as connection:
        bot = read_bot_state(connection, dashboard().clock.now_ms())
    if not bot.is_alive:
        raise ApiError(409, "bot_silent", "The bot gives no sign of life: nothing can be asked of it now.")
    command_id = dashboard().commands.ask(action, nonce, **details)
    return {"success": True, "command_id": command_id, "message": message}, 202
