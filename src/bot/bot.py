"""The bot in one process: its parts put together, its threads watched, and its end."""

import logging
import os
import secrets
from collections.abc import Callable
from functools import partial
from random import Random

from src import VERSION
from src.bot.crew import JOIN_SECONDS, Crew
from src.bot.surroundings import Surroundings
from src.core.archivist import Archivist
from src.core.desks.consent_desk import pending_in
from src.core.desks.desk import Desk
from src.core.gateway import Gateway
from src.core.inbox import Inbox
from src.core.operator.consent_prompt import ask_in_terminal
from src.core.operator.operator_files import OperatorFiles
from src.core.operator.operator_inbox import OperatorInbox
from src.core.operator.restart import EXIT_RESTART, RestartWish
from src.core.order_cleanup import OrderCleanup
from src.core.start_up import InstrumentsQuest, SetUpQuest, claim_network
from src.core.status import Identity
from src.core.stream_ear import StreamEar
from src.core.streamer import LiquidationStreamer
from src.core.trader import Trader
from src.core.user_stream import UserStream
from src.core.vitals import Vitals
from src.core.watch.crash_loop import hold_back
from src.core.watch.standstill import Turns
from src.core.worker import beat_here
from src.database.backups import Backups
from src.database.control import CommandReader
from src.database.ledger import OpenLedger
from src.database.repositories import PAPER_ACCOUNT, Store
from src.domain import crash_points
from src.domain.clock import Clock, SteadyClock
from src.domain.crash_points import Point
from src.domain.instrument import Instrument
from src.domain.market import MarkPrice, Quote
from src.domain.messages import Due, Duty, Event
from src.engine.costs import Costs
from src.engine.engine import Engine
from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
from src.exchange.client import AsterClient
from src.exchange.clock_offset import ClockOffset
from src.exchange.connection import Timing
from src.exchange.limits import RateLimits
from src.exchange.paper import PaperExchange
from src.exchange.port import Exchange
from src.exchange.stream import Listener, StreamReader

log = logging.getLogger("hunter.main")

EXIT_CRASH = 1
_STOP_ENTRIES_SECONDS = 1.5


class Bot:
    """Every part of a running bot, and the threads that carry them."""

    def __init__(self, around: Surroundings, ledger: OpenLedger) -> None:
        environment, self._clock = around.environment, SteadyClock(around.clock)
        self._around = around
        self._store = Store(ledger.engine, self._clock, is_simulated=around.settings.globals_.simulate_only)
        self._limits = RateLimits(self._clock, reserve_pct=int(around.settings.globals_.rate_limit_buffer_pct))
        credentials = environment.credentials
        signer = credentials.make_signer() if credentials else None
        self._offset = ClockOffset(self._clock, self._clock)
        self._client = AsterClient(
            environment.base_url, self._clock, self._limits, signer, beat=beat_here, offset=self._offset
        )
        self._inbox = Inbox(self._clock)
        self._crew = Crew(self._clock)
        self._restart = RestartWish(around.began_at, is_supervised=environment.is_supervised)
        self._commands = CommandReader(environment.control_database)

    def run(self, moved_aside: str | None) -> int:
        """Until a stop is asked for (0), a part has died (1), or a new process is wanted (4)."""
        identity = self._identity()
        if self._around.environment.credentials is None and not identity.is_simulated:
            return SetUpQuest(self._store, self._clock, identity, self._restart, self._commands).wait(self._around.stop)
        claim_network(self._store, identity.network, self._around.environment.database)
        is_called_off = partial(self._restart.look, self._commands)
        quest = InstrumentsQuest(AsterMarket(self._client), self._store, self._clock, identity, is_called_off)
        instruments = quest.wait(self._around.stop)
        if is_called_off():
            return EXIT_RESTART
        if instruments is None:
            return 0
        with self._store.transaction():
            was_clean = self._store.begin_run(VERSION, os.getpid())
        trader = self._compose(instruments, identity)
        if moved_aside:
            self._tell(f"the database was damaged and lies now at {moved_aside}; a new one was started")
        if not was_clean:
            self._tell("the last run did not end by itself: everything is checked against the exchange")
        if terms := pending_in(self._store):  # before the threads: the store is the trader's own from then on
            ask_in_terminal(terms, self._inbox.post)
        self._crew.start()
        code = self._watch()
        self._shut_down(trader, code)
        return code

    def _compose(self, instruments: dict[str, Instrument], identity: Identity) -> Trader:
        around, clock = self._around, self._clock
        draw = secrets.randbelow
        desk = Desk(around.settings, instruments, self._store, clock, draw, identity.is_simulated)
        desk.restart, desk.assume_yes = self._restart, around.assume_yes
        if around.protect_only:
            hold_back(desk, is_supervised=around.environment.is_supervised)
        trader = Trader(desk, identity, self._vitals)
        last_command = trader.restore()
        files = OperatorFiles(around.environment.database)
        operator = OperatorInbox(
            self._commands, files, around.environment.settings_file, around.settings, self._inbox.post
        )
        exchange = self._exchange(instruments)
        gateway = Gateway(exchange, self._inbox.post, clock, lambda: files.is_halted)
        self._crew.add("trader", partial(trader.run, self._inbox, gateway.submit))
        for lane in range(gateway.lanes):
            self._crew.add(f"gateway-{lane}", partial(gateway.work, lane), gateway.stop)
        archivist = Archivist(Backups(around.environment.database, clock))
        self._crew.add("archivist", archivist.run, archivist.stop)
        self._crew.add("operator", partial(operator.run, last_command), operator.stop)
        self._add_streams(exchange, operator, desk)
        seconds = around.settings.globals_.order_cleanup_interval_seconds
        cleanup = OrderCleanup(self._inbox.post, clock, seconds)
        self._crew.look_after(cleanup, cleanup.stop)
        cleanup.start()
        return trader

    def _exchange(self, instruments: dict[str, Instrument]) -> Exchange:
        if self._around.settings.globals_.simulate_only:
            read_rules = AsterMarket(self._client).instruments
            return PaperExchange(Engine(instruments, Costs()), self._inbox.post_all, self._clock, read_rules)
        return AsterExchange(self._client)

    def _add_streams(self, exchange: Exchange, operator: OperatorInbox, desk: Desk) -> None:
        ws_url, clock = self._around.environment.ws_url, self._clock
        post: Callable[[Event], None] = self._inbox.post
        if isinstance(exchange, PaperExchange):
            post = partial(_post_and_show, self._inbox.post, exchange)
            with self._store.transaction():
                kept = self._store.get_state(PAPER_ACCOUNT)
            exchange.start(kept)
        else:
            user = UserStream(ws_url, AsterListenKeys(self._client), self._inbox.post, clock)
            private = _reader(user.url, user.ear, clock, self._around.private_timing)
            user.on_expiry(private.renew)
            desk.renew_private = private.renew
            self._crew.add("user stream", private.run, private.stop)
            self._crew.add("listen key", user.keep_alive, user.stop)
        held = frozenset(desk.retired)
        streamer = LiquidationStreamer(ws_url, lambda: operator.symbols | held, post, clock)
        market = _reader(streamer.url, streamer.ear, clock, Timing())
        operator.on_settings(market.renew)
        self._crew.add("streamer", market.run, market.stop)

    def _watch(self) -> int:
        """Wait for a stop; a thread that has died or shows no sign of life ends the process (I32)."""
        turns = Turns(self._clock)
        while not self._around.stop.wait(0.5):
            if turns.stood_still() is not None:
                self._crew.beat()
            if self._restart.is_asked:
                log.warning("the bot ends to be started anew, as was asked")
                return EXIT_RESTART
            if lost := self._crew.lost():
                log.critical("the bot ends because its %s; the launcher starts it anew", lost)
                return EXIT_CRASH
        return 0

    def _shut_down(self, trader: Trader, code: int) -> None:
        """Entries are cancelled, protection stays where it rests (I15)."""
        is_wanted = code in (0, EXIT_RESTART)
        if is_wanted:
            log.info("stopping: open entries are cancelled, stop losses and take profits stay on the exchange")
            self._inbox.post(Due(Duty.STOP, self._clock.now_ms()))
            trader.entries_gone.wait(_STOP_ENTRIES_SECONDS)
            crash_points.reached(Point.ENTRIES_CANCELLED)
        running = self._crew.end(self._inbox.close, JOIN_SECONDS if is_wanted else 0.1)
        if is_wanted and not running:
            with self._store.transaction():
                self._store.end_run()
            log.info("stopped")

    def _identity(self) -> Identity:
        is_simulated = self._around.settings.globals_.simulate_only
        network = self._around.environment.network.value
        credentials = self._around.environment.credentials
        account = credentials.label if credentials and not is_simulated else ""
        supervised = self._around.environment.is_supervised
        return Identity(VERSION, os.getpid(), self._clock.now_ms(), network, is_simulated, account, supervised)

    def _vitals(self) -> Vitals:
        return Vitals(
            weight_used=self._limits.used,
            weight_limit=self._limits.weight_limit,
            orders_used=self._limits.orders_used,
            blocked_until=self._limits.blocked_until or 0,
            is_banned=self._limits.is_banned,
            clock_offset_ms=self._offset.ms or 0,
            clock_strayed_ms=self._offset.strayed_ms,
        )

    def _tell(self, message: str) -> None:
        log.warning("%s", message)
        with self._store.transaction():
            self._store.journal("alert", {"level": "warning", "message": message})


def _reader(address: Callable[[], str], ear: StreamEar, clock: Clock, timing: Timing) -> StreamReader:
    return StreamReader(address, Listener(ear.on_message, ear.on_up, ear.on_down), clock, Random(), timing)


def _post_and_show(post: Callable[[Event], None], paper: PaperExchange, event: Event) -> None:
    """In simulation the market's prices also move the paper account."""
    post(event)
    if isinstance(event, Quote | MarkPrice):
        paper.observe(event)
