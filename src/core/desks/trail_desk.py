"""Positions that are not as we left them: their trades are read, and tell whose they are and what is not booked yet.

A position of ours that somebody closed while nobody was listening, and one that he then opened in its place, look like
one position that has changed. Only the trades tell them apart: where it was flat in between, and an order that is known
by name to be somebody else's has opened what stands now, that is his. In any doubt it is ours, and protected.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from src.core.books import ZERO, Holding, Question, Slot
from src.core.desks.close_wishes import remember_wishes
from src.core.desks.desk import Desk
from src.core.desks.fill_desk import FillDesk
from src.core.desks.foreign_desk import may_adopt
from src.core.desks.news import conclude_ended
from src.core.desks.second_bot import SecondBotDesk
from src.core.desks.unsettled import settle
from src.core.plans.reconcile import is_as_left
from src.core.plans.trail import Owner, Trade, Trail, follow
from src.core.standing import Obstacle
from src.database.order_rows import name_of
from src.domain.enums import OrderRole
from src.domain.messages import FetchOrders, FillsFetched, OrdersFetched
from src.domain.orders import ClientOrderId, Fill, OrderUpdate
from src.domain.positions import PositionReport, Snapshot

_FIRST_ASK_MS = 1_000
"""The order may be told a moment after the account."""
_LONGEST_PAUSE_MS = 10 * 60_000
_OVERLAP_MS = 60_000
_DOUBT_AFTER_MS = 15_000
_CLOCKS_DIFFER_MS = 2_000
_TRIES = 12


@dataclass(slots=True)
class _Inquiry:
    """How often the trades of a slot were asked for in vain."""

    next_at: int
    tries: int = 0


class TrailDesk:
    """Asks once a second for what is missing, ever more rarely; whatever is told of trades is followed."""

    def __init__(self, desk: Desk, fills: FillDesk, second_bot: SecondBotDesk) -> None:
        self._desk = desk
        self._fills = fills
        self._second_bot = second_bot
        self._inquiries: dict[Slot, _Inquiry] = {}
        self._orders: dict[str, dict[int, OrderUpdate]] = {}
        """What the exchange last told of a symbol's orders, by their numbers."""

    def note(self, event: OrdersFetched) -> None:
        self._orders[event.symbol] = {each.order_id: each for each in event.orders}

    def take_up(self, snapshot: Snapshot) -> None:
        """The first look after a start: what the last run left, held against what stands there now."""
        reports = {(each.symbol, each.position_side): each for each in snapshot.positions}
        for holding in self._desk.books.open_holdings():
            report = reports.get(holding.slot)
            if holding.is_unchecked and report is not None and not is_as_left(report, holding):
                self._pose(holding, holding.close_reason)
            holding.is_unchecked = False

    def on_report(self, holding: Holding, quantity: Decimal) -> None:
        """The private stream tells of a position that cannot be the one we knew without having been flat."""
        if holding.question is None and holding.is_turned_by(quantity):
            self._pose(holding)

    def on_difference(self, holding: Holding, report: PositionReport, *, is_first: bool) -> None:
        """What has led to it: orders, which may have been forced upon us, and trades."""
        if holding.is_ours:
            is_explained = holding.has_traded_to(report.quantity) and not holding.is_turned_by(report.quantity)
            if holding.question is None and not is_explained:
                self._pose(holding)
            return
        since = report.updated_at if is_first else self._desk.clock.now_ms() - _OVERLAP_MS
        self._fetch(report.symbol, min(since, report.updated_at or since))

    def on_untold(self, holdings: Iterable[Holding]) -> None:
        """It may be another position of the same size: the trades tell. Until then it is ours in all that is done."""
        for holding in holdings:
            holding.is_untold = True

    def _pose(self, holding: Holding, wish: str | None = None) -> None:
        holding.question = Question(self._desk.clock.monotonic_ms(), wish)
        self._fetch(holding.position.symbol, self._known().get(holding.slot, holding.opened_at))

    def _fetch(self, symbol: str, since: int) -> None:
        self._desk.send(FetchOrders(symbol, since - _OVERLAP_MS))  # first: it names what the trades number
        self._fills.fetch(symbol, since)

    def check(self) -> None:
        if self._desk.standing.has(Obstacle.STARTING):
            return
        cases = self._cases()
        self._inquiries = {slot: each for slot, each in self._inquiries.items() if slot in cases}
        for slot, since in cases.items():
            self._ask(slot, since)
        for holding in self._desk.books.open_holdings():
            self._heed_silence(holding)

    def on_fills(self, event: FillsFetched) -> set[Slot]:
        """All trades since an instant: those of other people in positions of ours are booked, each once (I7)."""
        touched = set()
        for slot, since in self._known().items():
            if slot[0] == event.symbol and event.since_ms <= since:
                trail = self._follow(slot, since, event)
                if trail.is_clear:
                    touched.add(slot)
                    for fill in trail.by_hand:
                        self._fills.book_by_hand(fill)
                    self._conclude(slot, trail)
        return touched

    def _known(self) -> dict[Slot, int]:
        """Slots of ours, and since when their trades matter."""
        ours = {each.slot: each.opened_at for each in self._desk.books.holdings.values() if each.is_ours}
        earlier = self._desk.unsettled
        return {slot: min(since, ours.get(slot) or since) for slot, since in {**ours, **earlier}.items() if since}

    def _cases(self) -> dict[Slot, int]:
        """Those of which trades are missing, or of which nobody knows whose they are."""
        holdings = self._desk.books.holdings
        return {
            slot: since
            for slot, since in self._known().items()
            if slot in self._desk.unsettled or _is_case(holdings[slot])
        }

    def _ask(self, slot: Slot, since: int) -> None:
        now_ms = self._desk.clock.monotonic_ms()
        inquiry = self._inquiries.setdefault(slot, _Inquiry(now_ms + _FIRST_ASK_MS))
        if now_ms < inquiry.next_at:
            return
        if inquiry.tries == _TRIES:
            self._give_up(slot)
            return
        inquiry.tries += 1
        inquiry.next_at = now_ms + min(_FIRST_ASK_MS * 2**inquiry.tries, _LONGEST_PAUSE_MS)
        self._fetch(slot[0], since)

    def _give_up(self, slot: Slot) -> None:
        """The exchange tells a week of trades; what it does not tell will not come."""
        symbol, side = slot
        self._desk.alert(
            f"trades of {symbol} {side} are missing, and the exchange does not tell them: the bot's result of that "
            "position may differ from the exchange's",
            symbol,
        )
        self._rest(self._desk.books.holding(slot))

    def _heed_silence(self, holding: Holding) -> None:
        """Nobody tells whose it is: it stays protected as ours, and is not closed for what was wished before.

        Its trades are asked for on.
        """
        question = holding.question
        if question is None or self._desk.clock.monotonic_ms() - question.at < _DOUBT_AFTER_MS:
            return
        holding.question, holding.is_untold = None, True
        if question.wish is not None and holding.close_reason == question.wish:
            symbol = holding.position.symbol
            self._desk.alarm(
                f"the position of {symbol} was to be closed ({holding.close_reason}), but has changed since, and its "
                "trades do not tell whether it is still the bot's: it is protected and not closed. Look at it on the "
                "exchange's site, and close it here if it is to go",
                symbol,
            )
            holding.close_reason = None
            remember_wishes(self._desk)

    def _follow(self, slot: Slot, since: int, event: FillsFetched) -> Trail:
        fills = (each for each in event.fills if (each.symbol, each.position_side) == slot and each.traded_at >= since)
        trades = [Trade(fill, self._owner(fill)) for fill in sorted(fills, key=lambda each: each.trade_id)]
        return follow(trades, self._desk.books.holding(slot).position.quantity)

    def _owner(self, fill: Fill) -> Owner:
        ours = self._order_of(fill)
        if ours is not None:
            return Owner.ENTRY if ours.role is OrderRole.ENTRY else Owner.EXIT
        if fill.client_order_id or self._told_of(fill) is not None:
            return Owner.OTHER
        return Owner.UNKNOWN if self._may_be_ours(fill) else Owner.UNNAMED

    def _order_of(self, fill: Fill) -> ClientOrderId | None:
        """Which order of ours it is of; one that only the exchange remembers too."""
        order = self._desk.books.order_of(fill)
        by_number = partial(name_of, symbol=fill.symbol, order_id=fill.order_id)
        name = order.client_order_id if order is not None else self._desk.store.find(by_number)
        if name is not None:
            return ClientOrderId.parse(name)
        told = self._told_of(fill)
        known = None if told is None else ClientOrderId.parse(told.client_order_id)
        return None if told is None or known is None or self._second_bot.is_its(told, known) else known

    def _told_of(self, fill: Fill) -> OrderUpdate | None:
        return self._orders.get(fill.symbol, {}).get(fill.order_id)

    def _may_be_ours(self, fill: Fill) -> bool:
        """An order of ours that is no younger has no number yet."""
        latest = fill.traded_at + _CLOCKS_DIFFER_MS
        in_slot = self._desk.books.orders_in((fill.symbol, fill.position_side))
        return any(order.order_id is None and order.created_at <= latest for order in in_slot)

    def _conclude(self, slot: Slot, trail: Trail) -> None:
        holding, began = self._desk.books.holding(slot), trail.began
        if holding.position.is_open and not holding.is_ours and trail.is_ours and trail.entry is not None:
            self._reclaim(holding, trail.entry)
        elif holding.is_ours and holding.position.is_open and began and began.fill.traded_at > holding.opened_at:
            if trail.is_ours:
                self._succeed(holding, began)
            elif began.owner is Owner.OTHER:
                self._disown(holding, began)
            else:
                return
        holding.question = None
        self._rest(holding)

    def _rest(self, holding: Holding) -> None:
        """Nothing more is asked of it."""
        holding.unexplained, holding.is_untold = ZERO, False
        settle(self._desk, holding.slot)

    def _reclaim(self, holding: Holding, entry: Trade) -> None:
        """It was taken for flat, but for a trade that nobody could place, when the last run ended: it is ours."""
        holding.entry = self._entry_of(entry)
        self._add_up(holding)

    def _succeed(self, holding: Holding, began: Trade) -> None:
        """An entry of ours has opened it after the one we knew had ended: what was wished of that one is past."""
        conclude_ended(self._desk, holding)
        holding.begin(began.fill.traded_at)
        holding.entry = self._entry_of(began)
        self._add_up(holding)
        remember_wishes(self._desk)

    def _entry_of(self, trade: Trade) -> str | None:
        order = self._order_of(trade.fill)
        return None if order is None else str(ClientOrderId(order.entry, OrderRole.ENTRY))

    def _add_up(self, holding: Holding) -> None:
        holding.realized_pnl, holding.commission, *_ = self._desk.store.result_since(*holding.slot, holding.opened_at)

    def _disown(self, holding: Holding, began: Trade) -> None:
        """Ours was closed by somebody, who then opened this one: it is left alone (I19).

        Orders of ours that still rest in the slot belonged to the position that is gone (I14): at prices of that one
        they would close a stranger's, which is as much as to trade it. Where it is to be adopted they stay until those
        that fit it stand.
        """
        desk, (symbol, side) = self._desk, holding.slot
        is_adopted = may_adopt(desk, symbol)
        conclude_ended(desk, holding)
        holding.begin(began.fill.traded_at)
        remember_wishes(desk)
        orders = [] if is_adopted else desk.books.orders_in(holding.slot)
        for order in orders:
            desk.unwanted.add(order.client_order_id)
            desk.cancel(order)
        gone = "the bot's own orders stay until new ones stand" if is_adopted else "the bot's own orders are removed"
        desk.alarm(
            f"the bot's position of {symbol} {side} was closed by somebody, and the one that stands there now was "
            f"opened by an order that is not the bot's: {gone}",
            symbol,
        )


def _is_case(holding: Holding) -> bool:
    return bool(holding.unexplained) or holding.is_untold or holding.question is not None
