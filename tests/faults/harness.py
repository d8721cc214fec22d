"""A complete bot in this process, on a sandbox over real sockets; checks use the sandbox's records."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from src.bot.bot import USER_STREAM_TIMING, Bot, RunConfig
from src.database.control import CommandWriter, open_control
from src.database.open_database import open_database
from src.domain.clock import SystemClock
from src.domain.commands import OperatorAction
from src.domain.enums import Network, OrderRole, OrderType, PositionSide, Side, TimeInForce
from src.domain.events import Task, TaskDue
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest, OrderUpdate
from src.exchange.wire import render_event
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.sandbox.server import SandboxServer
from src.sandbox.streams.names import USER_STREAM
from src.settings.config import Environment, parse_settings
from src.utils.auth import ApiVersion
from tests.builders import settings_document
from tests.faults.fault_table import UNPROTECTED
from tests.faults.market_driver import MarketDriver
from tests.faults.market_driver import wait_until as wait_until
from tests.faults.views import SYMBOL as SYMBOL
from tests.helpers import MachineClock
from tests.sandbox.credentials import credentials_of

D = Decimal
RECORDED_WITHIN_SECONDS = 15
_TRADING_WITHIN_SECONDS = 45
_STOPPED_WITHIN_SECONDS = 30
_THREAD_ENDS_WITHIN_SECONDS = 5
_MAX_REQUESTS = 10


def order_path(role: OrderRole) -> str:
    """A ``path`` for faults that apply only to orders of this role."""
    return f"-{role.letter}"


class FaultHarness(MarketDriver):
    """A sandbox, a bot on it that can be restarted, and the records of both."""

    def __init__(
        self,
        home: Path,
        scheme: ApiVersion,
        global_changes: dict[str, Any] | None = None,
        server: SandboxServer | None = None,
        **symbol_changes: Any,
    ) -> None:
        document = settings_document(**symbol_changes)
        document["globals"].update(
            {"hedge_mode": False, "cooldown_sec": 0, "order_cleanup_interval_seconds": 1, **(global_changes or {})}
        )
        self.home, self._document = home, document
        self._write_settings()
        self.settings = parse_settings(document)
        self._owns_server = server is None
        self.server = server or SandboxServer()
        if self._owns_server:
            self.server.start()
        self.exchange = self.server.exchange
        self.keys = credentials_of(self.server, scheme)
        """Credentials for the next start."""
        self.user_stream_timing = USER_STREAM_TIMING
        """Timing of the user data stream for the next start."""
        self.stop_seconds = 1.5
        """How long the next bot waits for its entries to be cancelled when it stops; a fault may go on at the end."""
        self.clock = MachineClock()
        self.exit_code: int | None = None
        """Exit code of the bot; None while it runs."""
        self.measured: dict[str, int] = {}
        """Times in ms for docs/faults.md."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._previous_start: int | None = None

    # Start and stop

    def start(self) -> "FaultHarness":
        """Start the bot and wait until it trades; the state left by an earlier run does not count."""
        self.launch()
        wait_until(self._is_trading, _TRADING_WITHIN_SECONDS, "the bot trades")
        return self

    def _is_trading(self) -> bool:
        return self.state("bot").get("started_at") != self._previous_start and self.trading_status()[0] == "ACTIVE"

    def launch(self, *, protect_only: bool = False) -> None:
        """Start the bot without waiting."""
        clock, self._stop, self.exit_code = self.clock, threading.Event(), None
        database = open_database(self._environment.database, clock.now_ms())
        self._previous_start = self.state("bot").get("started_at")
        files, timing = self._environment, self.user_stream_timing
        config = RunConfig(
            files,
            self.settings,
            clock,
            self._stop,
            protect_only,
            user_stream_timing=timing,
            stop_seconds=self.stop_seconds,
        )
        self.bot, self.engine = Bot(config, database), database.engine
        self._thread = threading.Thread(target=self._run, args=[self.bot, database.engine], name="bot", daemon=True)
        self._thread.start()

    def _run(self, bot: Bot, engine: Engine) -> None:
        try:
            self.exit_code = bot.run(None)
        finally:
            engine.dispose()

    def request_stop(self) -> None:
        """Request a clean stop, as a signal does."""
        self._stop.set()

    def stop(self) -> int | None:
        """Stop the bot cleanly; returns the exit code."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOPPED_WITHIN_SECONDS)
            assert not self._thread.is_alive(), "the bot does not stop"
            self._wait_for_threads()
        return self.exit_code

    def _wait_for_threads(self) -> None:
        """Wait for the worker threads, so that they do not run into the next start."""
        for worker in self.bot._threads._workers:
            worker.join(_THREAD_ENDS_WITHIN_SECONDS)

    def close(self) -> None:
        """Stop everything, even after a failure."""
        try:
            self.stop()
        finally:
            if self._owns_server:
                self.server.stop()
            if self._reader is not None:
                self._reader.dispose()

    @property
    def _environment(self) -> Environment:
        urls = self.server.base_url, self.server.ws_url
        return Environment(self.home, Network.SANDBOX, *urls, "127.0.0.1", 0, self.keys, self.home / "bot.db")

    # Faults

    def inject(self, kind: FaultKind, role: OrderRole | None = None, **details: Any) -> None:
        """Inject a fault into the sandbox; with a role, only for new orders of this role."""
        if role is not None:
            details = {"path": order_path(role), "method": "POST", **details}
        self.exchange.inject(Fault(kind, **details))

    @contextmanager
    def without_user_stream(self) -> Iterator[None]:
        """The user data stream omits the events of this block; it stays open."""
        self.silence_user_stream()
        yield
        self._flush_streams()
        self.exchange.clear_faults()

    def _flush_streams(self) -> None:
        """Wait until all published frames are sent; their thread sends them in order."""
        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.exchange._streams._loop)
        turn.result(_STOPPED_WITHIN_SECONDS)

    def silence_user_stream(self) -> None:
        """From now on the user data stream sends nothing; it stays open."""
        self._flush_streams()
        self.inject(FaultKind.STREAM_SILENT, path="user", times=FOREVER)

    def freeze_account_replies(self, *paths: str) -> list[Fault]:
        """From now on requests to these paths return the current state of the account."""
        faults = [Fault(FaultKind.OUTDATED, path=path, times=FOREVER) for path in paths]
        for fault in faults:
            self.exchange.inject(fault)
        for _ in range(_MAX_REQUESTS):
            self.run_task_now(Task.RECONCILE)  # again, as a response may already have been in flight
            with suppress(AssertionError):
                wait_until(lambda: all(fault.stale_response is not None for fault in faults), 2)
                return faults
        raise AssertionError("the account was not read")

    def wait_past_stream_start(self) -> None:
        """Wait a second: an event in the first second may seem older than the user data stream and not count."""
        since = self.exchange.now_ms()
        wait_until(lambda: self.exchange.now_ms() > since + 1_200, 5)

    # Positions

    def open_position(self) -> str:
        """Open a position with its stop loss and take profit; returns the client order id of the entry."""
        entry = self.trigger_entry()
        self.fill()
        self.wait_protected()
        return entry

    def wait_protected(self, seconds: float = 15) -> None:
        """Wait for the stop and the take profit; ``check_consistency`` checks the time on the exchange's clock."""
        wait_until(lambda: self.position and len(self.orders(OrderRole.STOP_LOSS)) == 1, seconds, "a stop loss")
        wait_until(lambda: self.orders(OrderRole.TAKE_PROFIT), seconds, "a take profit")

    def close_position(self) -> None:
        self.send_command(OperatorAction.CLOSE_POSITION, symbol=SYMBOL)

    def resume(self) -> None:
        self.send_command(OperatorAction.RESUME)

    def send_command(self, action: OperatorAction, **details: Any) -> None:
        """Write a command as the dashboard does."""
        control = open_control(self.home / "control.db")
        now_ms = SystemClock().now_ms()
        CommandWriter(control).add(action, f"{action} {now_ms}", now_ms, **details)
        control.dispose()

    def run_task_now(self, task: Task) -> None:
        """Run a scheduled task now."""
        self.bot._event_queue.put(TaskDue(task, SystemClock().now_ms()))

    def change_settings(self, **symbol_changes: Any) -> None:
        """Change the settings file and request a reload."""
        self._document["symbols"][SYMBOL].update(symbol_changes)
        self._write_settings()
        self.send_command(OperatorAction.RELOAD_SETTINGS)

    def _write_settings(self) -> None:
        (self.home / "settings.json").write_text(json.dumps(self._document), encoding="utf-8")

    # Manual actions, as on the website of the exchange

    def submit_manual_order(self, request: OrderRequest) -> OrderUpdate:
        with self.exchange.lock:
            return self.exchange.account.submit(request)

    def trade_manually(self, side: Side, quantity: str, name: str = "") -> None:
        """Submit a manual market order for the long position."""
        name = name or f"web_{SystemClock().monotonic_ms()}"
        size = Quantity(D(quantity))
        self.submit_manual_order(OrderRequest(name, SYMBOL, side, self.position_side, OrderType.MARKET, quantity=size))

    @property
    def position_side(self) -> PositionSide:
        """Position side of the bot's long positions."""
        return PositionSide.LONG if self.exchange.engine.hedge_mode else PositionSide.BOTH

    def cancel_manually(self, client_order_id: str) -> None:
        with self.exchange.lock:
            self.exchange.account.cancel(SYMBOL, None, client_order_id)

    def request_of(self, client_order_id: str) -> OrderRequest:
        """The bot's order request of an entry, from its database, to simulate a late execution."""
        [row] = self.rows("SELECT * FROM trades WHERE client_order_id = :name", name=client_order_id)
        return OrderRequest(
            client_order_id=client_order_id,
            symbol=row["symbol"],
            side=Side(row["side"]),
            position_side=PositionSide(row["position_side"]),
            type=OrderType(row["order_type"]),
            quantity=Quantity(D(row["quantity"])),
            price=Price(D(row["price"])),
            time_in_force=TimeInForce(row["time_in_force"]),
        )

    def publish_update(self, update: OrderUpdate) -> None:
        """Publish an event on the user data stream, true or not."""
        with self.exchange.lock:
            key = self.exchange.listen_key.active(self.exchange.now_ms())
            assert key is not None
            self.exchange._streams.publish([key], render_event(update), USER_STREAM)

    # Final checks

    def measure(self, name: str, condition: Callable[[], object], seconds: float) -> None:
        """Wait until the condition holds, and record the time for docs/faults.md."""
        since = time.monotonic()
        wait_until(condition, seconds, name)
        self.measured[name] = max(self.measured.get(name, 0), round((time.monotonic() - since) * 1000))

    def check_consistency(self, unprotected_ms: int = 5_000, *, has_manual_trades: bool = False) -> None:
        """No order was sent twice, no position was unprotected for longer or reversed, and both records agree.

        The results of manual trades in an open position are not recorded: then only the bot's own trades are compared.
        """
        assert self.sent_twice() == {}
        self.measured[UNPROTECTED] = self.longest_unprotected_ms()
        assert self.measured[UNPROTECTED] <= unprotected_ms
        assert not self.flips(), self.fills()
        assert not self.server.wallet.nonces.rejected_count, "a nonce was used twice or decreased"
        wait_until(lambda: self.recorded_trades() == self.own_trades(), RECORDED_WITHIN_SECONDS, "equal trades")
        if not has_manual_trades:
            wait_until(lambda: self.recorded_net() == self.net(), RECORDED_WITHIN_SECONDS, "equal results")
        wait_until(lambda: self.recorded_position() == self.position, RECORDED_WITHIN_SECONDS, "equal positions")
        assert self.exit_code is None, "the bot has ended"
