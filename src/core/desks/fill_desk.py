"""Trades of our positions: each booked once, whoever told it, to the order and the slot it belongs to."""

import logging

from src.core.books import Holding, Slot
from src.core.desks.desk import Desk
from src.core.desks.forced import ForcedDesk, deed_of
from src.core.desks.news import conclude_flat
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.messages import FetchFills, FillsFetched
from src.domain.orders import Fill, Order

log = logging.getLogger("hunter.orders")

ASK_EVERY_MS = 2_000
_OVERLAP_MS = 60_000


class FillDesk:
    """Books trades. Each method that does returns the slots it touched."""

    def __init__(self, desk: Desk, forced: ForcedDesk) -> None:
        self._desk = desk
        self._forced = forced

    def on_fill(self, fill: Fill) -> Slot | None:
        """A trade: booked once, whoever told it and however often (I7)."""
        fill = self._forced.named(fill)
        desk, slot = self._desk, (fill.symbol, fill.position_side)
        order = desk.books.order_of(fill)
        if order is None and not _is_forced(fill) and not self._is_by_hand(fill):
            return None
        if (order is not None and not order.book(fill)) or not desk.store.record_fill(fill):
            return None
        role = order.role if order is not None else ""
        crash_points.reached(Point.FILL_READ, role)
        holding = desk.books.holding(slot)
        is_entry = order is not None and order.role is OrderRole.ENTRY
        if order is not None and is_entry:
            if fill.traded_at >= holding.reported_at:  # at one instant the account may go flat and fill anew
                conclude_flat(desk, holding, fill.traded_at)
            holding.begin(fill.traded_at)
            holding.entry = order.client_order_id
        holding.apply_fill(fill, desk.clock.now_ms(), only_reduces=not is_entry)
        self._tell_fill(fill, order)
        crash_points.reached(Point.FILL_BOOKED, role)
        return slot

    def book_by_hand(self, fill: Fill) -> None:
        """A trade of somebody else in a position of ours, which a list of all trades has shown to be one (I19)."""
        if not self._desk.store.record_fill(fill):
            return
        holding = self._desk.books.holding((fill.symbol, fill.position_side))
        if self._is_of(holding, fill):
            holding.apply_fill(fill, self._desk.clock.now_ms(), only_reduces=True)
        self._tell_fill(fill, None)

    def _is_by_hand(self, fill: Fill) -> bool:
        """A trade of somebody else, told by its name, in a position of ours: its profit and its fee are that
        position's. One that a list tells by number alone is followed by the trail's desk."""
        holding = self._desk.books.holding((fill.symbol, fill.position_side))
        is_there = holding.position.is_open or bool(holding.unexplained)
        return bool(fill.client_order_id) and is_there and self._is_of(holding, fill)

    def _is_of(self, holding: Holding, fill: Fill) -> bool:
        return holding.is_ours and 0 < holding.opened_at <= fill.traded_at

    def on_fills(self, event: FillsFetched) -> set[Slot]:
        touched = (self.on_fill(fill) for fill in event.fills)
        return {slot for slot in touched if slot is not None}

    def fetch(self, symbol: str, since_ms: int) -> None:
        """Ask for our trades since then, with some overlap: they are booked by trade id."""
        self._desk.send(FetchFills(symbol, since_ms - _OVERLAP_MS))

    def ask_for(self, order: Order) -> None:
        """The exchange says more was filled than we have seen trades for."""
        if self._desk.may_ask(f"fills {order.symbol}", ASK_EVERY_MS):
            self.fetch(order.symbol, order.created_at)

    def _tell_fill(self, fill: Fill, order: Order | None) -> None:
        role = order.role if order is not None else "FORCED" if _is_forced(fill) else "BY HAND"
        log.info("fill %s %s %s %s at %s", fill.symbol, role, fill.side, fill.quantity, fill.price)
        payload = {
            "client_order_id": fill.client_order_id or (order.client_order_id if order else ""),
            "role": role,
            "side": fill.side,
            "position_side": fill.position_side,
            "quantity": fill.quantity,
            "price": fill.price,
            "realized_pnl": fill.realized_pnl,
            "commission": fill.commission,
            "trade_id": fill.trade_id,
            "traded_at": fill.traded_at,
        }
        self._desk.tell("fill", payload, fill.symbol)


def _is_forced(fill: Fill) -> bool:
    return deed_of(fill.client_order_id) is not None
