"""What must be settled before the bot can run: whose database this is, and what the exchange lets it trade."""

import logging
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from src.core.status import Identity
from src.database.repositories import Store
from src.domain.clock import Clock
from src.domain.enums import TradingState
from src.domain.errors import ConfigError, ExchangeError, ProtocolError
from src.domain.instrument import Instrument
from src.exchange.port import MarketReader

log = logging.getLogger("hunter.main")

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 8.0
"""Each try is a sign of life, and the dashboard takes a bot for dead after 15 s."""


def claim_network(store: Store, network: str, database: Path) -> None:
    """A database belongs to one exchange for ever: address, keys and data are one unit (I36)."""
    with store.transaction():
        known = store.get_state("network")
        if known is not None and known["name"] != network:
            raise ConfigError(
                f"the database {database} holds the trades of {known['name']}, and this home is set to {network}: "
                "give each its own database (globals.db_path or DB_PATH)"
            )
        store.set_state("network", {"name": network})


@dataclass(frozen=True, slots=True)
class InstrumentsQuest:
    """Asks the exchange for its rules until it answers; nothing can be decided without them."""

    market: MarketReader
    store: Store
    clock: Clock
    identity: Identity

    def wait(self, stop: threading.Event) -> dict[str, Instrument] | None:
        """The instruments by symbol; None where a stop came first."""
        pause = _FIRST_RETRY_SECONDS
        while not stop.is_set():
            try:
                instruments = self.market.instruments()
            except (ExchangeError, ProtocolError) as error:
                log.error("the exchange does not answer (%s): trying again in %.0f s", error, pause)
                self._tell(f"the exchange does not answer: {error}")
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
            else:
                with self.store.transaction():
                    self.store.save_instruments(list(instruments.values()))
                return instruments
        return None

    def _tell(self, reason: str) -> None:
        """The dashboard sees a bot that lives and why it waits."""
        with self.store.transaction():
            self.store.set_state("bot", {**asdict(self.identity), "heartbeat_at": self.clock.now_ms()})
            self.store.set_state("trading", {"state": TradingState.REDUCE_ONLY, "reason": reason})
