"""What the clock asks of the trader: the audit each second, the clean-up, the reconcile, and the end."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from src.core.books import Slot
from src.core.desks.account_desk import AccountDesk
from src.core.desks.desk import Desk
from src.core.desks.emergency import EmergencyDesk
from src.core.desks.foreign_desk import ForeignDesk
from src.core.desks.operator_desk import OperatorDesk
from src.core.desks.order_desk import OrderDesk
from src.core.desks.rules_desk import RulesDesk
from src.core.inbox import Backlog
from src.core.order_cleanup import plan_cleanup
from src.core.standing import Obstacle
from src.core.status import StatusDesk
from src.core.vitals import Vitals
from src.core.watch.access_watch import AccessWatch
from src.core.watch.crash_loop import CrashLoopDesk
from src.core.watch.rest_watch import RestWatch
from src.core.watch.stream_watch import StreamWatch
from src.domain.messages import Due, Duty

log = logging.getLogger("hunter.trader")

_FORGET_ORDERS_MS = 15 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyDesk:
    """Goes round the other desks when it is time."""

    desk: Desk
    orders: OrderDesk
    account: AccountDesk
    operator: OperatorDesk
    rules: RulesDesk
    access: AccessWatch
    foreign: ForeignDesk
    watch: StreamWatch
    rest: RestWatch
    status: StatusDesk
    emergency: EmergencyDesk
    crash_loop: CrashLoopDesk
    read_vitals: Callable[[], Vitals]
    look_after: Callable[[Iterable[Slot]], None]
    """Make what stands behind these positions what should stand there."""
    read_backlog: Callable[[], Backlog]

    def on_due(self, event: Due) -> None:
        match event.duty:
            case Duty.AUDIT:
                self._audit()
            case Duty.LOOK:
                self.rest.look()
            case Duty.CLEANUP:
                self._clean_up()
            case Duty.RECONCILE:
                self.account.ask("reconcile")
            case Duty.RULES:
                self.rules.ask()
            case Duty.PRUNE:
                self.desk.store.prune_history()
            case Duty.CHECKPOINT:
                if not self.read_backlog().waiting:  # at a quiet time
                    self.desk.after_commit.append(self.desk.store.checkpoint)
            case Duty.STOP:
                self.desk.standing.raise_obstacle(Obstacle.STOPPING, "the bot is stopping")
                self.operator.cancel_entries()
            case _:
                assert_never(event.duty)

    def _audit(self) -> None:
        """Once a second: every position protected, every doubt asked about, every obstacle up to date (I9)."""
        now_ms = self.desk.clock.now_ms()
        self.foreign.check()
        self.look_after(list(self.desk.books.holdings))
        self.operator.follow_up()
        self.rules.check()
        self.access.check()
        self.orders.ask_for_missing(now_ms)
        self.account.check_age(now_ms)
        self.rest.check()
        self.watch.check_private()
        self.watch.check_market(now_ms)
        self.watch.check_clock(self.read_vitals())
        self._check_ban(self.read_vitals())
        self.watch.check_backlog(self.read_backlog())
        self.emergency.check_pace()
        self.crash_loop.check()
        self.status.publish()

    def _check_ban(self, vitals: Vitals) -> None:
        """During a ban nothing can be sent or read: a person must see that only what rests protects (I29)."""
        until = datetime.fromtimestamp(vitals.blocked_until / 1000, UTC).strftime("%H:%M:%S")
        reason = f"banned by the exchange until {until} UTC: nothing can be sent, stops rest on the exchange"
        if vitals.is_banned and not self.desk.standing.has(Obstacle.BAN):
            self.desk.alert(reason)
        self.desk.standing.settle(Obstacle.BAN, reason if vitals.is_banned else None)

    def _clean_up(self) -> None:
        desk = self.desk
        now_ms = desk.clock.now_ms()
        for order in plan_cleanup(desk.books.orders.values(), desk.books.holdings, desk.settings.globals_, now_ms):
            if desk.cancel(order):
                log.info("cancelling stale %s %s %s", order.role, order.symbol, order.client_order_id)
        desk.books.forget_ended(now_ms - _FORGET_ORDERS_MS)
        self.watch.forget_ended()
        desk.unwanted &= desk.books.orders.keys()
        desk.cancels = {name: tries for name, tries in desk.cancels.items() if name in desk.books.orders}
