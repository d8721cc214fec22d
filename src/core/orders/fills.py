"""Fills, each recorded once, and orders forced by the exchange: liquidation, ADL, settlement."""

import logging
from dataclasses import replace
from functools import partial

from src.core.account.wallet import with_fee_in_dollars
from src.core.context import TraderContext
from src.core.limits.symbol_locks import SymbolLocks
from src.core.positions.lifecycle import finish_if_flat
from src.database.tables.orders import client_order_id_of
from src.domain import crash_points
from src.domain.commands import FetchFills
from src.domain.crash_points import Point
from src.domain.enums import OrderRole, PositionSide
from src.domain.events import FillsFetched
from src.domain.orders import FORCED_ORDER_PREFIXES, Fill, Order, OrderUpdate
from src.domain.positions import PositionKey

log = logging.getLogger("hunter.orders")

REQUEST_INTERVAL_MS = 2_000
_OVERLAP_MS = 60_000
_FORCED_TEXTS = (
    "was liquidated by the exchange",
    "was closed by the exchange's auto-deleveraging (ADL), in whole or in part",
    "was settled by the exchange because trading of the symbol ends",
)
_FORCED_REASONS = dict(zip(FORCED_ORDER_PREFIXES, _FORCED_TEXTS, strict=True))


class ForcedOrders:
    """Recognizes forced orders by their ids, and locks their symbols."""

    def __init__(self, context: TraderContext, locks: SymbolLocks) -> None:
        self._context = context
        self._locks = locks
        self._client_order_ids: dict[tuple[str, int], str] = {}
        self._ours: set[tuple[str, int]] = set()
        """Forced orders that closed a position of the bot."""

    def record(self, update: OrderUpdate) -> None:
        """Lock the symbol of a position of the bot that the exchange closed, until the operator resumes.

        A forced order of a person's own position is reported and counts nowhere; any other external order is ignored.
        """
        reason = forced_reason(update.client_order_id)
        if reason is None:
            return
        symbol, order_id = update.symbol, update.order_id
        is_known = (symbol, order_id) in self._client_order_ids
        self._client_order_ids[symbol, order_id] = update.client_order_id
        if self.is_of_bot(update.symbol, update.position_side):
            self._ours.add((symbol, order_id))
            self._locks.lock(symbol, f"{symbol} {order_id}", f"the position of {symbol} {reason}")
        elif not is_known:
            self._context.warn(f"your own position of {symbol} {reason}; it counts in no result and no limit", symbol)

    def is_of_bot(self, symbol: str, position_side: PositionSide) -> bool:
        """Whether the position is the bot's, or was until it ended and its trades are still being fetched."""
        key = symbol, position_side
        return self._context.portfolio.tracked(key).is_managed or key in self._context.ended_positions

    def is_forced_exit(self, fill: Fill) -> bool:
        """Whether the exchange closed a position of the bot by this fill."""
        if forced_reason(fill.client_order_id) is None:
            return False
        return (fill.symbol, fill.order_id) in self._ours or self.is_of_bot(fill.symbol, fill.position_side)

    def with_client_id(self, fill: Fill) -> Fill:
        """The fill with the client order id of its forced order; trade lists give only the exchange's order id."""
        client_order_id = self._client_order_ids.get((fill.symbol, fill.order_id))
        if client_order_id is None or fill.client_order_id:
            return fill
        return replace(fill, client_order_id=client_order_id)


def forced_reason(client_order_id: str) -> str | None:
    """What the exchange did by a forced order with this client order id; None for any other order."""
    return next((reason for prefix, reason in _FORCED_REASONS.items() if client_order_id.startswith(prefix)), None)


class FillRecorder:
    """Records fills in the portfolio and the database, and requests missing ones."""

    def __init__(self, context: TraderContext, forced: ForcedOrders) -> None:
        self._context = context
        self._forced = forced

    def record(self, fill: Fill) -> PositionKey | None:
        """Record a fill once, however often it is reported (I7).

        Returns the key of the position it changed, None for a known fill or an external one. Orders forced by the
        exchange count as the bot's where the position is the bot's, at least in part.
        """
        fill = with_fee_in_dollars(self._context, self._forced.with_client_id(fill))
        context, key = self._context, (fill.symbol, fill.position_side)
        order = self._find_order(fill)
        if order is None and not self._forced.is_forced_exit(fill):
            return None
        if (order is not None and not order.add_fill(fill)) or not context.store.record_fill(fill):
            return None
        if not fill.commission_asset:
            oldest = context.fills_without_fee.get(fill.symbol, fill.traded_at)
            context.fills_without_fee[fill.symbol] = min(oldest, fill.traded_at)
        role = order.role if order is not None else ""
        crash_points.reached(Point.FILL_READ, role)
        tracked = context.portfolio.tracked(key)
        is_entry = order is not None and order.role is OrderRole.ENTRY
        if order is not None and is_entry:
            if fill.traded_at >= tracked.reported_at:  # a position may close and reopen within one millisecond
                finish_if_flat(context, tracked, fill.traded_at)
            tracked.open(fill.traded_at)
            tracked.assign_entry(order.client_order_id)
        tracked.apply_fill(fill, context.clock.now_ms(), only_reduces=not is_entry)
        self._journal_fill(fill, order)
        crash_points.reached(Point.FILL_RECORDED, role)
        return key

    def is_recorded(self, fill: Fill) -> bool:
        """Whether a trade is stored: those of the bot's orders are, as soon as they are known."""
        return self._context.store.has_fill(fill)

    def _find_order(self, fill: Fill) -> Order | None:
        """The order of a fill; one that ended a while ago is loaded again."""
        found = self._context.portfolio.order_for_fill(fill)
        if found is not None or fill.client_order_id:
            return found
        by_number = partial(client_order_id_of, symbol=fill.symbol, order_id=fill.order_id)
        name = self._context.store.read_or_default(by_number)
        order = None if name is None else self._context.store.load_order(name)
        if order is not None:
            self._context.portfolio.add_order(order)
        return order

    def record_all(self, event: FillsFetched) -> list[PositionKey]:
        touched = [self.record(fill) for fill in event.fills]
        return [key for key in touched if key is not None]

    def request_fills(self, symbol: str, since_ms: int) -> None:
        """Request our trades since an instant, ms UTC, with some overlap: known trade ids are ignored."""
        self._context.queue_command(FetchFills(symbol, since_ms - _OVERLAP_MS))

    def request_missing_fills(self, order: Order) -> None:
        """Request fills of an order that has filled more than was recorded."""
        if self._context.may_request(f"fills {order.symbol}", REQUEST_INTERVAL_MS):
            self.request_fills(order.symbol, order.created_at)

    def _journal_fill(self, fill: Fill, order: Order | None) -> None:
        role = order.role if order is not None else "FORCED"
        self._context.log_later(
            "fill recorded symbol=%s role=%s side=%s quantity=%s price=%s",
            *(fill.symbol, role, fill.side, fill.quantity, fill.price),
        )
        payload = {
            "client_order_id": fill.client_order_id or (order.client_order_id if order else ""),
            "role": role,
            "side": fill.side,
            "position_side": fill.position_side,
            "quantity": fill.quantity,
            "price": fill.price,
            "realized_pnl": fill.realized_pnl,
            "commission": fill.commission,
            "commission_asset": fill.commission_asset,
            "trade_id": fill.trade_id,
            "traded_at": fill.traded_at,
        }
        self._context.journal("fill", payload, fill.symbol)


def _is_forced(fill: Fill) -> bool:
    return forced_reason(fill.client_order_id) is not None
