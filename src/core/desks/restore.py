"""What the last run left in the database, taken up again."""

from src.core.books import Holding
from src.core.desks.close_wishes import restore_wishes
from src.core.desks.desk import Desk
from src.core.desks.unsettled import restore_unsettled
from src.domain import crash_points
from src.domain.crash_points import Point


def load_books(desk: Desk) -> None:
    """Orders that may still matter, every open one to be asked about, and the positions with what they earned."""
    for order in desk.store.load_open_orders():
        if order.is_open:
            order.unresolved_since = order.unresolved_since or desk.clock.now_ms()
        desk.books.add_order(order)
    for record in desk.store.load_positions():
        position = record.position
        slot = position.symbol, position.position_side
        holding = desk.books.holdings[slot] = Holding(
            position,
            record.leverage,
            record.margin_type,
            record.liquidation_price,
            record.entry_client_order_id,
            record.opened_at,
        )
        holding.is_unchecked = holding.is_ours
        result = desk.store.result_since(*slot, record.opened_at)
        holding.realized_pnl, holding.commission, holding.filled_at, booked = result
        holding.unexplained = position.quantity - booked
    restore_wishes(desk)
    restore_unsettled(desk)
    crash_points.reached(Point.BOOKS_LOADED)
