"""Decides from its trades whether a position that changed unexpectedly is still the bot's, and records missing trades.

If the bot's position was closed externally and another one opened while the bot was offline, the account shows a single
changed position. Only the trades distinguish the two: if the position was flat in between and a known external order
opened the current one, it is external. In any doubt it is treated as the bot's and stays protected.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from src.core.account.reconciliation import is_unchanged
from src.core.context import TraderContext
from src.core.orders.fills import FillRecorder
from src.core.orders.other_bot import OtherBotDetector
from src.core.portfolio import OwnershipCheck, TrackedPosition
from src.core.positions.external_positions import may_adopt
from src.core.positions.lifecycle import finish_position, mark_trades_complete, save_pending_closes
from src.core.positions.trade_attribution import AttributedTrade, Attribution, Owner, attribute_trades
from src.core.trading_status import EntryBlock
from src.database.tables.orders import client_order_id_of
from src.domain.clock import MINUTE_MS
from src.domain.commands import FetchOrders
from src.domain.enums import OrderRole
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.numbers import ZERO
from src.domain.orders import ClientOrderId, Fill, OrderUpdate
from src.domain.positions import PositionKey, PositionReport, Snapshot

_FIRST_RETRY_MS = 1_000
"""The order update may arrive shortly after the account update."""
_MAX_PAUSE_MS = 10 * MINUTE_MS
_OVERLAP_MS = 60_000
_UNRESOLVED_AFTER_MS = 15_000
_CLOCK_TOLERANCE_MS = 2_000
_MAX_ATTEMPTS = 12


@dataclass(slots=True)
class _Retry:
    """Unsuccessful requests for the trades of a position."""

    next_at: int
    attempts: int = 0


class OwnershipTracker:
    """Runs ownership checks: requests missing trades with growing pauses and applies what they show."""

    def __init__(self, context: TraderContext, fills: FillRecorder, second_bot: OtherBotDetector) -> None:
        self._context = context
        self._fills = fills
        self._second_bot = second_bot
        self._retries: dict[PositionKey, _Retry] = {}
        self._listed_orders: dict[str, dict[int, OrderUpdate]] = {}
        """The exchange's latest order list of each symbol, by order id."""

    def record_orders(self, event: OrdersFetched) -> None:
        self._listed_orders[event.symbol] = {each.order_id: each for each in event.orders}

    def verify_at_startup(self, snapshot: Snapshot) -> None:
        """Compare the positions of the last run with the first snapshot; check those that changed."""
        reports = {(each.symbol, each.position_side): each for each in snapshot.positions}
        for tracked in self._context.portfolio.open_positions():
            report = reports.get(tracked.key)
            if tracked.is_unverified and report is not None and not is_unchanged(report, tracked):
                self._start_check(tracked, tracked.close_reason)
            tracked.is_unverified = False

    def on_stream_report(self, tracked: TrackedPosition, quantity: Decimal) -> None:
        """Start a check if the user data stream reports a position that must have been flat in between."""
        if tracked.ownership_check is None and tracked.is_flipped_by(quantity):
            self._start_check(tracked)

    def on_mismatch(self, tracked: TrackedPosition, report: PositionReport, *, is_first: bool) -> None:
        """Find out which trades and orders, forced ones included, caused a difference from the exchange."""
        if tracked.is_managed:
            is_expected = tracked.fills_explain(report.quantity) and not tracked.is_flipped_by(report.quantity)
            if tracked.ownership_check is None and not is_expected:
                self._start_check(tracked)
            return
        since = report.updated_at if is_first else self._context.clock.now_ms() - _OVERLAP_MS
        self._request_trades(report.symbol, min(since, report.updated_at or since))

    def on_unseen_trades(self, tracked_positions: Iterable[TrackedPosition]) -> None:
        """Mark positions that traded without our knowledge; they are treated as the bot's until the trades arrive."""
        for tracked in tracked_positions:
            tracked.has_unseen_trades = True

    def _start_check(self, tracked: TrackedPosition, close_reason: str | None = None) -> None:
        tracked.ownership_check = OwnershipCheck(self._context.clock.monotonic_ms(), close_reason)
        self._request_trades(tracked.position.symbol, self._tracked_since().get(tracked.key, tracked.opened_at))

    def _request_trades(self, symbol: str, since: int) -> None:
        self._context.queue_command(
            FetchOrders(symbol, since - _OVERLAP_MS)
        )  # first: it maps the trades' order ids to client order ids
        self._fills.request_fills(symbol, since)

    def check(self) -> None:
        if self._context.trading_status.has(EntryBlock.STARTING):
            return
        checks = self._open_checks()
        self._retries = {key: each for key, each in self._retries.items() if key in checks}
        for key, since in checks.items():
            self._retry(key, since)
        for tracked in self._context.portfolio.open_positions():
            self._on_timeout(tracked)

    def on_fills(self, event: FillsFetched) -> list[PositionKey]:
        """Attribute fetched trades; external ones in the bot's positions are recorded, each once (I7)."""
        touched = []
        for key, since in self._tracked_since().items():
            if key[0] == event.symbol and event.since_ms <= since:
                attribution = self._attribute(key, since, event)
                if attribution.is_consistent:
                    touched.append(key)
                    for fill in attribution.manual:
                        self._fills.record_manual_fill(fill)
                    self._apply(key, attribution)
        return touched

    def _tracked_since(self) -> dict[PositionKey, int]:
        """Keys of the bot's positions, each with the time since when its trades are needed."""
        ours = {
            each.key: each.opened_at for each in self._context.portfolio.tracked_positions.values() if each.is_managed
        }
        earlier = self._context.positions_missing_trades
        return {key: min(since, ours.get(key) or since) for key, since in {**ours, **earlier}.items() if since}

    def _open_checks(self) -> dict[PositionKey, int]:
        """Positions with missing trades or an unknown owner, each with the time since when trades are needed."""
        tracked_positions = self._context.portfolio.tracked_positions
        return {
            key: since
            for key, since in self._tracked_since().items()
            if key in self._context.positions_missing_trades or _needs_check(tracked_positions[key])
        }

    def _retry(self, key: PositionKey, since: int) -> None:
        now_ms = self._context.clock.monotonic_ms()
        retry = self._retries.setdefault(key, _Retry(now_ms + _FIRST_RETRY_MS))
        if now_ms < retry.next_at:
            return
        if retry.attempts == _MAX_ATTEMPTS:
            self._give_up(key)
            return
        retry.attempts += 1
        retry.next_at = now_ms + min(_FIRST_RETRY_MS * 2**retry.attempts, _MAX_PAUSE_MS)
        self._request_trades(key[0], since)

    def _give_up(self, key: PositionKey) -> None:
        """Stop asking: the exchange returns trades of one week only, so older ones are lost."""
        symbol, side = key
        self._context.warn(
            f"the exchange no longer returns some trades of {symbol} {side}; PnL may differ",
            symbol,
        )
        self._resolve(self._context.portfolio.tracked(key))

    def _on_timeout(self, tracked: TrackedPosition) -> None:
        """Give up on a check that got no answer: the position stays protected, an inherited close request is dropped.

        Its trades are still requested.
        """
        check = tracked.ownership_check
        if check is None or self._context.clock.monotonic_ms() - check.started_at < _UNRESOLVED_AFTER_MS:
            return
        tracked.ownership_check, tracked.has_unseen_trades = None, True
        if check.close_reason is not None and tracked.close_reason == check.close_reason:
            symbol = tracked.position.symbol
            self._context.alert(
                f"the position of {symbol} was to be closed ({tracked.close_reason}), but it has changed and may not "
                "be the bot's any more: it stays protected. Check it on the exchange; close it here if needed",
                symbol,
            )
            tracked.close_reason = None
            save_pending_closes(self._context)

    def _attribute(self, key: PositionKey, since: int, event: FillsFetched) -> Attribution:
        fills = (each for each in event.fills if (each.symbol, each.position_side) == key and each.traded_at >= since)
        trades = [AttributedTrade(fill, self._owner(fill)) for fill in sorted(fills, key=lambda each: each.trade_id)]
        return attribute_trades(trades, self._context.portfolio.tracked(key).position.quantity)

    def _owner(self, fill: Fill) -> Owner:
        ours = self._find_order_id(fill)
        if ours is not None:
            return Owner.ENTRY if ours.role is OrderRole.ENTRY else Owner.EXIT
        if fill.client_order_id or self._listed_order(fill) is not None:
            return Owner.OTHER
        return Owner.UNRESOLVED if self._may_be_ours(fill) else Owner.UNMATCHED

    def _find_order_id(self, fill: Fill) -> ClientOrderId | None:
        """Client order id if the fill is of one of the bot's orders, including those only the exchange still lists."""
        order = self._context.portfolio.order_for_fill(fill)
        by_number = partial(client_order_id_of, symbol=fill.symbol, order_id=fill.order_id)
        name = order.client_order_id if order is not None else self._context.store.read_or_default(by_number)
        if name is not None:
            return ClientOrderId.parse(name)
        listed = self._listed_order(fill)
        known = None if listed is None else ClientOrderId.parse(listed.client_order_id)
        return None if listed is None or known is None or self._second_bot.is_from_other_bot(listed, known) else known

    def _listed_order(self, fill: Fill) -> OrderUpdate | None:
        return self._listed_orders.get(fill.symbol, {}).get(fill.order_id)

    def _may_be_ours(self, fill: Fill) -> bool:
        """Whether one of the bot's orders, created before the fill, has no exchange order id yet."""
        latest = fill.traded_at + _CLOCK_TOLERANCE_MS
        orders = self._context.portfolio.orders_for((fill.symbol, fill.position_side))
        return any(order.order_id is None and order.created_at <= latest for order in orders)

    def _apply(self, key: PositionKey, attribution: Attribution) -> None:
        tracked, opening_trade = self._context.portfolio.tracked(key), attribution.opening_trade
        if (
            tracked.position.is_open
            and not tracked.is_managed
            and attribution.is_ours
            and attribution.entry is not None
        ):
            self._readopt(tracked, attribution.entry)
        elif (
            tracked.is_managed
            and tracked.position.is_open
            and opening_trade
            and opening_trade.fill.traded_at > tracked.opened_at
        ):
            if attribution.is_ours:
                self._start_new_position(tracked, opening_trade)
            elif opening_trade.owner is Owner.OTHER:
                self._release(tracked, opening_trade)
            else:
                return
        tracked.ownership_check = None
        self._resolve(tracked)

    def _resolve(self, tracked: TrackedPosition) -> None:
        """Stop checking the position; what is still unexplained is accepted."""
        tracked.unexplained_quantity, tracked.has_unseen_trades = ZERO, False
        mark_trades_complete(self._context, tracked.key)

    def _readopt(self, tracked: TrackedPosition, entry: AttributedTrade) -> None:
        """Manage again a position that the last run took for flat because it could not attribute a trade."""
        tracked.assign_entry(self._entry_order_id(entry))
        self._reload_results(tracked)

    def _start_new_position(self, tracked: TrackedPosition, opening_trade: AttributedTrade) -> None:
        """Track the new position that one of the bot's entries opened; requests for the old one are dropped."""
        finish_position(self._context, tracked)
        tracked.open(opening_trade.fill.traded_at)
        tracked.assign_entry(self._entry_order_id(opening_trade))
        self._reload_results(tracked)
        save_pending_closes(self._context)

    def _entry_order_id(self, trade: AttributedTrade) -> str | None:
        order = self._find_order_id(trade.fill)
        return None if order is None else str(ClientOrderId(order.entry, OrderRole.ENTRY))

    def _reload_results(self, tracked: TrackedPosition) -> None:
        tracked.realized_pnl, tracked.commission, *_ = self._context.store.result_since(*tracked.key, tracked.opened_at)

    def _release(self, tracked: TrackedPosition, opening_trade: AttributedTrade) -> None:
        """Stop managing a position that was closed externally and replaced by an external one (I19).

        The bot's remaining orders belonged to the closed position and would close the external one, so they are
        cancelled (I14). If the position is going to be adopted they stay until new ones are working.
        """
        context, (symbol, side) = self._context, tracked.key
        is_adopted = may_adopt(context, symbol)
        finish_position(context, tracked)
        tracked.open(opening_trade.fill.traded_at)
        save_pending_closes(context)
        orders = [] if is_adopted else context.portfolio.orders_for(tracked.key)
        for order in orders:
            context.entries_to_cancel.add(order.client_order_id)
            context.cancel_order(order)
        consequence = (
            "the bot's orders stay until they are replaced" if is_adopted else "the bot's orders are cancelled"
        )
        context.alert(
            f"the bot's position of {symbol} {side} was closed externally, and the current position was opened by an "
            f"external order: {consequence}",
            symbol,
        )


def _needs_check(tracked: TrackedPosition) -> bool:
    return bool(tracked.unexplained_quantity) or tracked.has_unseen_trades or tracked.ownership_check is not None
