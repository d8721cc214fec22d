"""An order of ours that only the exchange remembers, as it must have been asked for."""

from src.domain.enums import OrderType
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest, OrderUpdate


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
