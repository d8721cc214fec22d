"""Startup steps before the bot runs: bind the database to the network, load instruments, wait for setup."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from src.core.health.status import BotInfo, publish_waiting
from src.core.operator.commands import SETTINGS_STATE
from src.core.operator.restart import RestartRequest
from src.core.operator.stopping import open_entry_message
from src.database.control import CommandReader
from src.database.repositories import Store
from src.domain.clock import Clock
from src.domain.enums import OrderRole
from src.domain.errors import ConfigError, ExchangeError, ProtocolError
from src.domain.instrument import IncompleteInstrument, Instrument, InstrumentList, complete_instruments
from src.launch.shutdown import EXIT_OPEN_ENTRIES, EXIT_RESTART, EXIT_STOPPED
from src.settings.config import Settings, settings_to_json

log = logging.getLogger("hunter.main")

_FIRST_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 8.0
"""Each attempt publishes a heartbeat, and the dashboard considers a bot dead after 15 s without one."""
_POLL_SECONDS = 0.5
_WAITING_FOR_SETUP = (
    "waiting for setup: settings.json enables live trading, but there is no API key or API wallet. "
    "Open Setup on the dashboard"
)


def bind_database_to_network(store: Store, network: str, database: Path) -> None:
    """Bind the database to its network for good (I36). Raises ConfigError if it belongs to another network."""
    with store.transaction():
        known = store.get_state("network")
        if known is not None and known["name"] != network:
            raise ConfigError(
                f"the database {database} belongs to {known['name']}, but this home uses {network}: "
                "use a database for each (globals.db_path or DB_PATH)"
            )
        store.set_state("network", {"name": network})


def record_edit_while_stopped(store: Store, settings: Settings, commands: CommandReader) -> None:
    """Keep a version of settings that were edited while no bot ran to notice it; the dashboard keeps its own.

    More risk waits for consent, as after an edit while it runs (`LiveConsent.restore`).
    """
    document = settings_to_json(settings)
    with store.transaction():
        known = store.get_state(SETTINGS_STATE) or {}
        earlier = known.get("requested") or known.get("values")
        if earlier in (None, document) or commands.newest_settings() == document:
            return
        store.add_settings_version(document, earlier, "edited by hand while the bot was stopped")
        message = "settings.json was edited by hand while the bot was stopped: settings applied"
        store.journal("settings", {"message": message})
    log.warning("%s", message)


def name_open_entries(store: Store) -> int:
    """The exit code of a stop before the bot traded: entries that the last run left open are named, not forgotten."""
    with store.transaction():
        left = [order for order in store.load_open_orders() if order.is_open and order.role is OrderRole.ENTRY]
        for order in left:
            message = open_entry_message(order)
            log.error("%s", message)
            store.journal("alert", {"level": "error", "message": message}, order.symbol)
    return EXIT_OPEN_ENTRIES if left else EXIT_STOPPED


@dataclass(frozen=True, slots=True)
class InstrumentLoader:
    """Loads exchange info, retrying until the exchange responds; what it lacks is taken from the last run."""

    read_list: Callable[[], InstrumentList]
    store: Store
    clock: Clock
    identity: BotInfo
    is_cancelled: Callable[[], bool] = lambda: False

    def wait(self, stop: threading.Event) -> InstrumentList | None:
        """The symbols and what the exchange's list lacks; None if stopped or if a restart was requested.

        A list that cannot be read at all is no reason to wait while the rules of the last run are known: positions
        need their protection.
        """
        pause = _FIRST_RETRY_SECONDS
        known = self._known()
        while not stop.is_set():
            try:
                return self._complete(self.read_list(), known)
            except (ExchangeError, ProtocolError) as error:
                if known and isinstance(error, ProtocolError):
                    unread = f"the list cannot be read: {error}"
                    return InstrumentList(known, tuple(IncompleteInstrument(symbol, unread) for symbol in known))
                log.error("cannot load exchange info, retrying in %.0f s: %s", pause, error)
                publish_waiting(
                    self.store, self.identity, self.clock.now_ms(), f"the exchange does not respond: {error}"
                )
                if self.is_cancelled():
                    return None
                stop.wait(pause)
                pause = min(pause * 2, _MAX_RETRY_SECONDS)
        return None

    def _known(self) -> dict[str, Instrument]:
        with self.store.transaction():
            return self.store.load_instruments()

    def _complete(self, listed: InstrumentList, known: Mapping[str, Instrument]) -> InstrumentList:
        """Add what is known from the last run and save the result."""
        instruments = complete_instruments(listed.instruments.values(), listed.incomplete, known)
        with self.store.transaction():
            self.store.save_instruments(list(instruments.values()))
        return replace(listed, instruments=instruments)


@dataclass(frozen=True, slots=True)
class SetupWait:
    """Keeps a bot without credentials running, with the reason published, until setup has saved some."""

    store: Store
    clock: Clock
    identity: BotInfo
    restart_request: RestartRequest
    reader: CommandReader

    def wait(self, stop: threading.Event) -> int:
        """Wait for a restart request or a stop; returns the exit code."""
        log.warning("%s", _WAITING_FOR_SETUP)
        while not stop.wait(_POLL_SECONDS):
            publish_waiting(self.store, self.identity, self.clock.now_ms(), _WAITING_FOR_SETUP)
            if self.restart_request.poll(self.reader):
                return EXIT_RESTART
        return EXIT_STOPPED
