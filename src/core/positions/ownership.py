"""Positions that are not as we left them: their trades are read, and tell whose they are and what is not booked yet.

A position of ours that somebody closed while nobody was listening, and one that he then opened in its place, look like
one position that has changed. Only the trades tell them apart: where it was flat in between, and an order that is known
by name to be somebody else's has opened what stands now, that is his. In any doubt it is ours, and protected.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from src.core.account.reconciliation import is_unchanged
from src.core.context import TraderContext
from src.core.orders.fills import FillRecorder
from src.core.orders.other_bot import OtherBotDetector
from src.core.portfolio import ZERO, OwnershipCheck, TrackedPosition
from src.core.positions.external_positions import may_adopt
from src.core.positions.lifecycle import finish_position, mark_trades_complete, save_pending_closes
from src.core.positions.trade_attribution import AttributedTrade, Attribution, Owner, attribute_trades
from src.core.trading_status import EntryBlock
from src.database.tables.orders import client_order_id_of
from src.domain.commands import FetchOrders
from src.domain.enums import OrderRole
from src.domain.events import FillsFetched, OrdersFetched
from src.domain.orders import ClientOrderId, Fill, OrderUpdate
from src.domain.positions import PositionKey, PositionReport, Snapshot

_FIRST_RETRY_MS = 1_000
"""The order may be told a moment after the account."""
_MAX_PAUSE_MS = 10 * 60_000
_OVERLAP_MS = 60_000
_UNRESOLVED_AFTER_MS = 15_000
_CLOCK_TOLERANCE_MS = 2_000
_MAX_ATTEMPTS = 12


@dataclass(slots=True)
class _Retry:
    """How often the trades of a slot were asked for in vain."""

    next_at: int
    attempts: int = 0


class OwnershipTracker:
    """Asks once a second for what is missing, ever more rarely; whatever is told of trades is followed."""

    def __init__(self, context: TraderContext, fills: FillRecorder, second_bot: OtherBotDetector) -> None:
        self._context = context
        self._fills = fills
        self._second_bot = second_bot
        self._retries: dict[PositionKey, _Retry] = {}
        self._listed_orders: dict[str, dict[int, OrderUpdate]] = {}
        """What the exchange last told of a symbol's orders, by their numbers."""

    def record_orders(self, event: OrdersFetched) -> None:
        self._listed_orders[event.symbol] = {each.order_id: each for each in event.orders}

    def verify_at_startup(self, snapshot: Snapshot) -> None:
        """The first look after a start: what the last run left, held against what stands there now."""
        reports = {(each.symbol, each.position_side): each for each in snapshot.positions}
        for tracked in self._context.portfolio.open_positions():
            report = reports.get(tracked.key)
            if tracked.is_unverified and report is not None and not is_unchanged(report, tracked):
                self._start_check(tracked, tracked.close_reason)
            tracked.is_unverified = False

    def on_stream_report(self, tracked: TrackedPosition, quantity: Decimal) -> None:
        """The private stream tells of a position that cannot be the one we knew without having been flat."""
        if tracked.ownership_check is None and tracked.is_flipped_by(quantity):
            self._start_check(tracked)

    def on_mismatch(self, tracked: TrackedPosition, report: PositionReport, *, is_first: bool) -> None:
        """What has led to it: orders, which may have been forced upon us, and trades."""
        if tracked.is_managed:
            is_expected = tracked.fills_explain(report.quantity) and not tracked.is_flipped_by(report.quantity)
            if tracked.ownership_check is None and not is_expected:
                self._start_check(tracked)
            return
        since = report.updated_at if is_first else self._context.clock.now_ms() - _OVERLAP_MS
        self._request_trades(report.symbol, min(since, report.updated_at or since))

    def on_unseen_trades(self, tracked_positions: Iterable[TrackedPosition]) -> None:
        """It may be another position of the same size: the trades tell. Until then it is ours in all that is done."""
        for tracked in tracked_positions:
            tracked.has_unseen_trades = True

    def _start_check(self, tracked: TrackedPosition, close_reason: str | None = None) -> None:
        tracked.ownership_check = OwnershipCheck(self._context.clock.monotonic_ms(), close_reason)
        self._request_trades(tracked.position.symbol, self._tracked_since().get(tracked.key, tracked.opened_at))

    def _request_trades(self, symbol: str, since: int) -> None:
        self._context.queue_command(FetchOrders(symbol, since - _OVERLAP_MS))  # first: it names what the trades number
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

    def on_fills(self, event: FillsFetched) -> set[PositionKey]:
        """All trades since an instant: those of other people in positions of ours are booked, each once (I7)."""
        touched = set()
        for key, since in self._tracked_since().items():
            if key[0] == event.symbol and event.since_ms <= since:
                attribution = self._attribute(key, since, event)
                if attribution.is_consistent:
                    touched.add(key)
                    for fill in attribution.manual:
                        self._fills.record_manual_fill(fill)
                    self._apply(key, attribution)
        return touched

    def _tracked_since(self) -> dict[PositionKey, int]:
        """Slots of ours, and since when their trades matter."""
        ours = {
            each.key: each.opened_at for each in self._context.portfolio.tracked_positions.values() if each.is_managed
        }
        earlier = self._context.positions_missing_trades
        return {key: min(since, ours.get(key) or since) for key, since in {**ours, **earlier}.items() if since}

    def _open_checks(self) -> dict[PositionKey, int]:
        """Those of which trades are missing, or of which nobody knows whose they are."""
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
        """The exchange tells a week of trades; what it does not tell will not come."""
        symbol, side = key
        self._context.warn(
            f"trades of {symbol} {side} are missing, and the exchange does not tell them: the bot's result of that "
            "position may differ from the exchange's",
            symbol,
        )
        self._resolve(self._context.portfolio.tracked(key))

    def _on_timeout(self, tracked: TrackedPosition) -> None:
        """Nobody tells whose it is: it stays protected as ours, and is not closed for what was wished before.

        Its trades are asked for on.
        """
        question = tracked.ownership_check
        if question is None or self._context.clock.monotonic_ms() - question.started_at < _UNRESOLVED_AFTER_MS:
            return
        tracked.ownership_check, tracked.has_unseen_trades = None, True
        if question.close_reason is not None and tracked.close_reason == question.close_reason:
            symbol = tracked.position.symbol
            self._context.alert(
                f"the position of {symbol} was to be closed ({tracked.close_reason}), but has changed since, and its "
                "trades do not tell whether it is still the bot's: it is protected and not closed. Look at it on the "
                "exchange's site, and close it here if it is to go",
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
        """Which order of ours it is of; one that only the exchange remembers too."""
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
        """An order of ours that is no younger has no number yet."""
        latest = fill.traded_at + _CLOCK_TOLERANCE_MS
        in_slot = self._context.portfolio.orders_for((fill.symbol, fill.position_side))
        return any(order.order_id is None and order.created_at <= latest for order in in_slot)

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
        """Nothing more is asked of it."""
        tracked.unexplained_quantity, tracked.has_unseen_trades = ZERO, False
        mark_trades_complete(self._context, tracked.key)

    def _readopt(self, tracked: TrackedPosition, entry: AttributedTrade) -> None:
        """It was taken for flat, but for a trade that nobody could place, when the last run ended: it is ours."""
        tracked.assign_entry(self._entry_order_id(entry))
        self._reload_results(tracked)

    def _start_new_position(self, tracked: TrackedPosition, opening_trade: AttributedTrade) -> None:
        """An entry of ours has opened it after the one we knew had ended: what was wished of that one is past."""
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
        """Ours was closed by somebody, who then opened this one: it is left alone (I19).

        Orders of ours that still rest in the slot belonged to the position that is gone (I14): at prices of that one
        they would close a stranger's, which is as much as to trade it. Where it is to be adopted they stay until those
        that fit it stand.
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
            "the bot's own orders stay until new ones stand" if is_adopted else "the bot's own orders are removed"
        )
        context.alert(
            f"the bot's position of {symbol} {side} was closed by somebody, and the one that stands there now was "
            f"opened by an order that is not the bot's: {consequence}",
            symbol,
        )


def _needs_check(tracked: TrackedPosition) -> bool:
    return bool(tracked.unexplained_quantity) or tracked.has_unseen_trades or tracked.ownership_check is not None
