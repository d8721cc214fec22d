"""The bot, headless: composes its parts, starts its threads, and ends when one of them dies or a stop is asked for."""

import argparse
import getpass
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from types import FrameType
from typing import NoReturn

from src.launch.packages import required_packages

with required_packages(of_program=__name__ == "__main__"):
    from src import VERSION
    from src.core.archivist import Archivist
    from src.core.desks.consent_desk import pending_in
    from src.core.desks.desk import Desk
    from src.core.gateway import Gateway
    from src.core.inbox import Inbox
    from src.core.operator.cli import Wish, fulfil, parse_arguments
    from src.core.operator.consent_prompt import ask_in_terminal
    from src.core.operator.operator_files import OperatorFiles
    from src.core.operator.operator_inbox import OperatorInbox
    from src.core.operator.restart import EXIT_RESTART, RestartWish
    from src.core.operator.set_up import Terminal, set_up
    from src.core.order_cleanup import OrderCleanup
    from src.core.start_up import InstrumentsQuest, SetUpQuest, claim_network
    from src.core.status import Identity, mode_of
    from src.core.stream_ear import StreamEar
    from src.core.streamer import LiquidationStreamer
    from src.core.trader import Trader
    from src.core.user_stream import UserStream
    from src.core.vitals import Vitals
    from src.core.watch.crash_loop import hold_back
    from src.core.watch.standstill import Turns
    from src.core.worker import Watched, Worker, beat_here
    from src.database.backups import Backups
    from src.database.control import CommandReader
    from src.database.ledger import AlreadyRunning, LedgerLock, OpenLedger, Unavailable, open_ledger
    from src.database.repositories import PAPER_ACCOUNT, Store
    from src.doctor.examination import examine, report
    from src.domain import crash_points
    from src.domain.clock import Clock, SteadyClock, SystemClock
    from src.domain.crash_points import Point
    from src.domain.errors import ConfigError
    from src.domain.instrument import Instrument
    from src.domain.market import MarkPrice, Quote
    from src.domain.messages import Due, Duty, Event
    from src.engine.costs import Costs
    from src.engine.engine import Engine
    from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
    from src.exchange.client import AsterClient
    from src.exchange.clock_offset import ClockOffset
    from src.exchange.connection import Timing
    from src.exchange.credential_check import CredentialChecker
    from src.exchange.limits import RateLimits
    from src.exchange.paper import PaperExchange
    from src.exchange.port import Exchange
    from src.exchange.stream import Listener, StreamReader
    from src.launch.console import utf8_output
    from src.utils.config import Environment, Settings, find_home, load_environment, load_settings
    from src.utils.log import set_up_logging

log = logging.getLogger("hunter.main")

EXIT_CONFIG, EXIT_LOCKED, EXIT_CRASH = 2, 3, 1
STUCK_MS = 15_000
_STOP_ENTRIES_SECONDS = 1.5
_JOIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the bot is started with."""

    environment: Environment
    settings: Settings
    clock: Clock
    stop: threading.Event
    protect_only: bool
    began_at: int = 0
    """Before anything was read: what is saved later asks for a new process."""
    assume_yes: bool = False


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
        self._workers: list[Worker] = []
        self._watched: list[Watched] = []
        self._closers: list[Callable[[], None]] = []
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
        for worker in self._workers:
            worker.start()
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
        self._add_worker("trader", partial(trader.run, self._inbox, gateway.submit))
        for lane in range(gateway.lanes):
            self._add_worker(f"gateway-{lane}", partial(gateway.work, lane), gateway.stop)
        archivist = Archivist(Backups(around.environment.database, clock))
        self._add_worker("archivist", archivist.run, archivist.stop)
        self._add_worker("operator", partial(operator.run, last_command), operator.stop)
        self._add_streams(exchange, operator, desk)
        seconds = around.settings.globals_.order_cleanup_interval_seconds
        cleanup = OrderCleanup(self._inbox.post, clock, seconds)
        self._closers.append(cleanup.stop)
        self._watched = [*self._workers, cleanup]
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
            private = _reader(user.url, user.ear, clock, Timing(stale_after_ms=None))
            user.on_expiry(private.renew)
            desk.renew_private = private.renew
            self._add_worker("user stream", private.run, private.stop)
            self._add_worker("listen key", user.keep_alive, user.stop)
        held = frozenset(desk.retired)
        streamer = LiquidationStreamer(ws_url, lambda: operator.symbols | held, post, clock)
        market = _reader(streamer.url, streamer.ear, clock, Timing())
        operator.on_settings(market.renew)
        self._add_worker("streamer", market.run, market.stop)

    def _add_worker(
        self, name: str, body: Callable[[Callable[[], None]], None], close: Callable[[], None] | None = None
    ) -> None:
        self._workers.append(Worker(name, body, self._clock))
        if close is not None:
            self._closers.append(close)

    def _watch(self) -> int:
        """Wait for a stop; a thread that has died or shows no sign of life ends the process (I32)."""
        turns = Turns(self._clock)
        while not self._around.stop.wait(0.5):
            if turns.stood_still() is not None:  # so did the threads: they have just as long to show that they live
                for each in self._watched:
                    each.beat()
            if self._restart.is_asked:
                log.warning("the bot ends to be started anew, as was asked")
                return EXIT_RESTART
            for each in self._watched:
                if not each.is_alive:
                    log.critical("the bot ends because its %s has died; the launcher starts it anew", each.name)
                    return EXIT_CRASH
                if each.silent_ms > STUCK_MS:
                    log.critical("the bot ends because its %s is stuck; the launcher starts it anew", each.name)
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
        closing = threading.Thread(target=self._close, name="closing", daemon=True)
        closing.start()
        closing.join(_JOIN_SECONDS)  # a lock that a stuck thread holds must not hold the end up
        patience = _JOIN_SECONDS if is_wanted else 0.1
        running = [worker.name for worker in self._workers if not worker.join(patience)]
        if is_wanted and not running:
            with self._store.transaction():
                self._store.end_run()
            log.info("stopped")

    def _close(self) -> None:
        for close in self._closers:
            close()
        self._inbox.close()

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


def start(arguments: argparse.Namespace, stop: threading.Event) -> int:
    """Read everything, take the lock, run. ConfigError where the bot cannot be started as it is set."""
    clock = SystemClock()
    began_at = clock.now_ms()
    environment = load_environment(find_home(arguments.home))
    credentials = environment.credentials
    hidden = credentials.secrets if credentials else ()
    set_up_logging("bot", environment.log_directory, secrets=hidden)
    settings = load_settings(environment.settings_file)
    for sentence in (*environment.warnings, *settings.obsolete):
        log.warning("%s", sentence)
    if not settings.globals_.simulate_only and credentials is None and not environment.is_supervised:
        raise ConfigError(
            f"settings.json asks for real orders (simulate_only is false), but {environment.home / '.env'} holds "
            "neither an API key nor an API wallet: run python main.py --setup, or set simulate_only to true"
        )
    lock = LedgerLock(environment.database)
    lock.acquire()
    try:
        ledger = open_ledger(environment.database, clock.now_ms())
        around = Surroundings(environment, settings, clock, stop, arguments.protect_only, began_at, arguments.yes)
        mode = mode_of(environment.network, is_simulated=settings.globals_.simulate_only)
        log.info("bot %s on %s: %s, symbols %s", VERSION, environment.network, mode, ", ".join(settings.symbols))
        return Bot(around, ledger).run(str(ledger.moved_aside) if ledger.moved_aside else None)
    finally:
        lock.release()


def _stop_on_signals() -> threading.Event:
    """Ctrl-C and a service manager's stop set it."""
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), ask_to_stop)
    return stop


def ask_for_set_up(home: str | None) -> int:
    """The questions of ``--setup``, and what the exchange says to the answers."""
    environment = load_environment(find_home(home))
    checker = CredentialChecker(environment.base_url, SystemClock())
    terminal = Terminal(input, getpass.getpass, print)
    try:
        return set_up(environment, terminal, lambda found, hedge_mode: checker.check(found, hedge_mode=hedge_mode))
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was saved.")
        return 1


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 stopped, 1 died, 2 settings or .env, 3 another bot runs on this database, 4 start anew."""
    arguments = parse_arguments(argv)
    try:
        if arguments.wish is Wish.CHECK:
            return report(examine(find_home(arguments.home), SystemClock()), utf8_output())
        if arguments.wish is Wish.SETUP:
            return ask_for_set_up(arguments.home)
        if arguments.wish is not None:
            return fulfil(arguments.wish, arguments.home, SystemClock())
        return start(arguments, _stop_on_signals())
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return _exit_code(error)


def _exit_code(error: ConfigError) -> int:
    """A database that only cannot be used at this moment is tried again by the launcher."""
    match error:
        case AlreadyRunning():
            return EXIT_LOCKED
        case Unavailable():
            return EXIT_CRASH
        case _:
            return EXIT_CONFIG


def end(code: int) -> NoReturn:
    """Leave; after a crash whatever hangs: Python would wait for the scheduler's threads for ever."""
    if code == EXIT_CRASH:
        last_words = threading.Thread(target=logging.shutdown, daemon=True)
        last_words.start()
        last_words.join(_JOIN_SECONDS)
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    end(main())
