"""An order of ours that only the exchange remembers, and one that looks like ours and is another bot's. Pure."""

from src.domain.enums import OrderStatus, OrderType
from src.domain.instrument import Price, Quantity
from src.domain.orders import ClientOrderId, OrderRequest, OrderUpdate


def is_of_another_bot(update: OrderUpdate, known: ClientOrderId, started_at: int) -> bool:
    """An order that our ledger does not hold and that was made while we ran: whatever we make is in the ledger
    first. An older one may be from before the ledger was lost.

    Of a protective or closing order only its first event tells when it was made.
    """
    made_at = update.event_at if update.status is OrderStatus.NEW else known.decided_at
    return max(made_at, known.decided_at) > started_at


def request_of(update: OrderUpdate) -> OrderRequest:
    """The order as it must have been asked for."""
    is_conditional = update.original_type.is_conditional
    return OrderRequest(
        client_order_id=update.client_order_id,
        symbol=update.symbol,
        side=update.side,
        position_side=update.position_side,
        type=update.original_type,
        quantity=None if update.close_position else Quantity(update.quantity),
        price=Price(update.price) if update.original_type is OrderType.LIMIT else None,
        stop_price=Price(update.stop_price) if is_conditional else None,
        time_in_force=update.time_in_force if update.original_type is OrderType.LIMIT else None,
        reduce_only=update.reduce_only,
        close_position=update.close_position,
        working_type=update.working_type if is_conditional else None,
        price_protect=update.price_protect,
    )
