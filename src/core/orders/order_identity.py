"""An order of ours that only the exchange remembers, and one that looks like ours and is another bot's. Pure."""

from dataclasses import dataclass

from src.domain.enums import OrderStatus, OrderType
from src.domain.instrument import Price, Quantity
from src.domain.orders import ClientOrderId, OrderRequest, OrderUpdate


@dataclass(frozen=True, slots=True)
class BotInstance:
    """Which of the bots of this kind we are."""

    bot_tag: str
    """Part of the id of every entry we make."""
    database_created_at: int
    """When our ledger began."""
    started_at: int


def is_from_another_bot(update: OrderUpdate, known: ClientOrderId, ours: BotInstance) -> bool:
    """An order that our ledger does not hold, and that was made when it would: what we make is in the ledger first.

    One that bears another mark may be ours only from before our ledger began, for the one before it may be lost. One
    that bears ours may be younger, for the ledger may be an old copy that was put back; not one made while we run.
    Of a protective or closing order only its first event tells when it was made.
    """
    made_at = update.event_at if update.status is OrderStatus.NEW else known.decided_at
    return max(made_at, known.decided_at) > (
        ours.started_at if known.bot_tag == ours.bot_tag else ours.database_created_at
    )


def request_from_update(update: OrderUpdate) -> OrderRequest:
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
