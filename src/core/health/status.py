"""Publishes the bot's state for the dashboard: positions, exposure, connections and trading status."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from src.core.account import wallet
from src.core.context import TraderContext
from src.core.entries.evaluator import EntryEvaluator
from src.core.events import ExchangeHealth
from src.core.health.stream_health import StreamHealth
from src.core.health.symbol_problems import untradable
from src.core.portfolio import TrackedPosition
from src.core.positions.ownership import PositionOwnership
from src.core.positions.protection_plan import ProtectionPlan, is_working, reduces
from src.database.repositories import Store
from src.domain.clock import MINUTE_MS
from src.domain.enums import OrderRole, TradingState
from src.domain.numbers import ZERO
from src.domain.orders import OrderUpdate, order_payload
from src.domain.positions import AccountSummary, PositionRecord, Protection


@dataclass(frozen=True, slots=True)
class BotInfo:
    """Identity of the running bot."""

    version: str
    pid: int
    started_at: int
    network: str
    is_simulated: bool
    account: str = ""
    """Public label of the account: an address, or the last characters of a key."""
    is_supervised: bool = False
    """A launcher restarts it when it ends."""


def publish_waiting(store: Store, identity: BotInfo, now_ms: int, reason: str) -> None:
    """Publish a heartbeat and why entries are blocked, before a trader exists."""
    with store.transaction():
        store.set_state("bot", {**asdict(identity), "heartbeat_at": now_ms})
        store.set_state("trading", {"state": TradingState.REDUCE_ONLY, "reason": reason})
        store.set_state("settings", {})  # those of the last run are not in force any more


_MAX_EXPLAINED = 3
"""Of more symbols that cannot be traded as set only the names are published."""
_JOURNAL_AGAIN_MS = 10 * MINUTE_MS
_NUMBERS = re.compile(r"\d+")


class StatusPublisher:
    """Publishes the state once a second and journals changes of the trading status.

    While entries stay blocked, the same reasons are journaled once in ten minutes, whatever numbers they count up: an
    outage must not fill the journal.
    """

    def __init__(
        self,
        context: TraderContext,
        entries: EntryEvaluator,
        streams: StreamHealth,
        identity: BotInfo,
        read_exchange_health: Callable[[], ExchangeHealth],
        ownership: PositionOwnership,
    ) -> None:
        self._context = context
        self._ownership = ownership
        self._entries = entries
        self._streams = streams
        self._identity = identity
        self._read_exchange_health = read_exchange_health
        self._last_status: tuple[str, str, bool] | None = None
        self._last_questions: list[dict[str, object]] | None = None
        self._journaled_state: str | None = None
        self._journaled_at: dict[str, int] = {}
        """Monotonic time at which each reason was journaled, without its numbers."""

    def publish(self) -> None:
        """Write one heartbeat: every state row, and every open position marked to market."""
        now_ms, store = self._context.clock.now_ms(), self._context.store
        exchange_health, identity = self._read_exchange_health(), self._identity
        store.set_state("bot", {**asdict(identity), "heartbeat_at": now_ms + exchange_health.clock_drift_ms})
        store.set_state("rate_limits", asdict(exchange_health))
        store.set_state("clock", {"offset_ms": exchange_health.clock_offset_ms - exchange_health.clock_drift_ms})
        for stream, state in self._streams.states.items():
            store.set_state(
                f"{stream}_stream", {"state": state, "last_event_at": self._streams.last_event_at.get(stream)}
            )
        store.set_state("exposure", self._exposure())
        store.set_state("external_orders", {"items": self._external_orders()})
        account = wallet.current_summary(self._context)
        if account is not None:
            figures = {**asdict(self._mark_to_market(account)), "transfers": self._context.transfers}
            store.set_state("account", {**figures, "at": now_ms})
        for tracked in self._context.portfolio.open_positions():
            self.save_position(tracked)
        self.publish_trading_status()

    def publish_trading_status(self) -> None:
        """Publish the trading state, its reason and the questions for a person if they changed."""
        questions = self._ownership.questions()
        if questions != self._last_questions:
            self._last_questions = questions
            self._context.store.set_state("position_questions", {"items": questions})
        current = self._context.trading_status
        needs_resume = current.needs_resume or bool(self._context.symbol_locks)
        not_traded = [f"no entries in {symbol}: {reason}" for symbol, reason in self._context.untradable.items()]
        reasons = [current.reason, *not_traded, self._untradable_as_set()]
        now = current.state.value, "; ".join(filter(None, reasons)), needs_resume
        if now != self._last_status:
            self._last_status = now
            payload = {"state": now[0], "reason": now[1]}
            self._context.store.set_state("trading", {**payload, "needs_resume": needs_resume})
            if self._is_news(*now[:2]):
                self._context.journal("state", payload)

    def _untradable_as_set(self) -> str:
        """Every symbol that cannot be traded as set, the first few with their reasons."""
        faults = {symbol: untradable(checks) for symbol, checks in self._context.unworkable.items()}
        failed = {symbol: each for symbol, each in faults.items() if each and symbol not in self._context.untradable}
        shown = [f"no entries in {name}: {each[0].message}" for name, each in list(failed.items())[:_MAX_EXPLAINED]]
        others = list(failed)[_MAX_EXPLAINED:]
        if others:
            shown.append(f"no entries in {', '.join(others)} as set: the settings page says why")
        return "; ".join(shown)

    def _is_news(self, state: str, reason: str) -> bool:
        """Whether the state has changed, or its reason is one that was not journaled lately."""
        now_ms, text = self._context.clock.monotonic_ms(), _NUMBERS.sub("#", reason)
        has_changed, self._journaled_state = state != self._journaled_state, state
        if not has_changed and now_ms - self._journaled_at.get(text, -_JOURNAL_AGAIN_MS) < _JOURNAL_AGAIN_MS:
            return False
        recent = {each: at for each, at in self._journaled_at.items() if now_ms - at < _JOURNAL_AGAIN_MS}
        self._journaled_at = {**recent, text: now_ms}
        return True

    def save_position(self, tracked: TrackedPosition, plan: ProtectionPlan | None = None) -> None:
        """Save the position with its protection for display."""
        current = plan or self._existing_protection(tracked)
        if tracked.is_unprotected(self._context.clock.monotonic_ms()):
            current = replace(current, state=Protection.MISSING)
        record = PositionRecord(
            position=tracked.position,
            mark_price=self._context.mark_price(tracked.position.symbol),
            leverage=tracked.leverage,
            margin_type=tracked.margin_type,
            liquidation_price=tracked.liquidation_price,
            take_profit_price=current.take_profit_price,
            stop_loss_price=current.stop_loss_price,
            protection=current.state if tracked.is_managed else Protection.EXTERNAL,
            opened_at=tracked.opened_at,
            as_of=self._context.clock.now_ms(),
            entry_client_order_id=tracked.entry_order_id,
        )
        self._context.store.save_position(record)

    def _existing_protection(self, tracked: TrackedPosition) -> ProtectionPlan:
        orders = self._context.portfolio.orders_for(tracked.key)
        working = [order for order in orders if is_working(order) and reduces(order, tracked.position)]
        current = {order.role: order.request.stop_price for order in working}
        stop = current.get(OrderRole.STOP_LOSS)
        settings = self._context.symbol_settings(tracked.position.symbol)
        if stop is not None:
            state = Protection.OK
        elif settings is not None and not settings.stop_loss_enabled:
            state = Protection.DISABLED
        else:
            is_requested = any(order.role is OrderRole.STOP_LOSS for order in orders)
            state = Protection.PENDING if is_requested else Protection.MISSING
        return ProtectionPlan(state, stop_loss_price=stop, take_profit_price=current.get(OrderRole.TAKE_PROFIT))

    def _mark_to_market(self, account: AccountSummary) -> AccountSummary:
        """The account with unrealized profit at current marks; snapshots refresh it only every 30 s."""
        unrealized_pnl = wallet.unrealized_pnl(self._context, wallet.margin_assets(self._context))
        return replace(
            account,
            unrealized_pnl=unrealized_pnl,
            margin_balance=account.wallet_balance + unrealized_pnl,
            available_balance=account.wallet_balance + min(unrealized_pnl, ZERO) - self._entries.total_margin(),
            initial_margin=sum((each.margin for each in self._context.portfolio.open_positions()), ZERO),
        )

    def _exposure(self) -> dict[str, object]:
        tracked_positions = self._context.portfolio.open_positions()
        notional = sum((abs(each.position.quantity) * each.position.entry_price for each in tracked_positions), ZERO)
        cap = self._context.settings.globals_.max_total_exposure_usdt
        return {"margin": self._entries.total_margin(), "notional": notional, "cap": cap}

    def _external_orders(self) -> list[dict[str, object]]:
        orders = self._context.portfolio.external_orders.values()
        return [order_payload(order) if isinstance(order, OrderUpdate) else asdict(order) for order in orders]
