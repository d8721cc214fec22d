"""Places and replaces a position's protective orders according to its protection plan."""

from collections.abc import Sequence
from dataclasses import dataclass

from src.core.context import TraderContext
from src.core.health.status import StatusPublisher
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.core.positions.liquidation import LiquidationPrices
from src.core.positions.protection_plan import ProtectionRules, is_working, plan_protection, protective_request, reduces
from src.domain.enums import OrderRole, OrderStatus
from src.domain.instrument import Instrument
from src.domain.orders import Order
from src.settings.config import SymbolSettings
from src.settings.exits import protection_prices

_AMENDMENT_INTERVAL_MS = 250


@dataclass(frozen=True, slots=True)
class ProtectionManager:
    """Carries out protection plans; `PositionCloser` decides which orders may be placed now."""

    _context: TraderContext
    _closing: PositionCloser
    liquidation: LiquidationPrices
    _status: StatusPublisher

    @classmethod
    def create(cls, context: TraderContext, closing: PositionCloser, status: StatusPublisher) -> "ProtectionManager":
        return cls(context, closing, LiquidationPrices(context, closing), status)

    def update(
        self, tracked: TrackedPosition, entry_order_id: str, settings: SymbolSettings, instrument: Instrument
    ) -> None:
        """Place missing protective orders, cancel obsolete ones and save the position's status."""
        orders, now_ms = self._context.portfolio.orders_for(tracked.key), self._context.clock.now_ms()
        take_profit_rejections = tracked.exits.rejections.get(OrderRole.TAKE_PROFIT, 0)
        with_quantity = tracked.quantity_order_roles(self._context.clock.monotonic_ms())
        stop = protection_prices(tracked.position, settings, instrument)[OrderRole.STOP_LOSS]
        tightened_stop = self.liquidation.tighten(tracked, stop, instrument)
        rules = ProtectionRules(settings, instrument, now_ms, take_profit_rejections, with_quantity, tightened_stop)
        plan = plan_protection(tracked.position, orders, rules)
        submits = [
            each
            for each in plan.submits
            if self._closing.may_place(tracked, each[0]) and self._may_amend(tracked, each[0], orders)
        ]
        for role, price in submits:
            client_order_id = self._context.next_order_id(entry_order_id, role)
            self._context.submit_order(
                protective_request(client_order_id, role, price, tracked.position, rules),
                role,
                entry_client_order_id=entry_order_id,
            )
            self._context.log_later(
                "protection placed role=%s symbol=%s stop_price=%s", role, tracked.position.symbol, price
            )
        cancelled = [order for order in plan.cancels if self._context.cancel_order(order)]
        self._status.save_position(tracked, plan)
        if submits or cancelled:
            self._context.journal_protection(tracked.position, plan.state)

    def _may_amend(self, tracked: TrackedPosition, role: OrderRole, orders: Sequence[Order]) -> bool:
        """Whether an order of this role may be placed beside a working one now.

        Partial fills move the average entry price many times a second, and the exchange allows ten conditional
        orders per symbol. Meanwhile the working order protects. A first order never waits, and one that covers the
        whole position, where the working one has only a part of its size, waits for no answer.
        """
        ours = [order for order in orders if order.role is role and reduces(order, tracked.position)]
        working = [order for order in ours if is_working(order)]
        if not working:
            return True
        now_ms = self._context.clock.monotonic_ms()
        is_unanswered = any(each.status is OrderStatus.PENDING_NEW and each.unresolved_since is None for each in ours)
        is_whole = any(order.request.close_position for order in working)
        if (is_unanswered and is_whole) or now_ms - tracked.exits.amended_at.get(
            role, -_AMENDMENT_INTERVAL_MS
        ) < _AMENDMENT_INTERVAL_MS:
            return False
        tracked.exits.amended_at[role] = now_ms
        return True
