"""The API wallet as the exchange reports it: when it ends, and what it may do."""

from dataclasses import dataclass
from datetime import UTC, datetime

from src.domain.clock import DAY_MS

WARN_BEFORE_MS = 14 * DAY_MS
WITHDRAW_RISK = (
    "the API wallet may withdraw your funds: approve one without that right on Aster's site, "
    "or switch allow_withdraw_key on in the settings"
)


@dataclass(frozen=True, slots=True)
class ApiWallet:
    """The approval by which an API wallet signs for an account."""

    ends_at: int
    """When the exchange stops accepting it, in ms."""
    can_withdraw: bool
    allowed_addresses: str
    """The IP addresses it may be used from, separated by spaces; empty for all."""

    def warning(self, now_ms: int) -> str | None:
        """Why it must be renewed; None while it is valid for 14 days or more."""
        if self.ends_at - now_ms >= WARN_BEFORE_MS:
            return None
        day = datetime.fromtimestamp(self.ends_at / 1000, UTC).date()
        verb = "ended" if self.has_ended(now_ms) else "ends"
        return f"the API wallet {verb} on {day}: approve a new one on Aster's site and save its key in the set-up"

    def has_ended(self, now_ms: int) -> bool:
        return self.ends_at <= now_ms
