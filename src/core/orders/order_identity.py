"""Identifies orders: restores one of ours from the exchange's report, and recognizes those of another bot. Pure."""

from dataclasses import dataclass

from src.domain.enums import OrderStatus, OrderType
from src.domain.instrument import Price, Quantity
from src.domain.orders import ClientOrderId, OrderRequest, OrderUpdate


@dataclass(frozen=True, slots=True)
class BotInstance:
    """Identity of this bot, to distinguish its orders from those of other bots of this kind."""

    bot_tag: str
    """Part of the client order id of each of our entries."""
    database_created_at: int
    """When our database was created, ms UTC."""
    started_at: int


def is_from_another_bot(update: OrderUpdate, known: ClientOrderId, ours: BotInstance) -> bool:
    """Whether an order that is missing from our database was placed by another bot of this kind.

    We record an order before it is sent, so one with another tag is ours only if it is older than our database (an
    earlier database may be lost). One with our tag may be newer than that, because an old copy of the database may
    have been restored, but not newer than this run. Only the first event of a protective or closing order says when
    it was placed.
    """
    placed_at = update.event_at if update.status is OrderStatus.NEW else known.decided_at
    limit = ours.started_at if known.bot_tag == ours.bot_tag else ours.database_created_at
    return max(placed_at, known.decided_at) > limit


def request_from_update(update: OrderUpdate) -> OrderRequest:
    """The request that must have led to this order."""
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
