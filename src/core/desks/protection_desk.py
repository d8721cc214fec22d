"""Places and renews what stands behind a position, as the plan for it says."""

import logging
from dataclasses import dataclass

from src.core.books import Holding
from src.core.desks.closing import ClosingDesk
from src.core.desks.desk import Desk
from src.core.desks.news import tell_protection
from src.core.plans.protection import Terms, plan_protection, protective_request
from src.core.status import StatusDesk
from src.domain.enums import OrderRole
from src.domain.instrument import Instrument
from src.domain.positions import Protection
from src.utils.config import SymbolSettings

log = logging.getLogger("hunter.protection")


@dataclass(frozen=True, slots=True)
class ProtectionDesk:
    """Carries out plans; what may be placed now, the closing desk says."""

    _desk: Desk
    _closing: ClosingDesk
    _status: StatusDesk

    def renew(self, holding: Holding, entry: str, settings: SymbolSettings, instrument: Instrument) -> None:
        """Place what is missing, cancel what is replaced, and write down how the position stands."""
        orders, now_ms = self._desk.books.orders_in(holding.slot), self._desk.clock.now_ms()
        take_refusals = holding.refusals.get(OrderRole.TAKE_PROFIT, 0)
        sized = holding.sized_roles(self._desk.clock.monotonic_ms())
        terms = Terms(settings, instrument, now_ms, take_refusals, sized)
        plan = plan_protection(holding.position, orders, terms)
        self._closing.heed_bare(holding, is_bare=plan.state is Protection.PENDING)
        submits = [each for each in plan.submits if self._closing.may_place(holding, each[0])]
        for role, price in submits:
            name = self._desk.next_id(entry, role)
            self._desk.place(protective_request(name, role, price, holding.position, terms), role, parent=entry)
            log.info("%s %s at %s", role, holding.position.symbol, price)
        cancelled = [order for order in plan.cancels if self._desk.cancel(order)]
        self._status.save(holding, plan)
        if submits or cancelled:
            tell_protection(self._desk, holding, plan.state)
