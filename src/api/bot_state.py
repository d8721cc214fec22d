"""What the bot says of itself, read with doubt: a heartbeat that is old is no heartbeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from src.database.queries.account import state
from src.domain.enums import Network

HEARTBEAT_LASTS_MS = 15_000
_REAL_MODES = {Network.MAINNET: "LIVE", Network.TESTNET: "TESTNET", Network.SANDBOX: "SANDBOX"}


@dataclass(frozen=True, slots=True)
class BotState:
    """Every subject the bot reports on, and the moment at which we look."""

    subjects: Mapping[str, Mapping[str, Any]]
    now_ms: int

    def of(self, key: str) -> Mapping[str, Any]:
        """One subject; empty where the bot never spoke of it."""
        return self.subjects.get(key, {})

    @property
    def heartbeat_age_ms(self) -> int | None:
        return self.age_of(self.of("bot").get("heartbeat_at"))

    @property
    def is_alive(self) -> bool:
        age = self.heartbeat_age_ms
        return age is not None and age <= HEARTBEAT_LASTS_MS

    @property
    def is_simulated(self) -> bool | None:
        """Whether it trades on paper; None where it never said."""
        bot = self.of("bot")
        if "is_simulated" in bot:
            return bool(bot["is_simulated"])
        return bot["mode"] == "PAPER" if "mode" in bot else None

    def age_of(self, at: int | None) -> int | None:
        return None if at is None else max(0, self.now_ms - at)

    def stream(self, key: str) -> dict[str, Any]:
        """A connection of the bot, its age told."""
        subject = self.of(key)
        at = subject.get("last_event_at")
        return {"state": subject.get("state"), "last_event_at": at, "age_ms": self.age_of(at)}


def read_bot_state(connection: Connection, now_ms: int) -> BotState:
    return BotState(state(connection), now_ms)


def mode_word(network: Network, *, is_simulated: bool) -> str:
    """What is at stake, in one word: PAPER, SANDBOX, TESTNET or LIVE."""
    return "PAPER" if is_simulated else _REAL_MODES[network]
