"""The bot process: builds the components, runs their threads and shuts them down."""

import logging
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from src import VERSION
from src.bot.startup import (
    InstrumentLoader,
    SetupWait,
    bind_database_to_network,
    name_open_entries,
    record_edit_while_stopped,
)
from src.bot.threads import JOIN_SECONDS, ThreadGroup, heartbeat_current_thread, tune_interpreter
from src.core.context import TraderContext
from src.core.event_queue import EventQueue
from src.core.events import DatabaseChecked, ExchangeHealth
from src.core.gateway import Gateway
from src.core.health.degraded_store import UNCHECKED
from src.core.health.stall import StallDetector, block_entries
from src.core.health.status import BotInfo
from src.core.limits.live_consent import load_pending_terms
from src.core.operator.command_poller import CommandPoller
from src.core.operator.consent_prompt import prompt_in_terminal
from src.core.operator.control_files import ControlFiles
from src.core.operator.restart import RestartRequest
from src.core.operator.stopping import GracefulStop
from src.core.order_cleanup import OrderCleanup
from src.core.streamer import LiquidationStreamer
from src.core.trader import Trader
from src.core.trading_status import EntryBlock
from src.core.user_stream import UserStream
from src.database.backups import Backups, BackupWorker
from src.database.control import CommandReader
from src.database.integrity import IntegrityCheck
from src.database.open_database import OpenedDatabase
from src.database.repositories import PAPER_ACCOUNT, Store
from src.domain import crash_points
from src.domain.clock import Clock, SteadyClock
from src.domain.crash_points import Point
from src.domain.events import Event, Task, TaskDue
from src.domain.instrument import Instrument, InstrumentList
from src.domain.market import MarkPrice, Quote
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
from src.exchange.client import AsterClient, ClockOffset
from src.exchange.connection import Timing
from src.exchange.limits import RateLimits
from src.exchange.paper import PaperExchange
from src.exchange.port import Exchange
from src.exchange.stream import StreamCallbacks, StreamHandler, StreamReader
from src.launch.shutdown import EXIT_CRASH, EXIT_OPEN_ENTRIES, EXIT_RESTART, EXIT_STOPPED
from src.settings.config import Environment, Settings

log = logging.getLogger("hunter.main")

STOP_SECONDS = 15.0
"""How long a stop waits until the exchange has confirmed that no entry can fill; an unanswered one needs about 14 s."""
_RESTART_SECONDS = 1.5
"""Before a restart: the next process takes care of what is left."""
_REPORT_SECONDS = 1.0
_CHECK_SECONDS = 0.2
USER_STREAM_TIMING = Timing(stale_after_ms=None)
"""The user data stream is silent while nothing happens to the account."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Configuration of one run, read and validated before the bot is created."""

    environment: Environment
    settings: Settings
    clock: Clock
    stop: threading.Event
    protect_only: bool
    started_at: int = 0
    """Time before the configuration was read; later restart requests need a new process."""
    assume_yes: bool = False
    user_stream_timing: Timing = USER_STREAM_TIMING
    stop_seconds: float = STOP_SECONDS


class Bot:
    """The components of a running bot and their threads."""

    def __init__(self, config: RunConfig, database: OpenedDatabase) -> None:
        environment, self._clock = config.environment, SteadyClock(config.clock)
        self._config = config
        self._store = Store(database.engine, self._clock, is_simulated=config.settings.globals_.simulate_only)
        self._limits = RateLimits(self._clock, reserve_pct=config.settings.globals_.rate_limit_buffer_pct)
        credentials = environment.credentials
        signer = credentials.make_signer(environment.network) if credentials else None
        self._offset = ClockOffset(self._clock, self._clock)
        self._client = AsterClient(
            environment.base_url,
            self._clock,
            self._limits,
            signer,
            heartbeat=heartbeat_current_thread,
            offset=self._offset,
        )
        self._event_queue = EventQueue(self._clock)
        self._needs_check = database.needs_check
        self._threads = ThreadGroup(self._clock)
        self._restart = RestartRequest(config.started_at, is_supervised=environment.is_supervised)
        self._commands = CommandReader(environment.control_database)

    def run(self, quarantined_to: str | None) -> int:
        """Run until stopped (0, or 5 if something is left at the exchange), a thread failed (1) or a restart was
        requested (4); returns the exit code."""
        bot_info = self._bot_info()
        if self._config.environment.credentials is None and not bot_info.is_simulated:
            code = SetupWait(self._store, self._clock, bot_info, self._restart, self._commands).wait(self._config.stop)
            return name_open_entries(self._store) if code == EXIT_STOPPED else code
        bind_database_to_network(self._store, bot_info.network, self._config.environment.database)
        is_restart_requested = partial(self._restart.poll, self._commands)
        loader = InstrumentLoader(
            AsterMarket(self._client).list_instruments, self._store, self._clock, bot_info, is_restart_requested
        )
        listed = loader.wait(self._config.stop)
        if is_restart_requested():
            return EXIT_RESTART
        if listed is None:
            return EXIT_STOPPED if bot_info.is_simulated else name_open_entries(self._store)
        with self._store.transaction():
            was_clean = self._store.begin_run(VERSION, os.getpid())
        record_edit_while_stopped(self._store, self._config.settings, self._commands)
        trader = self._compose(listed, bot_info, is_checked_first=not was_clean)
        if quarantined_to:
            self._warn(f"the database was damaged and was moved to {quarantined_to}; a new one was created")
        if not was_clean:
            self._warn("the last run did not shut down cleanly: checking everything against the exchange")
        if terms := load_pending_terms(self._store):  # before the threads start: then only the trader uses the store
            prompt_in_terminal(terms, self._event_queue.put)
        tune_interpreter()
        self._threads.start()
        if self._needs_check:
            path = self._config.environment.database
            IntegrityCheck(path, lambda damage: self._event_queue.put(DatabaseChecked(damage))).start()
        return self._shut_down(trader, self._supervise())

    def _compose(self, listed: InstrumentList, bot_info: BotInfo, *, is_checked_first: bool) -> Trader:
        config, clock, instruments = self._config, self._clock, listed.instruments
        random_below = secrets.randbelow
        context = TraderContext(config.settings, instruments, self._store, clock, random_below, bot_info.is_simulated)
        context.incomplete_instruments = {each.symbol: each.problem for each in listed.incomplete}
        context.restart, context.assume_yes = self._restart, config.assume_yes
        if config.protect_only:
            block_entries(context, is_supervised=config.environment.is_supervised)
        if self._needs_check and is_checked_first:
            context.trading_status.block(EntryBlock.DATABASE_CHECK, UNCHECKED)
        trader = Trader(context, bot_info, self._exchange_health)
        last_command = trader.restore()
        control_files = ControlFiles(config.environment.database)
        operator = CommandPoller(
            self._commands, control_files, config.environment.settings_file, config.settings, self._event_queue.put
        )
        exchange = self._exchange(instruments)
        gateway = Gateway(
            exchange,
            self._event_queue.put,
            clock,
            lambda: control_files.is_halted,
            lambda: operator.settings.globals_.batch_orders,
            (lambda: None) if bot_info.is_simulated else self._client.keep_connection,
        )
        self._threads.add("trader", partial(trader.run, self._event_queue, gateway.submit))
        for lane in range(gateway.lanes):
            self._threads.add(f"gateway-{lane}", partial(gateway.work, lane), gateway.stop)
        backup_worker = BackupWorker(Backups(config.environment.database, clock))
        self._threads.add("backup worker", backup_worker.run, backup_worker.stop)
        self._threads.add("operator", partial(operator.run, last_command), operator.stop)
        self._add_streams(exchange, operator, context)
        seconds = config.settings.globals_.order_cleanup_interval_seconds
        cleanup = OrderCleanup(self._event_queue.put, clock, seconds)
        self._threads.monitor(cleanup, cleanup.stop)
        cleanup.start()
        return trader

    def _exchange(self, instruments: dict[str, Instrument]) -> Exchange:
        if self._config.settings.globals_.simulate_only:
            read_rules = AsterMarket(self._client).list_instruments
            return PaperExchange(Engine(instruments, Fees()), self._event_queue.put_all, self._clock, read_rules)
        return AsterExchange(self._client)

    def _add_streams(self, exchange: Exchange, operator: CommandPoller, context: TraderContext) -> None:
        ws_url, clock = self._config.environment.ws_url, self._clock
        post: Callable[[Event], None] = self._event_queue.put
        if isinstance(exchange, PaperExchange):
            post = partial(_post_to_paper_too, self._event_queue.put, exchange)
            with self._store.transaction():
                saved = self._store.get_state(PAPER_ACCOUNT)
            exchange.start(saved)
        else:
            user = UserStream(ws_url, AsterListenKeys(self._client), self._event_queue.put, clock)
            user_reader = _make_reader(user.url, user.handler, clock, self._config.user_stream_timing)
            user.on_reconnect_needed(user_reader.reconnect, user_reader.renew)
            context.reconnect_user_stream = user_reader.reconnect
            self._threads.add("user stream", user_reader.run, user_reader.stop)
            self._threads.add("listen key", user.keep_alive, user.stop)
        removed = frozenset(context.removed_symbols)
        streamer = LiquidationStreamer(ws_url, lambda: operator.symbols | removed, post, clock)
        market = _make_reader(streamer.open_url, streamer.handler, clock, Timing())

        def on_settings() -> None:
            self._limits.set_reserve(operator.settings.globals_.rate_limit_buffer_pct)
            if streamer.is_outdated:  # a new connection misses liquidations for a moment
                market.reconnect()

        operator.on_settings(on_settings)
        self._threads.add("streamer", market.run, market.stop)

    def _supervise(self) -> int:
        """Wait for a stop, a restart request or a failed thread (I32); returns the exit code."""
        stall_detector = StallDetector(self._clock)
        while not self._config.stop.wait(0.5):
            if stall_detector.check() is not None:
                self._threads.heartbeat()
            if self._restart.is_requested:
                log.warning("restarting on request")
                return EXIT_RESTART
            if failed := self._threads.failed():
                log.critical("stopping because the thread %s; the launcher restarts the bot", failed)
                return EXIT_CRASH
        return EXIT_STOPPED

    def _shut_down(self, trader: Trader, code: int) -> int:
        """Cancel entries, leave protective orders open at the exchange (I15) and stop the threads.

        Returns the exit code: after a restart the next process takes care of what is left, after a stop a person must.
        """
        is_clean = code in (EXIT_STOPPED, EXIT_RESTART)
        if is_clean and not self._cancel_entries(trader.graceful_stop, code) and self._is_final(code):
            self._report_open_entries(trader.graceful_stop)
            code = code if trader.graceful_stop.settled.is_set() else EXIT_OPEN_ENTRIES
        running = self._threads.stop_all(self._event_queue.close, JOIN_SECONDS if is_clean else 0.1)
        if is_clean and not running:
            with self._store.transaction():
                self._store.end_run()
            log.info("stopped" if code != EXIT_OPEN_ENTRIES else "stopped; what is left at the exchange is named above")
        return code

    def _cancel_entries(self, stop: GracefulStop, code: int) -> bool:
        """Cancel entries until the exchange confirms that none can fill; False if the time is over before that."""
        log.info("stopping: cancelling open entries, stop losses and take profits stay open at the exchange")
        self._event_queue.put(TaskDue(Task.STOP, self._clock.now_ms()))
        since_ms = self._clock.monotonic_ms()
        while not stop.settled.wait(_CHECK_SECONDS):
            seconds = self._config.stop_seconds if self._is_final(code) else _RESTART_SECONDS
            if self._clock.monotonic_ms() - since_ms >= seconds * 1000 or self._threads.failed():
                break
        crash_points.reached(Point.ENTRIES_CANCELLED)
        return stop.settled.is_set()

    def _is_final(self, code: int) -> bool:
        """Whether no next process takes over; a stop may also be requested during a restart."""
        return code == EXIT_STOPPED or self._config.stop.is_set()

    def _report_open_entries(self, stop: GracefulStop) -> None:
        """Name what is left at the exchange in the log and on the dashboard."""
        self._event_queue.put(TaskDue(Task.STOP_TIMEOUT, self._clock.now_ms()))
        if not stop.reported.wait(_REPORT_SECONDS):
            log.critical("entries may still be open: check the orders on the exchange's site and cancel them there")

    def _bot_info(self) -> BotInfo:
        is_simulated = self._config.settings.globals_.simulate_only
        network = self._config.environment.network.value
        credentials = self._config.environment.credentials
        account = credentials.label if credentials and not is_simulated else ""
        supervised = self._config.environment.is_supervised
        return BotInfo(VERSION, os.getpid(), self._clock.now_ms(), network, is_simulated, account, supervised)

    def _exchange_health(self) -> ExchangeHealth:
        return ExchangeHealth(
            weight_used=self._limits.weight_used,
            weight_limit=self._limits.weight_limit,
            orders_used=self._limits.orders_used,
            has_entry_budget=self._limits.has_entry_budget,
            blocked_until=self._limits.blocked_until or 0,
            is_banned=self._limits.is_banned,
            clock_offset_ms=self._offset.ms or 0,
            clock_drift_ms=self._offset.drift_ms,
        )

    def _warn(self, message: str) -> None:
        log.warning("%s", message)
        with self._store.transaction():
            self._store.journal("alert", {"level": "warning", "message": message})


def _make_reader(address: Callable[[], str], handler: StreamHandler, clock: Clock, timing: Timing) -> StreamReader:
    return StreamReader(
        address,
        StreamCallbacks(handler.on_message, handler.on_up, handler.on_down, handler.on_unreadable),
        clock,
        Random(),
        timing,
    )


def _post_to_paper_too(post: Callable[[Event], None], paper: PaperExchange, event: Event) -> None:
    """Post an event and pass prices to the paper exchange too."""
    post(event)
    if isinstance(event, Quote | MarkPrice):
        paper.on_price(event)
