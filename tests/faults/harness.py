"""A whole bot in this process against a sandbox over real sockets; every claim is made on the sandbox's own books."""

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
    """What a fault's ``path`` must contain to strike orders of this role alone."""
    return f"-{role.letter}"


class FaultHarness(MarketDriver):
    """One sandbox, one bot on it (several lives of one), and what both have written."""

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
        self._is_host = server is None
        self.server = server or SandboxServer()
        if self._is_host:
            self.server.start()
        self.exchange = self.server.exchange
        self.keys = credentials_of(self.server, scheme)
        """What the bot's next life signs with."""
        self.user_stream_timing = USER_STREAM_TIMING
        """How the bot's next life reads its private stream."""
        self.clock = MachineClock()
        self.exit_code: int | None = None
        """How the bot's last life ended; None while it lives."""
        self.measured: dict[str, int] = {}
        """What docs/faults.md shall tell of this test, ms."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._previous_start: int | None = None

    # The bot's life

    def start(self) -> "FaultHarness":
        """Start the bot and wait until it trades: this life of it, for one that died may have left the same word."""
        self.launch()
        wait_until(self._is_trading, _TRADING_WITHIN_SECONDS, "the bot trades")
        return self

    def _is_trading(self) -> bool:
        return self.state("bot").get("started_at") != self._previous_start and self.trading_status()[0] == "ACTIVE"

    def launch(self, *, protect_only: bool = False) -> None:
        """Start the bot, and wait for nothing."""
        clock, self._stop, self.exit_code = self.clock, threading.Event(), None
        ledger = open_database(self._environment.database, clock.now_ms())
        self._previous_start = self.state("bot").get("started_at")
        files, timing = self._environment, self.user_stream_timing
        around = RunConfig(files, self.settings, clock, self._stop, protect_only, user_stream_timing=timing)
        self.bot, self.engine = Bot(around, ledger), ledger.engine
        self._thread = threading.Thread(target=self._run, args=[self.bot, ledger.engine], name="bot", daemon=True)
        self._thread.start()

    def _run(self, bot: Bot, engine: Engine) -> None:
        try:
            self.exit_code = bot.run(None)
        finally:
            engine.dispose()

    def stop(self) -> int | None:
        """Ask for a clean end; the exit code."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOPPED_WITHIN_SECONDS)
            assert not self._thread.is_alive(), "the bot does not end"
            self._wait_for_threads()
        return self.exit_code

    def _wait_for_threads(self) -> None:
        """A process takes them with it; here the next life must not meet what the last has still under way."""
        for worker in self.bot._threads._workers:
            worker.join(_THREAD_ENDS_WITHIN_SECONDS)

    def close(self) -> None:
        """End everything, whatever has happened."""
        try:
            self.stop()
        finally:
            if self._is_host:
                self.server.stop()
            if self._reader is not None:
                self._reader.dispose()

    @property
    def _environment(self) -> Environment:
        urls = self.server.base_url, self.server.ws_url
        return Environment(self.home, Network.SANDBOX, *urls, "127.0.0.1", 0, self.keys, self.home / "bot.db")

    # What goes wrong

    def inject(self, kind: FaultKind, role: OrderRole | None = None, **details: Any) -> None:
        """A fault at the sandbox's edge; with a role, on the placing of such orders alone."""
        if role is not None:
            details = {"path": order_path(role), "method": "POST", **details}
        self.exchange.inject(Fault(kind, **details))

    @contextmanager
    def without_user_stream(self) -> Iterator[None]:
        """What happens meanwhile, and nothing that happened before, is told by no private stream, which stays open."""
        self.silence_user_stream()
        yield
        self._flush_streams()
        self.exchange.clear_faults()

    def _flush_streams(self) -> None:
        """Frames go out in the order they were published, on a thread of their own: its turn comes after them."""
        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.exchange._streams._loop)
        turn.result(_STOPPED_WITHIN_SECONDS)

    def silence_user_stream(self) -> None:
        """From now on the private stream tells nothing, and stays open."""
        self._flush_streams()
        self.inject(FaultKind.STREAM_SILENT, path="user", times=FOREVER)

    def freeze_account_replies(self, *paths: str) -> list[Fault]:
        """From now on the account is told as it is at this moment, where it is asked for by these paths."""
        faults = [Fault(FaultKind.OUTDATED, path=path, times=FOREVER) for path in paths]
        for fault in faults:
            self.exchange.inject(fault)
        for _ in range(_MAX_REQUESTS):
            self.run_task_now(Task.RECONCILE)  # again where an answer was on its way already
            with suppress(AssertionError):
                wait_until(lambda: all(fault.stale_response is not None for fault in faults), 2)
                return faults
        raise AssertionError("the account is not read")

    def wait_past_stream_start(self) -> None:
        """What happens in its first second may, by clocks that differ, be older than the private stream: it proves
        nothing."""
        since = self.exchange.now_ms()
        wait_until(lambda: self.exchange.now_ms() > since + 1_200, 5)

    # What the market does to a position

    def open_position(self) -> str:
        """An entry that filled whole, its stop loss and its take profit at rest; the entry's id."""
        entry = self.trigger_entry()
        self.fill()
        self.wait_protected()
        return entry

    def wait_protected(self, seconds: float = 15) -> None:
        """How long that took is judged by ``check_books``, on the exchange's clock."""
        wait_until(lambda: self.position and len(self.orders(OrderRole.STOP_LOSS)) == 1, seconds, "a stop loss")
        wait_until(lambda: self.orders(OrderRole.TAKE_PROFIT), seconds, "a take profit")

    def close_position(self) -> None:
        self.send_command(OperatorAction.CLOSE_POSITION, symbol=SYMBOL)

    def resume(self) -> None:
        self.send_command(OperatorAction.RESUME)

    def send_command(self, action: OperatorAction, **details: Any) -> None:
        """The operator's wish, left where the dashboard leaves it."""
        control = open_control(self.home / "control.db")
        now_ms = SystemClock().now_ms()
        CommandWriter(control).add(action, f"{action} {now_ms}", now_ms, **details)
        control.dispose()

    def run_task_now(self, duty: Task) -> None:
        """Let a duty be due now that would be only later."""
        self.bot._event_queue.put(TaskDue(duty, SystemClock().now_ms()))

    def change_settings(self, **symbol_changes: Any) -> None:
        """Other settings in the file, and the dashboard's wish to take them over."""
        self._document["symbols"][SYMBOL].update(symbol_changes)
        self._write_settings()
        self.send_command(OperatorAction.RELOAD_SETTINGS)

    def _write_settings(self) -> None:
        (self.home / "settings.json").write_text(json.dumps(self._document), encoding="utf-8")

    # By hand, as on the exchange's web page

    def submit_manual_order(self, request: OrderRequest) -> OrderUpdate:
        with self.exchange.lock:
            return self.exchange.account.submit(request)

    def trade_manually(self, side: Side, quantity: str, name: str = "") -> None:
        """A market order that knows nothing of the bot, in the slot of longs."""
        name = name or f"web_{SystemClock().monotonic_ms()}"
        size = Quantity(D(quantity))
        self.submit_manual_order(OrderRequest(name, SYMBOL, side, self.position_side, OrderType.MARKET, quantity=size))

    @property
    def position_side(self) -> PositionSide:
        """The slot in which the bot holds what it buys."""
        return PositionSide.LONG if self.exchange.engine.hedge_mode else PositionSide.BOTH

    def cancel_manually(self, client_order_id: str) -> None:
        with self.exchange.lock:
            self.exchange.account.cancel(SYMBOL, None, client_order_id)

    def request_of(self, client_order_id: str) -> OrderRequest:
        """An entry as the bot asked for it, from its own journal: for an exchange that acts late."""
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
        """Put an event on the private stream, whether it is true or not."""
        with self.exchange.lock:
            key = self.exchange.listen_key.active(self.exchange.now_ms())
            assert key is not None
            self.exchange._streams.publish([key], render_event(update), USER_STREAM)

    # The claims that end every test

    def measure(self, what: str, condition: Callable[[], object], seconds: float) -> None:
        """Wait until it holds, as ever, and let docs/faults.md tell how long that took from now."""
        since = time.monotonic()
        wait_until(condition, seconds, what)
        self.measured[what] = max(self.measured.get(what, 0), round((time.monotonic() - since) * 1000))

    def check_consistency(self, unprotected_ms: int = 5_000) -> None:
        """Sent once, never naked for longer, never flipped, and both ledgers equal."""
        assert self.sent_twice() == {}
        self.measured[UNPROTECTED] = self.longest_unprotected_ms()
        assert self.measured[UNPROTECTED] <= unprotected_ms
        assert not self.flips(), self.fills()
        assert not self.server.wallet.nonces.rejected_count, "two requests shared a nonce, or one went back"
        wait_until(lambda: self.recorded_net() == self.net(), RECORDED_WITHIN_SECONDS, "equal ledgers")
        wait_until(lambda: self.recorded_position() == self.position, RECORDED_WITHIN_SECONDS, "equal positions")
        assert self.exit_code is None, "the bot has ended"
