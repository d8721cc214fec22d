"""Evaluates liquidations: keeps the volume windows and cooldowns, and runs the gates of each decision."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import product
from typing import Any

from src.core.account import wallet
from src.core.account.account_sync import AccountSync
from src.core.context import TraderContext
from src.core.entries.entry_context import ApprovedPlan, EntryContext, EntryPlan, Exposure
from src.core.entries.risk import check_risk
from src.core.entries.strategy import check_signal, plan_entry
from src.core.events import ExchangeHealth
from src.core.portfolio import TrackedPosition, entry_margin, reserved_notional
from src.core.positions.liquidation_estimate import LiquidationEstimate
from src.database.db import get_usdt_volume_in_window, get_volume_in_window
from src.database.queries.fills import entries_since
from src.domain.clock import MINUTE_MS
from src.domain.decisions import Decision, Skip
from src.domain.enums import OrderRole, Side, VolumeScope
from src.domain.margin import Backing
from src.domain.market import Liquidation, LiquidationWindow
from src.domain.numbers import ZERO
from src.domain.orders import Order
from src.domain.positions import Position, PositionKey
from src.settings.config import SymbolSettings

LastEntries = Mapping[tuple[str, Side], tuple[int, int]]


class EntryEvaluator:
    """Keeps the volume windows and the last entries, and evaluates each liquidation of a configured symbol."""

    def __init__(
        self, context: TraderContext, account: AccountSync, read_exchange_health: Callable[[], ExchangeHealth]
    ) -> None:
        self._context = context
        self._account = account
        self._read_exchange_health = read_exchange_health
        self._window = LiquidationWindow(context.settings.globals_.volume_window_sec * 1000)
        self._is_stale = False
        """The windows must be refilled, but the database could not be read."""
        self._newest_at: dict[str, int] = {}
        self.last_entry_at: dict[tuple[str, Side], int] = {}

    def restore(self) -> None:
        """Fill the windows and cooldowns from the database, or mark them stale if it cannot be read (F43)."""
        store, window_ms = self._context.store, self._context.settings.globals_.volume_window_sec * 1000
        entries, recent = store.last_entries(), store.recent_liquidations(self._context.clock.now_ms() - window_ms)
        self._is_stale = store.error is not None  # entries are blocked meanwhile
        if not self._is_stale:
            self._fill(LiquidationWindow(window_ms), entries, recent)

    def refill_if_stale(self) -> None:
        """Refill the windows if they are stale; call it before storing liquidations."""
        if self._is_stale and self._context.store.error is None:
            self.restore()

    def _fill(self, window: LiquidationWindow, entries: LastEntries, recent: Sequence[tuple[int, Liquidation]]) -> None:
        self._window = window
        is_both = self._context.settings.globals_.volume_scope is VolumeScope.BOTH
        traded_until: dict[tuple[str, Side], int] = {}
        for (symbol, side), (decided_at, liquidation_id) in entries.items():
            self.last_entry_at[symbol, side] = max(decided_at, self.last_entry_at.get((symbol, side), 0))
            for traded in (side, side.opposite) if is_both else (side.opposite,):
                traded_until[symbol, traded] = max(liquidation_id, traded_until.get((symbol, traded), 0))
        self._verify([liquidation for _, liquidation in recent])
        for row_id, liquidation in recent:
            if row_id > traded_until.get((liquidation.symbol, liquidation.side), 0):
                self.add_to_window(liquidation)

    def _verify(self, recent: Sequence[Liquidation]) -> None:
        """Warn if the volume counted in memory differs from the volume the database adds up."""
        seconds, now_ms = self._context.settings.globals_.volume_window_sec, self._context.clock.now_ms()
        window = LiquidationWindow(seconds * 1000)
        for liquidation in recent:
            window.add(liquidation)
        liquidated = {each.symbol for each in recent}  # of 500 symbols few: two queries each would hold up the trader
        for symbol, side in product(filter(liquidated.__contains__, self._context.settings.symbols), Side):
            counted = window.get_usdt_volume_in_window(symbol, now_ms, side)
            in_memory = counted, window.get_volume_in_window(symbol, now_ms, side)
            query: dict[str, Any] = {"symbol": symbol, "window_sec": seconds, "now_ms": now_ms, "side": side}
            usdt = self._context.store.read_or_default(partial(get_usdt_volume_in_window, **query))
            stored = usdt, self._context.store.read_or_default(partial(get_volume_in_window, **query))
            if in_memory != stored and self._context.store.error is None:
                self._context.warn(f"volume of {symbol} {side} in the window: {counted} USDT counted, {usdt} stored")

    def add_to_window(self, liquidation: Liquidation) -> None:
        """Count a liquidation in the window of its symbol and side, unless it is dated in the future."""
        if liquidation.is_future_dated:
            return
        self._window.add(liquidation)
        symbol = liquidation.symbol
        self._newest_at[symbol] = max(self._newest_at.get(symbol, 0), liquidation.traded_at)

    def evaluate(self, liquidation: Liquidation, settings: SymbolSettings) -> tuple[Decision, ApprovedPlan | None]:
        """Run every gate in order. An approved plan consumes its volume and starts the cooldown of its side."""
        entry_context = self._entry_context(liquidation, settings)
        outcome: Skip | EntryPlan | ApprovedPlan = check_signal(entry_context) or plan_entry(entry_context)
        if isinstance(outcome, EntryPlan):
            outcome = check_risk(outcome, entry_context, self._exposure(outcome))
        if isinstance(outcome, Skip):
            return _make_decision(entry_context, outcome), None
        self.last_entry_at[liquidation.symbol, entry_context.entry_side] = liquidation.traded_at
        self._window.consume(liquidation.symbol, self._counted_side(liquidation))
        return _make_decision(entry_context), outcome

    def _exposure(self, plan: EntryPlan) -> Exposure:
        """What is at risk or reserved: an order counts from the decision on, not from its response."""
        symbol, portfolio = plan.symbol, self._context.portfolio
        positions, pending = portfolio.open_positions(), portfolio.pending_entries()
        held = [each for each in positions if each.position.symbol == symbol]
        entries = [order for order in pending if order.symbol == symbol]
        total = self.total_margin()
        backing = wallet.margin_assets(self._context, symbol)
        bound = self._total_margin(
            [each for each in positions if wallet.is_backed_by(self._context, backing, each.position.symbol)],
            [order for order in pending if wallet.is_backed_by(self._context, backing, order.symbol)],
        ) + wallet.external_order_margin(self._context, backing)
        external = [each for each in portfolio.external_orders.values() if each.symbol == symbol]
        not_ours = [each for each in held if not each.is_managed or each.is_unexplained]
        return Exposure(
            symbol_margin=sum((each.margin for each in held), self._entry_margin(symbol, entries)),
            total_margin=total,
            available_balance=wallet.available_balance(self._context, backing, bound),
            symbol_notional=sum((each.position.quantity * each.position.entry_price for each in held), ZERO)
            + sum((order.request.side.sign * reserved_notional(order) for order in entries), ZERO),
            open_entries=len(entries),
            external_orders=len(external) + len(not_ours),
            unresolved=sum(order.unresolved_since is not None for order in entries),
            obstacle=self._obstacle((symbol, plan.position_side)),
            liquidation_warning=next(filter(None, (each.exits.liquidation_warning for each in held)), None),
            after_entry=self._after_entry(plan),
            has_request_budget=self._read_exchange_health().has_entry_budget,
            entries_last_minute=self._entries_last_minute(),
        )

    def _after_entry(self, plan: EntryPlan) -> tuple[Position, Backing]:
        """The position after this entry and those that may still fill, and what backs it."""
        estimate = LiquidationEstimate(self._context, (plan.symbol, plan.position_side))
        position, _ = estimate.with_pending().apply_trade(plan.side, plan.quantity, plan.price)
        margin_type = self._context.settings.symbols[plan.symbol].margin_type
        return position, estimate.backing(plan.leverage, margin_type, plan.notional)

    def _obstacle(self, key: PositionKey) -> str | None:
        """Why the bot's own orders forbid an entry: its symbol is being closed, or old exits would close it (I14)."""
        symbol, portfolio = key[0], self._context.portfolio
        for tracked in portfolio.tracked_positions.values():
            if tracked.position.symbol == symbol and tracked.close_reason is not None:
                return f"the position of {symbol} is being closed: {tracked.close_reason}"
        orders = portfolio.open_orders(symbol)
        if any(order.client_order_id in self._context.entries_to_close for order in orders):
            return f"an entry of {symbol} is being cancelled because its position was closed"
        if any(order.role is OrderRole.CLOSE for order in orders):
            return f"an order that closes {symbol} is open"
        held = portfolio.tracked_positions.get(key)
        left = next((order for order in orders if order.key == key and order.role is not OrderRole.ENTRY), None)
        if left is None or (held is not None and held.position.is_open):
            return None
        role = left.role.replace("_", " ").lower()
        return f"the {role} of the last position of {symbol} is not cancelled yet"

    def total_margin(self) -> Decimal:
        """Margin of all positions, of all entries that may still fill, and of a person's open orders."""
        portfolio = self._context.portfolio
        own = self._total_margin(portfolio.open_positions(), portfolio.pending_entries())
        return own + wallet.external_order_margin(self._context)

    def _total_margin(self, positions: Iterable[TrackedPosition], entries: Iterable[Order]) -> Decimal:
        by_symbol: dict[str, list[Order]] = defaultdict(list)
        for order in entries:
            by_symbol[order.symbol].append(order)
        reserved = sum((self._entry_margin(*each) for each in by_symbol.items()), ZERO)
        return sum((each.margin for each in positions), reserved)

    def _entries_last_minute(self) -> int:
        """Entries of all symbols in the last minute, from the database, so that a restart forgets none.

        Returns the limit itself while they cannot be counted, so that no entry is placed.
        """
        limit = self._context.settings.globals_.max_entries_per_minute
        if limit is None:
            return 0
        since_ms = self._context.clock.now_ms() - MINUTE_MS
        return self._context.store.read_or_default(partial(entries_since, since_ms=since_ms), default=limit)

    def _entry_margin(self, symbol: str, entries: Iterable[Order]) -> Decimal:
        settings = self._context.settings.symbols.get(symbol)
        return entry_margin(entries, settings.leverage if settings else 1)

    def _entry_context(self, liquidation: Liquidation, settings: SymbolSettings) -> EntryContext:
        context, symbol, entry_side = self._context, liquidation.symbol, liquidation.side.opposite
        return EntryContext(
            liquidation=liquidation,
            entry_side=entry_side,
            now_ms=context.clock.now_ms(),
            settings=context.settings.globals_,
            symbol_settings=settings,
            trading_state=context.trading_status.state,
            trading_reason=context.trading_status.reason,
            window_volume=self._window_volume(liquidation),
            threshold=settings.threshold_for(entry_side),
            last_entry_at=self.last_entry_at.get((symbol, entry_side)),
            instrument=context.instruments.get(symbol),
            quote=context.quotes.get(symbol),
            mark=context.mark_prices.get(symbol),
            account_mismatch=context.untradable.get(symbol),
            symbol_lock=context.symbol_locks.get(symbol),
        )

    def _window_volume(self, liquidation: Liquidation) -> Decimal:
        symbol, side = liquidation.symbol, self._counted_side(liquidation)
        now_ms = self._newest_at.get(symbol, 0)
        if self._context.settings.globals_.use_usdt_volume:
            return self._window.get_usdt_volume_in_window(symbol, now_ms, side)
        return self._window.get_volume_in_window(symbol, now_ms, side)

    def _counted_side(self, liquidation: Liquidation) -> Side | None:
        """The side of the liquidations that are counted; None if both sides count together."""
        is_both = self._context.settings.globals_.volume_scope is VolumeScope.BOTH
        return None if is_both else liquidation.side


def _make_decision(entry_context: EntryContext, skip: Skip | None = None) -> Decision:
    """The decision as it is stored; ``skip`` is None for an entry."""
    return Decision(
        symbol=entry_context.liquidation.symbol,
        liquidation_side=entry_context.liquidation.side,
        decided_at=entry_context.now_ms,
        gate=skip.gate if skip else None,
        reason=skip.reason if skip else "every gate passed",
        numbers=skip.numbers if skip else {},
        window_volume=entry_context.window_volume,
        threshold=entry_context.threshold,
    )
