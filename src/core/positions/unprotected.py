"""Positions without a working stop loss (I8): one rule, whatever the reason."""

from collections.abc import Iterable

from src.core.context import TraderContext
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.core.positions.protection_plan import UNCONFIRMED_STOP_GRACE_MS, has_working_stop
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole
from src.domain.orders import Order
from src.domain.positions import PositionKey, Snapshot

_ALERT_INTERVAL_MS = 10_000
_READ_INTERVAL_MS = 3_000
_CONFIRMED_MS = 2_000
"""How long the exchange must have known no stop before the position is closed: it may be about to answer again."""


class UnprotectedPositions:
    """After five seconds without a working stop: an alarm every ten seconds, no entries, and MISSING on the page.

    The position is closed if the exchange answers and knows no stop. External positions, and those whose stop loss is
    disabled in the settings, are not part of this.
    """

    def __init__(self, context: TraderContext, closing: PositionCloser) -> None:
        self._context = context
        self._closing = closing
        self._alerted_at: dict[PositionKey, int] = {}
        self._denied_at: dict[PositionKey, int] = {}
        """Monotonic time since when the exchange is known to have no stop of a position."""

    def observe(self, tracked: TrackedPosition) -> None:
        """Note whether the position has a working stop; called after each change of its protection."""
        now_ms = self._context.clock.monotonic_ms()
        if not self._lacks_stop(tracked):
            tracked.exits.unprotected_since = None
            self._alerted_at.pop(tracked.key, None)
            self._denied_at.pop(tracked.key, None)
        elif tracked.exits.unprotected_since is None:
            tracked.exits.unprotected_since = now_ms
        elif any(order.not_found_count for order in self._sent(tracked, OrderRole.STOP_LOSS) if order.is_open):
            self._denied_at.setdefault(tracked.key, now_ms)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Note the positions for which the exchange lists no stop, external ones included."""
        listed = {
            (order.symbol, order.position_side, order.side)
            for order in snapshot.open_orders
            if order.original_type.is_conditional and not order.original_type.is_take_profit
        }
        for tracked in self._unprotected(UNCONFIRMED_STOP_GRACE_MS, snapshot.requested_at):
            if (*tracked.key, tracked.position.side.opposite) in listed:
                self._denied_at.pop(tracked.key, None)
            else:
                self._denied_at.setdefault(tracked.key, self._context.clock.monotonic_ms())

    def check(self) -> None:
        """Called every second, after every position was protected."""
        if any(self._unprotected(UNCONFIRMED_STOP_GRACE_MS, self._context.clock.now_ms())) and (
            self._context.may_request("unprotected positions", _READ_INTERVAL_MS)
        ):
            self._context.request_snapshot("a position has no stop loss", is_poll=True)
        now_ms = self._context.clock.monotonic_ms()
        overdue = [each for each in self._context.portfolio.open_positions() if each.is_unprotected(now_ms)]
        reason = f"no stop loss: {', '.join(map(_describe, overdue))}. Place one on the exchange, or close the position"
        self._context.trading_status.set_or_clear(EntryBlock.UNPROTECTED, reason if overdue else None)
        for tracked in overdue:
            self._on_overdue(tracked, now_ms)

    def _on_overdue(self, tracked: TrackedPosition, now_ms: int) -> None:
        symbol = tracked.position.symbol
        for order in self._context.portfolio.open_orders(symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)
        is_denied = now_ms - self._denied_at.get(tracked.key, now_ms) >= _CONFIRMED_MS
        if is_denied and tracked.is_managed:
            self._closing.request_close(tracked, "unprotected for 5 s", is_protective=True)
            self._closing.advance(tracked)
        if now_ms - self._alerted_at.get(tracked.key, -_ALERT_INTERVAL_MS) >= _ALERT_INTERVAL_MS:
            self._alerted_at[tracked.key] = now_ms
            seconds = tracked.unprotected_ms(now_ms) // 1000
            self._context.alert(
                f"{_describe(tracked)} has had no stop loss for {seconds} s: {self._tried(tracked)}. Place one on the "
                "exchange, or close the position; the bot keeps trying",
                symbol,
            )

    def _lacks_stop(self, tracked: TrackedPosition) -> bool:
        portfolio = self._context.portfolio
        if not tracked.position.is_open:
            return False
        if not tracked.is_managed and not any(_may_have_opened(each, tracked) for each in portfolio.pending_entries()):
            return False  # external
        settings = self._context.symbol_settings(tracked.position.symbol)
        if settings is not None and not settings.stop_loss_enabled:
            return False
        return not has_working_stop(portfolio.orders_for(tracked.key), tracked.position)

    def _unprotected(self, for_ms: int, at: int) -> Iterable[TrackedPosition]:
        """Positions that lacked a stop for this long at this instant, ms UTC."""
        at_ms = self._context.clock.monotonic_ms() - (self._context.clock.now_ms() - at)
        return [each for each in self._context.portfolio.open_positions() if each.unprotected_ms(at_ms) >= for_ms]

    def _sent(self, tracked: TrackedPosition, role: OrderRole) -> list[Order]:
        """Orders of a role sent for the position since it lacks a stop, or shortly before."""
        lacking_ms = tracked.unprotected_ms(self._context.clock.monotonic_ms())
        since = self._context.clock.now_ms() - lacking_ms - UNCONFIRMED_STOP_GRACE_MS
        orders = self._context.portfolio.orders.values()
        return [each for each in orders if each.key == tracked.key and each.role is role and each.created_at >= since]

    def _tried(self, tracked: TrackedPosition) -> str:
        """What was done about it, for the alarm."""
        symbol = tracked.position.symbol
        stops, closes = (self._sent(tracked, role) for role in (OrderRole.STOP_LOSS, OrderRole.CLOSE))
        if self._context.symbol_settings(symbol) is None:
            cause = f"{symbol} is not configured"
        elif symbol not in self._context.instruments:
            cause = f"the trading rules of {symbol} are not known"
        elif tracked.position.is_entry_unknown:
            cause = "its entry price is not known"
        elif not tracked.is_managed:
            cause = "its entry is not confirmed"
        elif not stops:
            cause = "no stop loss could be sent"
        else:
            cause = f"stop losses sent: {len(stops)}, last answer: {stops[-1].reason or 'none'}"
        return f"{cause}; close orders sent: {len(closes)}" if closes else cause


def _may_have_opened(entry: Order, tracked: TrackedPosition) -> bool:
    """Whether the entry may have filled; one that the exchange confirms as unfilled has not."""
    is_doubtful = entry.order_id is None or entry.unresolved_since is not None or entry.has_missing_fills
    return entry.key == tracked.key and is_doubtful


def _describe(tracked: TrackedPosition) -> str:
    """Symbol, side and size of a position."""
    position = tracked.position
    return f"{position.symbol} {position.direction} {abs(position.quantity)}"
