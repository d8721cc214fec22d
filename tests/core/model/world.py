"""A real trader on a real ledger, a real gateway, a real engine, and time and network in the hands of a test."""

import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any

from sqlalchemy import event as database_events

from src.core.gateway import Gateway
from src.core.inbox import TraderEvent
from src.core.order_answered import OrderAnswered
from src.core.order_cleanup import LOOK_SECONDS, RECONCILE_SECONDS
from src.database.ledger import open_ledger
from src.domain.clock import ManualClock
from src.domain.enums import OrderRole
from src.domain.messages import (
    Command,
    Due,
    Duty,
    Event,
    OperatorAction,
    OperatorCommand,
    Stream,
    StreamDown,
    StreamUp,
)
from src.domain.orders import OrderUpdate
from tests.builders import NOW, some_settings
from tests.core.model.exchange import ModelExchange
from tests.core.model.laws import POSITION_CAP, TOTAL_CAP, Laws
from tests.core.model.ledger import Ledger
from tests.core.model.network import Blow, Target, name_of, role_of, target_of
from tests.core.rig import Rig

_SECOND_MS = 1000
_RECONCILE_MS, _CLEANUP_MS = RECONCILE_SECONDS * 1000, 10_000
_SETTLED_WITHIN_S = 120
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A thousand stories commit a hundred times each: not on a disk, where the machine has another place."""
_MENDED_WITHIN_S = {
    Target.ENTRY: 5,
    Target.STOP_LOSS: 5,
    Target.TAKE_PROFIT: 0,
    Target.CLOSE: 35,
    Target.CANCEL: 5,
    Target.READ: 35,
}
"""How much later protection may come for one blow: a stop whose answer was lost is placed again after three seconds;
a read that failed is repeated with the next reconcile; the ladder of closes pauses for half a minute."""


class Killed(Exception):
    """The process ends here, in the middle of a transaction."""


@cache
def empty_ledger() -> Path:
    """A ledger with its tables, made once: each world begins with a copy of it."""
    path = Path(tempfile.mkdtemp(dir=_IN_MEMORY)) / "bot.db"
    open_ledger(path, NOW).engine.dispose()
    return path


class World:
    def __init__(self, *, hedge_mode: bool) -> None:
        self._home = tempfile.TemporaryDirectory(dir=_IN_MEMORY)
        path = Path(self._home.name) / "bot.db"
        shutil.copy(empty_ledger(), path)
        limits = {"cooldown_sec": 0, "max_total_exposure_usdt": int(TOTAL_CAP), "max_open_orders_per_symbol": 3}
        self._settings = some_settings({**limits, "hedge_mode": hedge_mode}, max_position_usdt=int(POSITION_CAP))
        self.clock = ManualClock(NOW)
        self.exchange = ModelExchange(self.clock, hedge_mode=hedge_mode)
        self.blows: list[tuple[Target, Blow]] = []
        """What strikes the next commands of a kind."""
        self.answers: list[Sequence[TraderEvent]] = []
        """Answers that are slow to come."""
        self._held_until = self._cut_until = 0
        self._statements_left: int | None = None
        self._last_wish = 0
        self._reconciled_at = self._cleaned_at = NOW
        self.rig = Rig(path, self._settings, self.clock)
        self.laws = Laws(self.exchange, Ledger(path))
        self._begin()

    # A bot's life

    def _begin(self) -> None:
        database_events.listen(self.rig.engine, "before_cursor_execute", self._count_statement)
        self.rig.desk.renew_private = self._want_renewal
        self._is_renewal_wanted = False
        self.gateway = Gateway(self.exchange, lambda _: None, self.clock, lambda: False)
        now = self.clock.now_ms()
        self.tell_prices()
        self.feed(Due(Duty.RECONCILE, now), StreamUp(Stream.MARKET, now), StreamUp(Stream.USER, now))

    def restart(self, seconds: int) -> None:
        """The process has died; after a while another takes up its ledger."""
        self._statements_left = None
        self.laws.see_death()
        self.laws.excuse(20 + seconds)
        self.answers.clear()
        self.clock.advance(seconds * _SECOND_MS)
        self.exchange.stream.clear()
        self.rig = self.rig.restart()
        self._begin()

    def kill_within(self, statements: int) -> None:
        """The process dies at the so many-eth statement from now."""
        self._statements_left = statements

    def _count_statement(self, *_: Any) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
            if self._statements_left < 0:
                raise Killed

    def close(self) -> None:
        self._statements_left = None
        self.laws.ledger.close()
        self.rig.close()
        self._home.cleanup()

    # Events in, commands out

    def feed(self, *events: TraderEvent) -> None:
        """One batch for the trader; what leaves is queued in the lanes."""
        try:
            commands = self.rig.feed(*events)
        except Killed:
            self.restart(1)
            return
        for each in events:
            self.laws.see_told(each)
        self.queue(commands)

    def command(self, action: OperatorAction, **details: Any) -> None:
        """What a person asks for at the dashboard."""
        self._last_wish = max(self._last_wish + 1, self.clock.now_ms())
        self.feed(OperatorCommand(self._last_wish, action, self.clock.now_ms(), **details))

    def queue(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.laws.see_leaving(command)
        self.gateway.submit(commands)

    def serve(self, lane: int) -> bool:
        """One command of a lane is carried out, or struck; False where none waits."""
        try:
            _, _, command = self.gateway._lanes[lane].get_nowait()
        except Empty:
            return False
        blow = self._take_blow(target_of(command))
        self.exchange.blow = blow
        answers = [_answered(each) for each in self.gateway.execute(command)]
        self.exchange.blow = None
        if blow is Blow.SLOW:
            self.answers.append(answers)
        else:
            self.feed(*answers)
        return True

    def _take_blow(self, target: Target) -> Blow | None:
        """Each allows protection to be late: for what is struck is mended on the bot's own timers."""
        for waiting in self.blows:
            if waiting[0] is target:
                self.blows.remove(waiting)
                self.laws.excuse(_MENDED_WITHIN_S[target])
                return waiting[1]
        return None

    def hear(self) -> None:
        """The oldest news of the private stream arrives."""
        if self.exchange.stream:
            self.feed(self.exchange.stream.pop(0))

    def hear_answer(self) -> None:
        if self.answers:
            self.feed(*self.answers.pop(0))

    def catch_up(self) -> None:
        """Everything that waits is done and told, and what follows from it."""
        while self._step():
            pass

    def _step(self) -> bool:
        if self.answers:
            self.hear_answer()
            return True
        if self.exchange.stream and not self.is_deaf:
            self.hear()
            return True
        return any(self.serve(lane) for lane in range(self.gateway.lanes))

    # Time

    @property
    def is_deaf(self) -> bool:
        return self.clock.now_ms() < max(self._held_until, self._cut_until)

    def hold_news(self, seconds: int) -> None:
        """The private stream is late by so much."""
        self._held_until = self.clock.now_ms() + seconds * _SECOND_MS
        self.laws.excuse(seconds + 5)

    def cut_stream(self, seconds: int) -> None:
        """What the private stream tells meanwhile is lost."""
        self.lose_news()
        self._cut_until = self.clock.now_ms() + seconds * _SECOND_MS
        self.laws.excuse(seconds + 30)
        self.feed(StreamDown(Stream.USER, "cut", self.clock.now_ms()))

    def _want_renewal(self) -> None:
        self._is_renewal_wanted = True

    def _renew(self, now: int) -> None:
        """The bot distrusts its private stream and opens it anew."""
        self._is_renewal_wanted = False
        self.exchange.stream.clear()
        self.laws.excuse(20)
        self.feed(StreamDown(Stream.USER, "opened anew", now), StreamUp(Stream.USER, now))

    def lose_news(self, count: int | None = None) -> None:
        """So many of the oldest events never arrive; by default all that wait."""
        del self.exchange.stream[:count]
        self.laws.excuse(40)

    def tick(self) -> None:
        """A second goes by: the network works, prices come, the clock's duties are done."""
        self.clock.advance(_SECOND_MS)
        now = self.clock.now_ms()
        self._end_cut(now)
        if self._is_renewal_wanted and not self.is_deaf:
            self._renew(now)
        self.exchange.move(self.exchange.middle)
        self.tell_prices()
        self.catch_up()
        if now - self._reconciled_at >= _RECONCILE_MS:
            self._reconciled_at = now
            self.feed(Due(Duty.RECONCILE, now))
        if now - self._cleaned_at >= _CLEANUP_MS:
            self._cleaned_at = now
            self.feed(Due(Duty.CLEANUP, now))
        if now // _SECOND_MS % LOOK_SECONDS == 0:
            self.feed(Due(Duty.LOOK, now))
        self.feed(Due(Duty.AUDIT, now))
        self.catch_up()

    def _end_cut(self, now: int) -> None:
        if self._cut_until:
            self.exchange.stream.clear()
            if now >= self._cut_until:
                self._cut_until = 0
                self.feed(StreamUp(Stream.USER, now))

    def tell_prices(self) -> None:
        self.feed(*self.exchange.prices())

    # The end of an example

    def settle(self) -> None:
        """Everything works from now on: what was lost is found, and both books agree."""
        self.blows.clear()
        self._held_until = 0
        self._statements_left = None
        self.command(OperatorAction.PAUSE)
        while self.exchange.late:
            self.arrive_late()
        agreed = 0
        for _ in range(_SETTLED_WITHIN_S):
            self.tick()
            self.laws.hold()
            agreed = 0 if self.laws.disagreement() else agreed + 1
            if agreed == 2:
                return
        raise AssertionError(self.laws.disagreement())

    def arrive_late(self) -> None:
        """The matcher comes to the oldest of what it had laid aside."""
        name = name_of(self.exchange.late[0])
        is_entry = role_of(name) is OrderRole.ENTRY
        self.exchange.arrive_late(is_given_up=is_entry and self.laws.is_given_up(name))
        self.laws.excuse(5)


def _answered(event: Event) -> TraderEvent:
    """As the gateway tells it: an answer is no word of the private stream."""
    return OrderAnswered(event) if isinstance(event, OrderUpdate) else event
