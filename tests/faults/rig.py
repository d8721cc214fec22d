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

from src.bot.bot import Bot
from src.bot.surroundings import PRIVATE_TIMING, Surroundings
from src.database.control import CommandDesk, open_control
from src.database.ledger import open_ledger
from src.domain.clock import SystemClock
from src.domain.enums import Network, OrderRole, OrderType, PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from src.domain.messages import Due, Duty, OperatorAction
from src.domain.orders import OrderRequest, OrderUpdate
from src.exchange.wire import render_event
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.sandbox.server import SandboxServer
from src.sandbox.stream_names import USER_STREAM
from src.utils.auth import Scheme
from src.utils.config import Environment, parse_settings
from tests.builders import settings_document
from tests.clocks import MachineClock
from tests.faults.exchange_books import SYMBOL as SYMBOL
from tests.faults.market import MarketHand
from tests.faults.table import NAKED
from tests.faults.waiting import wait_until as wait_until
from tests.sandbox.credentials import credentials_of

D = Decimal
BOOKED_WITHIN_SECONDS = 15
_TRADING_WITHIN_SECONDS = 45
_STOPPED_WITHIN_SECONDS = 30
_THREAD_ENDS_WITHIN_SECONDS = 5
_ASKED_AT_MOST = 10


def letter(role: OrderRole) -> str:
    """What a fault's ``path`` must contain to strike orders of this role alone."""
    return f"-{role.letter}"


class Rig(MarketHand):
    """One sandbox, one bot on it (several lives of one), and what both have written."""

    def __init__(
        self,
        home: Path,
        scheme: Scheme,
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
        self.private_timing = PRIVATE_TIMING
        """How the bot's next life reads its private stream."""
        self.machine = MachineClock()
        self.code: int | None = None
        """How the bot's last life ended; None while it lives."""
        self.measured: dict[str, int] = {}
        """What docs/faults.md shall tell of this test, ms."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._life_before: int | None = None

    # The bot's life

    def start(self) -> "Rig":
        """Start the bot and wait until it trades: this life of it, for one that died may have left the same word."""
        self.launch()
        wait_until(self._trades, _TRADING_WITHIN_SECONDS, "the bot trades")
        return self

    def _trades(self) -> bool:
        return self.state("bot").get("started_at") != self._life_before and self.trading()[0] == "ACTIVE"

    def launch(self, *, protect_only: bool = False) -> None:
        """Start the bot, and wait for nothing."""
        clock, self._stop, self.code = self.machine, threading.Event(), None
        ledger = open_ledger(self._environment.database, clock.now_ms())
        self._life_before = self.state("bot").get("started_at")
        files, timing = self._environment, self.private_timing
        around = Surroundings(files, self.settings, clock, self._stop, protect_only, private_timing=timing)
        self.bot, self.engine = Bot(around, ledger), ledger.engine
        self._thread = threading.Thread(target=self._run, args=[self.bot, ledger.engine], name="bot", daemon=True)
        self._thread.start()

    def _run(self, bot: Bot, engine: Engine) -> None:
        try:
            self.code = bot.run(None)
        finally:
            engine.dispose()

    def stop(self) -> int | None:
        """Ask for a clean end; the exit code."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOPPED_WITHIN_SECONDS)
            assert not self._thread.is_alive(), "the bot does not end"
            self._wait_for_threads()
        return self.code

    def _wait_for_threads(self) -> None:
        """A process takes them with it; here the next life must not meet what the last has still under way."""
        for worker in self.bot._crew._workers:
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
            details = {"path": letter(role), "method": "POST", **details}
        self.exchange.inject(Fault(kind, **details))

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What happens meanwhile, and nothing that happened before, is told by no private stream, which stays open."""
        self.mute()
        yield
        self._deliver_all()
        self.exchange.clear_faults()

    def _deliver_all(self) -> None:
        """Frames go out in the order they were published, on a thread of their own: its turn comes after them."""
        turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.exchange._streams._loop)
        turn.result(_STOPPED_WITHIN_SECONDS)

    def mute(self) -> None:
        """From now on the private stream tells nothing, and stays open."""
        self._deliver_all()
        self.inject(FaultKind.STREAM_MUTE, path="user", times=FOREVER)

    def freeze(self, *paths: str) -> list[Fault]:
        """From now on the account is told as it is at this moment, where it is asked for by these paths."""
        faults = [Fault(FaultKind.OUTDATED, path=path, times=FOREVER) for path in paths]
        for fault in faults:
            self.exchange.inject(fault)
        for _ in range(_ASKED_AT_MOST):
            self.remind(Duty.RECONCILE)  # again where an answer was on its way already
            with suppress(AssertionError):
                wait_until(lambda: all(fault.kept is not None for fault in faults), 2)
                return faults
        raise AssertionError("the account is not read")

    def wait_private_proof(self) -> None:
        """What happens in its first second may, by clocks that differ, be older than the private stream: it proves
        nothing."""
        since = self.exchange.now_ms()
        wait_until(lambda: self.exchange.now_ms() > since + 1_200, 5)

    # What the market does to a position

    def open_position(self) -> str:
        """An entry that filled whole, its stop loss and its take profit at rest; the entry's id."""
        entry = self.hunt()
        self.fill()
        self.wait_protected()
        return entry

    def wait_protected(self, seconds: float = 15) -> None:
        """How long that took is judged by ``check_books``, on the exchange's clock."""
        wait_until(lambda: self.position and len(self.orders(OrderRole.STOP_LOSS)) == 1, seconds, "a stop loss")
        wait_until(lambda: self.orders(OrderRole.TAKE_PROFIT), seconds, "a take profit")

    def close_position(self) -> None:
        self.wish(OperatorAction.CLOSE_POSITION, symbol=SYMBOL)

    def resume(self) -> None:
        self.wish(OperatorAction.RESUME)

    def wish(self, action: OperatorAction, **details: Any) -> None:
        """The operator's wish, left where the dashboard leaves it."""
        control = open_control(self.home / "control.db")
        now_ms = SystemClock().now_ms()
        CommandDesk(control).ask(action, f"{action} {now_ms}", now_ms, **details)
        control.dispose()

    def remind(self, duty: Duty) -> None:
        """Let a duty be due now that would be only later."""
        self.bot._inbox.post(Due(duty, SystemClock().now_ms()))

    def change_settings(self, **symbol_changes: Any) -> None:
        """Other settings in the file, and the dashboard's wish to take them over."""
        self._document["symbols"][SYMBOL].update(symbol_changes)
        self._write_settings()
        self.wish(OperatorAction.RELOAD_SETTINGS)

    def _write_settings(self) -> None:
        (self.home / "settings.json").write_text(json.dumps(self._document), encoding="utf-8")

    # By hand, as on the exchange's web page

    def by_hand(self, request: OrderRequest) -> OrderUpdate:
        with self.exchange.lock:
            return self.exchange.account.submit(request)

    def trade_by_hand(self, side: Side, quantity: str, name: str = "") -> None:
        """A market order that knows nothing of the bot, in the slot of longs."""
        name = name or f"web_{SystemClock().monotonic_ms()}"
        size = Quantity(D(quantity))
        self.by_hand(OrderRequest(name, SYMBOL, side, self.slot_side, OrderType.MARKET, quantity=size))

    @property
    def slot_side(self) -> PositionSide:
        """The slot in which the bot holds what it buys."""
        return PositionSide.LONG if self.exchange.engine.hedge_mode else PositionSide.BOTH

    def cancel_by_hand(self, client_order_id: str) -> None:
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

    def tell(self, update: OrderUpdate) -> None:
        """Put an event on the private stream, whether it is true or not."""
        with self.exchange.lock:
            key = self.exchange.listen_key.active(self.exchange.now_ms())
            assert key is not None
            self.exchange._streams.publish([key], render_event(update), USER_STREAM)

    # The claims that end every test

    def measure(self, what: str, claim: Callable[[], object], seconds: float) -> None:
        """Wait until it holds, as ever, and let docs/faults.md tell how long that took from now."""
        since = time.monotonic()
        wait_until(claim, seconds, what)
        self.measured[what] = max(self.measured.get(what, 0), round((time.monotonic() - since) * 1000))

    def check_books(self, naked_ms: int = 5_000) -> None:
        """Sent once, never naked for longer, never flipped, and both ledgers equal."""
        assert self.sent_twice() == {}
        self.measured[NAKED] = self.longest_naked_ms()
        assert self.measured[NAKED] <= naked_ms
        assert not self.flips(), self.fills()
        assert not self.server.wallet.nonces.refused, "two requests shared a nonce, or one went back"
        wait_until(lambda: self.booked_net() == self.net(), BOOKED_WITHIN_SECONDS, "equal ledgers")
        wait_until(lambda: self.booked_position() == self.position, BOOKED_WITHIN_SECONDS, "equal positions")
        assert self.code is None, "the bot has ended"
