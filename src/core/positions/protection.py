"""Places and replaces a position's protective orders according to its protection plan."""

import logging
from dataclasses import dataclass

from src.core.context import TraderContext
from src.core.health.status import StatusPublisher
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.core.positions.protection_plan import ProtectionRules, plan_protection, protective_request
from src.domain.enums import OrderRole
from src.domain.instrument import Instrument
from src.settings.config import SymbolSettings

log = logging.getLogger("hunter.protection")


@dataclass(frozen=True, slots=True)
class ProtectionManager:
    """Carries out protection plans; `PositionCloser` decides which orders may be placed now."""

    _context: TraderContext
    _closing: PositionCloser
    _status: StatusPublisher

    def update(
        self, tracked: TrackedPosition, entry_order_id: str, settings: SymbolSettings, instrument: Instrument
    ) -> None:
        """Place missing protective orders, cancel obsolete ones and save the position's status."""
        orders, now_ms = self._context.portfolio.orders_for(tracked.key), self._context.clock.now_ms()
        take_profit_rejections = tracked.rejections.get(OrderRole.TAKE_PROFIT, 0)
        with_quantity = tracked.quantity_order_roles(self._context.clock.monotonic_ms())
        rules = ProtectionRules(settings, instrument, now_ms, take_profit_rejections, with_quantity)
        plan = plan_protection(tracked.position, orders, rules)
        submits = [each for each in plan.submits if self._closing.may_place(tracked, each[0])]
        for role, price in submits:
            client_order_id = self._context.next_order_id(entry_order_id, role)
            self._context.submit_order(
                protective_request(client_order_id, role, price, tracked.position, rules),
                role,
                entry_client_order_id=entry_order_id,
            )
            log.info("protection placed role=%s symbol=%s stop_price=%s", role, tracked.position.symbol, price)
        cancelled = [order for order in plan.cancels if self._context.cancel_order(order)]
        self._status.save_position(tracked, plan)
        if submits or cancelled:
            self._context.journal_protection(tracked.position, plan.state)
