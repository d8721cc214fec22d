"""A graceful stop: what the exchange has not confirmed yet, and the alerts that name it for a person."""

import threading
from collections.abc import Iterator

from src.core.context import TraderContext
from src.core.portfolio import TrackedPosition
from src.core.positions.protection_plan import has_working_stop
from src.core.trading_status import EntryBlock
from src.domain.orders import Order


class GracefulStop:
    """Watches, once a stop was requested, what could still cost money without a bot. The events are thread-safe."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self.settled = threading.Event()
        """Set once no entry can fill any more and every position has its stop loss."""
        self.reported = threading.Event()
        """Set once `report` has named what is not settled."""
        self._is_reported = False

    def check(self) -> None:
        """Called after every batch, when it is committed."""
        if self._context.trading_status.has(EntryBlock.STOPPING) and not any(self._open_points()):
            self.settled.set()
        if self._is_reported:
            self.reported.set()

    def report(self) -> None:
        """Alert everything that is not settled, each with the remedy: the time to stop is over."""
        for symbol, message in self._open_points():
            self._context.alert(message, symbol)
        self._is_reported = True

    def _open_points(self) -> Iterator[tuple[str, str]]:
        """What is not settled: its symbol, and a sentence."""
        for order in self._context.portfolio.pending_entries():
            yield order.symbol, open_entry_message(order)
        for tracked in self._context.portfolio.open_positions():
            if self._lacks_stop(tracked):
                symbol, side = tracked.key
                yield (
                    symbol,
                    f"the bot stops, and no stop loss of its position {symbol} {side} (quantity "
                    f"{abs(tracked.position.quantity)}) is confirmed. Check it on the exchange's site and place a stop "
                    "there, or start the bot again: it protects the position",
                )

    def _lacks_stop(self, tracked: TrackedPosition) -> bool:
        settings = self._context.symbol_settings(tracked.position.symbol)
        if not tracked.is_managed or (settings is not None and not settings.stop_loss_enabled):
            return False
        return not has_working_stop(self._context.portfolio.orders_for(tracked.key), tracked.position)


def open_entry_message(order: Order) -> str:
    """Names an entry that is not settled when the bot stops, and says what to do."""
    request = order.request
    name = f"the entry {order.client_order_id} of {order.symbol} ({request.side}"
    if not order.is_open:
        return (
            f"the bot stops, and {name}, quantity {order.filled_quantity}) has just filled, its trades are not known "
            "yet. Check on the exchange's site that the position has a stop loss, or start the bot again: it places one"
        )
    return (
        f"the bot stops, and {name}, quantity {order.remaining_quantity}, price {request.price}) is not confirmed as "
        "cancelled: it may still fill, and then nothing protects the position. Cancel it on the exchange's site, or "
        "start the bot again: it protects what fills"
    )
