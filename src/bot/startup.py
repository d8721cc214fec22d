"""What must be settled before the bot can run: whose database this is, and what the exchange lets it trade."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.core.health.status import BotInfo, publish_waiting
from src.core.operator.restart import EXIT_RESTART, RestartRequest
from src.database.control import CommandReader
from src.database.repositories import Store
from src.domain.clock import Clock
from src.domain.errors import ConfigError, ExchangeError, ProtocolError
from src.domain.instrument import Instrument
from src.exchange.port import MarketReader

log = logging.getLogger("hunter.main")

_FIRST_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 8.0
"""Each try is a sign of life, and the dashboard takes a bot for dead after 15 s."""
_POLL_SECONDS = 0.5
_WAITING_FOR_SETUP = (
    "waiting for the set-up: settings.json asks for real orders, and there is no API key and no API wallet yet. "
    "Open Set-up on the dashboard"
)


def bind_database_to_network(store: Store, network: str, database: Path) -> None:
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
class InstrumentLoader:
    """Asks the exchange for its rules until it answers; nothing can be decided without them."""

    market: MarketReader
    store: Store
    clock: Clock
    identity: BotInfo
    is_cancelled: Callable[[], bool] = lambda: False

    def wait(self, stop: threading.Event) -> dict[str, Instrument] | None:
        """The instruments by symbol; None where a stop, or the wish to start anew, came first."""
        pause = _FIRST_RETRY_SECONDS
        while not stop.is_set():
            try:
                instruments = self.market.instruments()
            except (ExchangeError, ProtocolError) as error:
                log.error("the exchange does not answer (%s): trying again in %.0f s", error, pause)
                publish_waiting(
                    self.store, self.identity, self.clock.now_ms(), f"the exchange does not answer: {error}"
                )
                if self.is_cancelled():
                    return None
                stop.wait(pause)
                pause = min(pause * 2, _MAX_RETRY_SECONDS)
            else:
                with self.store.transaction():
                    self.store.save_instruments(list(instruments.values()))
                return instruments
        return None


@dataclass(frozen=True, slots=True)
class SetupWait:
    """A bot that lacks its key stays, and tells why, until the set-up has saved one: then it is started anew."""

    store: Store
    clock: Clock
    identity: BotInfo
    restart_request: RestartRequest
    reader: CommandReader

    def wait(self, stop: threading.Event) -> int:
        """The exit code."""
        log.warning("%s", _WAITING_FOR_SETUP)
        while not stop.wait(_POLL_SECONDS):
            publish_waiting(self.store, self.identity, self.clock.now_ms(), _WAITING_FOR_SETUP)
            if self.restart_request.poll(self.reader):
                return EXIT_RESTART
        return 0
