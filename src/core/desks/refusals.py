"""An order that was refused, and everyone who has to know of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from src.core.books import Slot
from src.core.desks.account_desk import AccountDesk
from src.core.desks.closing import ClosingDesk
from src.core.desks.desk import Desk
from src.core.desks.order_desk import OrderDesk
from src.core.desks.rules_desk import RulesDesk
from src.domain.enums import OrderRole
from src.domain.messages import OrderRefused


@dataclass(frozen=True, slots=True)
class RefusalDesk:
    """Goes round the desks that draw a conclusion from a refusal."""

    desk: Desk
    orders: OrderDesk
    rules: RulesDesk
    account: AccountDesk
    closing: ClosingDesk

    def on_refused(self, event: OrderRefused) -> Iterable[Slot]:
        """The slots whose protection is to be looked at now; an order that never left is tried again by the audit."""
        order = self.orders.on_refused(event)
        if order is None:
            return ()
        self.rules.on_refused(order, event)
        self.account.on_refused(event)
        if order.role is OrderRole.ENTRY:
            return ()
        slot = order.symbol, order.request.position_side
        self.closing.on_refused(self.desk.books.holding(slot), order, event)
        if order.role is OrderRole.CLOSE:
            self.account.ask("a close was refused", anew=True)
        return (slot,) if event.judges_order else ()
