"""What a person asks of the bot."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import PositionSide


class OperatorAction(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"
    CLOSE_POSITION = "close_position"
    CANCEL_ENTRY = "cancel_entry"
    RELOAD_SETTINGS = "reload_settings"
    CONFIRM_LIVE = "confirm_live"
    """Real orders under the terms that ``terms`` names."""
    RESTART = "restart"
    """End this process; the launcher starts a new one at once."""


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A wish of the person at the dashboard or the command line, written to ``control.db`` first.

    Of a position 0 < ``fraction`` ≤ 1 is closed; ``terms`` is the fingerprint of what is agreed to.
    """

    id: int
    action: OperatorAction
    at: int
    symbol: str | None = None
    position_side: PositionSide | None = None
    fraction: Decimal = Decimal(1)
    client_order_id: str | None = None
    terms: str | None = None
