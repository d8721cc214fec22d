"""From a liquidation to a verdict: the window, the situation, the gates."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import product
from typing import Any

from src.core.books import margin_of_entries, reserved_notional
from src.core.desks.account_desk import AccountDesk
from src.core.desks.desk import Desk
from src.core.plans.risk import review
from src.core.plans.situation import ApprovedPlan, Exposure, Situation
from src.core.plans.strategy import plan_entry, refusal_by_signal
from src.core.vitals import Vitals
from src.database.db import get_usdt_volume_in_window, get_volume_in_window
from src.database.queries.results import entries_since
from src.domain.decisions import Decision, Skip
from src.domain.enums import Side, VolumeScope
from src.domain.market import Liquidation, LiquidationWindow
from src.domain.orders import Order
from src.utils.config import SymbolSettings

ZERO = Decimal(0)
LastEntries = Mapping[tuple[str, Side], tuple[int, int]]
LEAST_RESERVE_PCT = Decimal(30)
"""Left to protection and reconciling whatever the settings say (I29)."""
_MINUTE_MS = 60_000


class EntryDesk:
    """Knows the windows and the last entries; judges each liquidation of a configured symbol."""

    def __init__(self, desk: Desk, account: AccountDesk, read_vitals: Callable[[], Vitals]) -> None:
        self._desk = desk
        self._account = account
        self._read_vitals = read_vitals
        self._window = LiquidationWindow(desk.settings.globals_.volume_window_sec * 1000)
        self._is_outdated = False
        """The windows were to be filled anew while the ledger could not tell how."""
        self._newest_at: dict[str, int] = {}
        self.last_entry_at: dict[tuple[str, Side], int] = {}

    def restore(self) -> None:
        """Fill the windows and the cooldowns from the database; where it fails now, once it answers (F43)."""
        store, window_ms = self._desk.store, self._desk.settings.globals_.volume_window_sec * 1000
        entries, recent = store.last_entries(), store.recent_liquidations(self._desk.clock.now_ms() - window_ms)
        self._is_outdated = store.fault is not None  # it lacks what waits to be written; no entry is made meanwhile
        if not self._is_outdated:
            self._fill(LiquidationWindow(window_ms), entries, recent)

    def catch_up(self) -> None:
        """Before liquidations are stored and judged."""
        if self._is_outdated and self._desk.store.fault is None:
            self.restore()

    def _fill(self, window: LiquidationWindow, entries: LastEntries, recent: Sequence[tuple[int, Liquidation]]) -> None:
        self._window = window
        acted_upon: dict[tuple[str, Side], int] = {}
        for (symbol, side), (decided_at, liquidation_id) in entries.items():
            self.last_entry_at[symbol, side] = max(decided_at, self.last_entry_at.get((symbol, side), 0))
            for acted in (side, side.opposite) if self._counts_both else (side.opposite,):
                acted_upon[symbol, acted] = max(liquidation_id, acted_upon.get((symbol, acted), 0))
        self._verify([liquidation for _, liquidation in recent])
        for row_id, liquidation in recent:
            if row_id > acted_upon.get((liquidation.symbol, liquidation.side), 0):
                self.count(liquidation)

    def _verify(self, recent: Sequence[Liquidation]) -> None:
        """The window in memory must hold what the database adds up; a person is told where it does not."""
        seconds, now_ms = self._desk.settings.globals_.volume_window_sec, self._desk.clock.now_ms()
        window = LiquidationWindow(seconds * 1000)
        for liquidation in recent:
            window.add(liquidation)
        for symbol, side in product(self._desk.settings.symbols, Side):
            counted = window.get_usdt_volume_in_window(symbol, now_ms, side)
            held = counted, window.get_volume_in_window(symbol, now_ms, side)
            slot: dict[str, Any] = {"symbol": symbol, "window_sec": seconds, "now_ms": now_ms, "side": side}
            usdt = self._desk.store.find(partial(get_usdt_volume_in_window, **slot))
            stored = usdt, self._desk.store.find(partial(get_volume_in_window, **slot))
            if held != stored and self._desk.store.fault is None:
                self._desk.alert(f"volume of {symbol} {side} in the window: {counted} USDT counted, {usdt} stored")

    def count(self, liquidation: Liquidation) -> None:
        """Add it to its window."""
        self._window.add(liquidation)
        symbol = liquidation.symbol
        self._newest_at[symbol] = max(self._newest_at.get(symbol, 0), liquidation.traded_at)

    def judge(self, liquidation: Liquidation, settings: SymbolSettings) -> tuple[Situation, Skip | ApprovedPlan]:
        """The situation of this liquidation, and what its gates say."""
        situation = self._situation(liquidation, settings)
        refusal = refusal_by_signal(situation)
        if refusal is not None:
            return situation, refusal
        plan = plan_entry(situation)
        if isinstance(plan, Skip):
            return situation, plan
        return situation, review(plan, situation, self.exposure(plan.symbol))

    def act_upon(self, situation: Situation) -> None:
        """An entry was made: its volume does not count again, and its side cools down."""
        liquidation = situation.liquidation
        self.last_entry_at[liquidation.symbol, situation.entry_side] = liquidation.traded_at
        self._window.consume(liquidation.symbol, self._counted_side(liquidation))

    def exposure(self, symbol: str) -> Exposure:
        """What is at risk or spoken for: orders count from the decision on, not from their answer."""
        books = self._desk.books
        holdings, at_work = books.holdings_of(symbol), books.entries_at_work()
        entries = [order for order in at_work if order.symbol == symbol]
        total = self._margin_with(at_work)
        foreign = [each for each in books.foreign_orders.values() if each.symbol == symbol]
        strange = [each for each in books.strange_orders.values() if each.symbol == symbol]
        return Exposure(
            symbol_margin=sum((each.margin for each in holdings), self._entry_margin(symbol, entries)),
            total_margin=total,
            available_balance=self._account.available_balance(total),
            symbol_notional=sum((each.position.quantity * each.position.entry_price for each in holdings), ZERO)
            + sum((order.request.side.sign * reserved_notional(order) for order in entries), ZERO),
            open_entries=len(entries),
            stop_orders=max((books.stop_orders(each.slot) for each in holdings), default=0),
            foreign_orders=len(foreign) + len(strange) + sum(not each.is_ours for each in holdings),
            unresolved=sum(order.unresolved_since is not None for order in entries),
            has_request_budget=self._has_request_budget(),
            entries_last_minute=self._entries_last_minute(),
        )

    def total_margin(self) -> Decimal:
        """Margin of all positions and of all entries that may still fill."""
        return self._margin_with(self._desk.books.entries_at_work())

    def _margin_with(self, entries: Iterable[Order]) -> Decimal:
        of_symbols: dict[str, list[Order]] = defaultdict(list)
        for order in entries:
            of_symbols[order.symbol].append(order)
        reserved = sum((self._entry_margin(*each) for each in of_symbols.items()), ZERO)
        return sum((each.margin for each in self._desk.books.open_holdings()), reserved)

    def _entries_last_minute(self) -> int:
        """Of all symbols; from the ledger, so that a restart forgets none and a burst counts its own. While they cannot
        be counted there is room for none."""
        most = self._desk.settings.globals_.max_entries_per_minute
        if most is None:
            return 0
        since_ms = self._desk.clock.now_ms() - _MINUTE_MS
        return self._desk.store.find(partial(entries_since, since_ms=since_ms), otherwise=most)

    def _has_request_budget(self) -> bool:
        vitals = self._read_vitals()
        if vitals.blocked_until > self._desk.clock.now_ms():
            return False
        reserve = max(self._desk.settings.globals_.rate_limit_buffer_pct, LEAST_RESERVE_PCT)
        return vitals.weight_used * 100 <= vitals.weight_limit * (100 - reserve)

    def _entry_margin(self, symbol: str, entries: Iterable[Order]) -> Decimal:
        settings = self._desk.settings.symbols.get(symbol)
        return margin_of_entries(entries, settings.leverage if settings else 1)

    def _situation(self, liquidation: Liquidation, settings: SymbolSettings) -> Situation:
        desk, symbol = self._desk, liquidation.symbol
        return Situation(
            liquidation=liquidation,
            now_ms=desk.clock.now_ms(),
            settings=desk.settings.globals_,
            symbol_settings=settings,
            trading_state=desk.standing.state,
            trading_reason=desk.standing.reason,
            window_volume=self._window_volume(liquidation),
            last_entry_at=self.last_entry_at.get((symbol, liquidation.side.opposite)),
            instrument=desk.instruments.get(symbol),
            quote=desk.quotes.get(symbol),
            mark=desk.marks.get(symbol),
            account_misfit=self._account.untradable.get(symbol),
            symbol_lock=desk.locked.get(symbol),
        )

    def _window_volume(self, liquidation: Liquidation) -> Decimal:
        symbol, now_ms = liquidation.symbol, self._newest_at[liquidation.symbol]
        side = self._counted_side(liquidation)
        if self._desk.settings.globals_.use_usdt_volume:
            return self._window.get_usdt_volume_in_window(symbol, now_ms, side)
        return self._window.get_volume_in_window(symbol, now_ms, side)

    def _counted_side(self, liquidation: Liquidation) -> Side | None:
        return None if self._counts_both else liquidation.side

    @property
    def _counts_both(self) -> bool:
        return self._desk.settings.globals_.volume_scope is VolumeScope.BOTH


def decision_on(situation: Situation, refusal: Skip | None, client_order_id: str | None = None) -> Decision:
    """The verdict, as it is stored."""
    return Decision(
        symbol=situation.liquidation.symbol,
        liquidation_side=situation.liquidation.side,
        at=situation.now_ms,
        gate=refusal.gate if refusal else None,
        reason=refusal.reason if refusal else "every gate passed",
        numbers=refusal.numbers if refusal else {},
        window_volume=situation.window_volume,
        threshold=situation.threshold,
        client_order_id=client_order_id,
    )
