"""Keeps entries back after too much was lost, for as long as was set, and remembers it across restarts (I23)."""

import logging
from dataclasses import asdict, replace
from decimal import Decimal
from functools import partial
from itertools import takewhile
from typing import assert_never

from src.core.desks.desk import Desk
from src.core.plans.locks import Lock, LockKind, Results, day_start, lock_for, lock_from, longest_ms
from src.core.standing import Obstacle
from src.database.queries.results import exits_after, net_since, newest_fill

log = logging.getLogger("hunter.risk")

_STATE = "lock"
_CLOCK_STEP_MS = 2_000


class LockDesk:
    """One lock at a time. Its end is measured by a clock that cannot be set: a step of the wall clock moves
    ``until_ms`` along and never the end; only over a restart the wall clock counts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock: Lock | None = None
        self._ends_at = 0
        """Monotonic."""
        self._peak: Decimal | None = None
        # After a lock its own limit is counted anew, by what was booked and not by the time: a clock may be set.
        self._exits_after = 0
        """Number of a fill."""
        self._forgiven = (0, Decimal(0))
        """A day, and its net that counts no more."""
        # Results are the same until something is booked: thousands of fills are not added up each second.
        self._net: tuple[tuple[int, int], Decimal] | None = None
        self._exits: tuple[tuple[int, int, int], list[Decimal]] | None = None

    def restore(self) -> None:
        """Take up what the last run of this mode left."""
        known = self._desk.store.get_state(self._desk.state_key(_STATE))
        if known is None:
            return
        self._exits_after = int(known["exits_after"])
        self._forgiven = (int(known["forgiven_day"]), Decimal(known["forgiven_net"]))
        self._peak = None if known["peak"] is None else Decimal(known["peak"])
        if known["lock"] is not None:
            self._take(lock_from(known["lock"]))

    def check(self) -> None:
        """Once a second: end what has run out, begin what the results call for.

        Not while the ledger cannot be written: it lacks the newest results, and no entry is made anyhow.
        """
        if self._desk.store.fault is not None:
            return
        before = self._lock, self._peak
        self._follow_clock()
        self._note_peak()
        results = self._results() if self._lock is None else None
        if results is not None:
            lock = lock_for(results, self._desk.settings.globals_, self._desk.clock.now_ms())
            if lock is not None:
                self._take(lock)
                self._desk.alert(lock.sentence)
        if (self._lock, self._peak) != before:
            self._save()

    def lift(self) -> str | None:
        """A person resumes: the lock ends now, and its limit is counted anew. What was lifted is returned; None
        where the ledger cannot tell from where to count: the lock would begin anew."""
        lifted = self._lock
        if lifted is None or not self._end(lifted):
            return None
        self._save()
        return lifted.reason

    def _follow_clock(self) -> None:
        if self._lock is None:
            return
        left = self._ends_at - self._desk.clock.monotonic_ms()
        if left <= 0:
            reason = self._lock.reason
            if self._end(self._lock):
                log.warning("the lock has ended: %s", reason)
                self._desk.tell("alert", {"level": "info", "message": f"the lock has ended: {reason}"})
            return
        until_ms = self._desk.clock.now_ms() + left
        if abs(until_ms - self._lock.until_ms) > _CLOCK_STEP_MS:
            self._take(replace(self._lock, until_ms=until_ms))

    def _take(self, lock: Lock) -> None:
        """A lock that the ledger says to last longer than any can was written by a clock that was wrong: it is cut."""
        now_ms = self._desk.clock.now_ms()
        left = min(lock.until_ms - now_ms, longest_ms(self._desk.settings.globals_))
        self._lock = lock = replace(lock, until_ms=now_ms + left)
        self._ends_at = self._desk.clock.monotonic_ms() + left
        self._desk.standing.raise_obstacle(Obstacle.LOCK, lock.sentence)

    def _end(self, lock: Lock) -> bool:
        """False where the ledger cannot be read now: the lock stays."""
        match lock.kind:
            case LockKind.DAILY_LOSS:
                net = self._net_of_day()
                if net is None:
                    return False
                self._forgiven = self._today, net
            case LockKind.STOPS:
                newest = self._desk.store.find(newest_fill)
                if newest is None:
                    return False
                self._exits_after = newest
            case LockKind.DRAWDOWN:
                self._peak = self._equity()
            case _:
                assert_never(lock.kind)
        self._lock = None
        self._desk.standing.clear(Obstacle.LOCK)
        return True

    def _note_peak(self) -> None:
        """The peak is kept while the limit is set, and not touched by a lock of another kind."""
        equity = self._equity()
        if self._desk.settings.globals_.max_drawdown_pct is None:
            self._peak = None
        elif equity is not None:
            self._peak = equity if self._peak is None else max(self._peak, equity)

    def _equity(self) -> Decimal | None:
        account = self._desk.account
        return None if account is None else account.wallet_balance + self._desk.unrealized_pnl()

    def _results(self) -> Results | None:
        """None where the ledger cannot be read now: what is not known calls for nothing."""
        net, losses = self._net_today(), self._losses_in_a_row()
        return None if net is None or losses is None else Results(net, losses, self._equity(), self._peak)

    def _net_today(self) -> Decimal | None:
        if self._desk.settings.globals_.max_daily_loss_usdt is None:
            return Decimal(0)
        day, forgiven = self._forgiven
        net = self._net_of_day()
        return None if net is None else net - (forgiven if day == self._today else Decimal(0))

    def _net_of_day(self) -> Decimal | None:
        known = self._today, self._desk.store.bookings
        if self._net is None or self._net[0] != known:
            query = partial(net_since, since_ms=self._today, is_simulated=self._desk.is_simulated)
            net = self._desk.store.find(query)
            if net is None or self._desk.store.fault is not None:  # it lacks what waits to be written
                return net
            self._net = known, net
        return self._net[1]

    def _losses_in_a_row(self) -> int | None:
        most = self._desk.settings.globals_.max_consecutive_stops
        if most is None:
            return 0
        known = self._exits_after, most, self._desk.store.bookings
        if self._exits is None or self._exits[0] != known:
            query = partial(exits_after, fill=self._exits_after, most=most, is_simulated=self._desk.is_simulated)
            exits = self._desk.store.find(query)
            if exits is None:
                return None
            self._exits = known, exits
        return len(list(takewhile(lambda result: result < 0, self._exits[1])))

    def _save(self) -> None:
        state = {
            "lock": None if self._lock is None else asdict(self._lock),
            "peak": self._peak,
            "exits_after": self._exits_after,
            "forgiven_day": self._forgiven[0],
            "forgiven_net": self._forgiven[1],
        }
        self._desk.store.set_state(self._desk.state_key(_STATE), state)

    @property
    def _today(self) -> int:
        return day_start(self._desk.clock.now_ms())
