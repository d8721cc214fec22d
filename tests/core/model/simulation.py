"""A simulation of the real trader, database, gateway and engine, with controlled time and network."""

import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event as database_events

from src.core.events import TraderEvent
from src.core.gateway import Gateway
from src.core.order_cleanup import CHECK_POSITIONS_SECONDS, RECONCILE_SECONDS
from src.database.open_database import open_database
from src.domain.clock import ManualClock
from src.domain.commands import Command, OperatorAction, OperatorCommand
from src.domain.enums import OrderRole
from src.domain.events import Stream, StreamDown, StreamUp, Task, TaskDue
from src.exchange.port import Exchange
from tests.builders import NOW, some_settings
from tests.core.harness import Harness
from tests.core.model.database_view import DatabaseView
from tests.core.model.exchange import SYMBOL, ModelExchange
from tests.core.model.faulty_network import Fault, Target, client_order_id_of, role_of
from tests.core.model.invariants import POSITION_CAP, TOTAL_CAP, Invariants

_SECOND_MS = 1000
_RECONCILE_MS, _CLEANUP_MS = RECONCILE_SECONDS * 1000, 10_000
_SETTLED_WITHIN_S = 120
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Many examples commit often, so the database is kept in memory where possible."""
_RECOVERED_WITHIN_S = {
    Target.ENTRY: 5,
    Target.STOP_LOSS: 5,
    Target.TAKE_PROFIT: 0,
    Target.CLOSE: 35,
    Target.CANCEL: 5,
    Target.READ: 35,
}
"""How much one fault may delay protection: an unanswered stop is placed again after three seconds, a failed read is
repeated by the next reconciliation, and close attempts pause for half a minute."""


class Killed(Exception):
    """The process is killed within a transaction."""


@cache
def empty_database() -> Path:
    """An empty database, created once and copied for each simulation."""
    path = Path(tempfile.mkdtemp(dir=_IN_MEMORY)) / "bot.db"
    open_database(path, NOW).engine.dispose()
    return path


class Simulation:
    def __init__(self, *, hedge_mode: bool, multi_assets: bool = False) -> None:
        self._home = tempfile.TemporaryDirectory(dir=_IN_MEMORY)
        path = Path(self._home.name) / "bot.db"
        shutil.copy(empty_database(), path)
        limits = {"cooldown_sec": 0, "max_total_exposure_usdt": int(TOTAL_CAP), "max_open_orders_per_symbol": 3}
        modes = {"hedge_mode": hedge_mode, "multi_assets_mode": multi_assets}
        margin = "CROSSED" if multi_assets else "ISOLATED"
        self._settings = some_settings(limits | modes, max_position_usdt=int(POSITION_CAP), margin_type=margin)
        self.clock = ManualClock(NOW)
        self.exchange = ModelExchange(self.clock, hedge_mode=hedge_mode, multi_assets=multi_assets)
        self.exchange.take_fault = self._take_fault
        self.batch_orders = False
        self._posted: list[TraderEvent] = []
        self.faults: list[tuple[Target, Fault]] = []
        """Faults for the next command of each target."""
        self.responses: list[Sequence[TraderEvent]] = []
        """Delayed responses."""
        self._held_until = self._cut_until = 0
        self._statements_left: int | None = None
        self._last_command_id = 0
        self._reconciled_at = self._cleaned_at = NOW
        self.harness = Harness(path, self._settings, self.clock)
        self.invariants = Invariants(self.exchange, DatabaseView(path))
        self._begin()

    def _begin(self) -> None:
        database_events.listen(self.harness.engine, "before_cursor_execute", self._count_statement)
        self.harness.context.reconnect_user_stream = self._request_reconnect
        self._is_reconnect_requested = False
        port, post = self._make_port(), self._posted.append
        self.gateway = Gateway(port, post, self.clock, lambda: False, lambda: self.batch_orders)
        now = self.clock.now_ms()
        self.publish_prices()
        self.feed(TaskDue(Task.RECONCILE, now), StreamUp(Stream.MARKET, now), StreamUp(Stream.USER, now))

    def _make_port(self) -> Exchange:
        return self.exchange

    def restart(self, seconds: int) -> None:
        """Kill the process and start another on the same database after ``seconds``."""
        self._statements_left = None
        self.invariants.on_kill()
        self.invariants.allow_delay(20 + seconds)
        self.responses.clear()
        self.clock.advance(seconds * _SECOND_MS)
        self.exchange.stream.clear()
        self.harness = self.harness.restart()
        self._begin()

    def kill_within(self, statements: int) -> None:
        """Kill the process after this many more SQL statements."""
        self._statements_left = statements

    def _count_statement(self, *_: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left < 0:
                raise Killed

    def close(self) -> None:
        self._statements_left = None
        self.invariants.database.close()
        self.harness.close()
        self._home.cleanup()

    def feed(self, *events: TraderEvent) -> None:
        """Feed one batch to the trader and queue the resulting commands."""
        try:
            commands = self.harness.feed(*events)
        except Killed:
            self.restart(1)
            return
        for each in events:
            self.invariants.on_event_received(each)
        self.queue(commands)

    def command(self, action: OperatorAction, **details: Any) -> None:
        """Send an operator command as the dashboard does."""
        self._last_command_id = max(self._last_command_id + 1, self.clock.now_ms())
        self.feed(OperatorCommand(self._last_command_id, action, self.clock.now_ms(), **details))

    def queue(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.invariants.on_command_sent(command)
        self.gateway.submit(commands)

    def execute_next(self, lane: int) -> bool:
        """Execute the next command of a lane, or several in one request, with a pending fault applied; False if there
        is none."""
        if not self.gateway.run_next(lane):
            return False
        answers = list(self._posted)
        self._posted.clear()
        if self.exchange.last_fault is Fault.SLOW:
            self.responses.append(answers)
        else:
            self.feed(*answers)
        return True

    def _take_fault(self, target: Target) -> Fault | None:
        """The pending fault of a target, if any; each allows protection to be late."""
        for pending in self.faults:
            if pending[0] is target:
                self.faults.remove(pending)
                self.invariants.allow_delay(_RECOVERED_WITHIN_S[target])
                return pending[1]
        return None

    def deliver_next(self) -> None:
        """Deliver the oldest user data event."""
        if self.exchange.stream:
            self.feed(self.exchange.stream.pop(0))

    def deliver_response(self) -> None:
        if self.responses:
            self.feed(*self.responses.pop(0))

    def catch_up(self) -> None:
        """Process everything pending, including what follows from it."""
        while self._step():
            pass

    def _step(self) -> bool:
        if self.responses:
            self.deliver_response()
            return True
        if self.exchange.stream and not self.is_disconnected:
            self.deliver_next()
            return True
        return any(self.execute_next(lane) for lane in range(self.gateway.lanes))

    @property
    def is_disconnected(self) -> bool:
        return self.clock.now_ms() < max(self._held_until, self._cut_until)

    def delay_events(self, seconds: int) -> None:
        """Delay user data events by ``seconds``."""
        self._held_until = self.clock.now_ms() + seconds * _SECOND_MS
        self.invariants.allow_delay(seconds + 5)

    def cut_stream(self, seconds: int) -> None:
        """Disconnect the user data stream for ``seconds``; its events are lost."""
        self.drop_events()
        self._cut_until = self.clock.now_ms() + seconds * _SECOND_MS
        self.invariants.allow_delay(seconds + 30)
        self.feed(StreamDown(Stream.USER, "cut", self.clock.now_ms()))

    def _request_reconnect(self) -> None:
        self._is_reconnect_requested = True

    def _reconnect(self, now: int) -> None:
        """Reconnect the user data stream on the bot's request."""
        self._is_reconnect_requested = False
        self.exchange.stream.clear()
        self.invariants.allow_delay(20)
        self.feed(StreamDown(Stream.USER, "reconnect", now), StreamUp(Stream.USER, now))

    def drop_events(self, count: int | None = None) -> None:
        """Drop the oldest ``count`` pending events, or all of them."""
        del self.exchange.stream[:count]
        self.invariants.allow_delay(40)

    def tick(self) -> None:
        """Advance one second: network, prices and scheduled tasks."""
        self.clock.advance(_SECOND_MS)
        now = self.clock.now_ms()
        self._end_cut(now)
        if self._is_reconnect_requested and not self.is_disconnected:
            self._reconnect(now)
        self.exchange.move(self.exchange.middle)
        self.publish_prices()
        self.catch_up()
        if now - self._reconciled_at >= _RECONCILE_MS:
            self._reconciled_at = now
            self.feed(TaskDue(Task.RECONCILE, now))
        if now - self._cleaned_at >= _CLEANUP_MS:
            self._cleaned_at = now
            self.feed(TaskDue(Task.CLEANUP, now))
        if now // _SECOND_MS % CHECK_POSITIONS_SECONDS == 0:
            self.feed(TaskDue(Task.CHECK_POSITIONS, now))
        self.feed(TaskDue(Task.EVERY_SECOND, now))
        self.catch_up()

    def _end_cut(self, now: int) -> None:
        if self._cut_until:
            self.exchange.stream.clear()
            if now >= self._cut_until:
                self._cut_until = 0
                self.feed(StreamUp(Stream.USER, now))

    def publish_prices(self) -> None:
        self.feed(*self.exchange.prices())

    def settle(self) -> None:
        """Stop all faults and wait until database and exchange agree."""
        self.faults.clear()
        self._held_until = 0
        self._statements_left = None
        self.command(OperatorAction.PAUSE)
        while self.exchange.late:
            self.deliver_late()
        agreed = 0
        for _ in range(_SETTLED_WITHIN_S):
            self.tick()
            self.invariants.check()
            self._answer_questions()
            agreed = 0 if self.invariants.find_disagreement() else agreed + 1
            if agreed == 2:
                return
        raise AssertionError(self.invariants.find_disagreement())

    def _answer_questions(self) -> None:
        """Answer truthfully whose each unexplained position is."""
        for side in self.invariants.database.questions():
            span = self.exchange.ownership.spans.get(side)
            answer = OperatorAction.POSITION_OURS if span and span.is_ours else OperatorAction.POSITION_EXTERNAL
            self.command(answer, symbol=SYMBOL, position_side=side)

    def deliver_late(self) -> None:
        """Execute the oldest delayed command."""
        name = client_order_id_of(self.exchange.late[0])
        is_entry = role_of(name) is OrderRole.ENTRY
        self.exchange.deliver_late(is_considered_lost=is_entry and self.invariants.is_considered_lost(name))
        self.invariants.allow_delay(5)
