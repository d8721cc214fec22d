"""The trader's shared state: the portfolio, the open transaction, and the commands that wait for its commit."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from src.core.event_queue import QueueStats
from src.core.operator.restart import RestartRequest
from src.core.portfolio import EndedPosition, Portfolio
from src.core.trading_status import TradingStatus
from src.database.repositories import Store
from src.domain import crash_points
from src.domain.checks import Check
from src.domain.clock import Clock
from src.domain.commands import CancelOrder, Command, FetchQuote, SubmitOrder, TakeSnapshot
from src.domain.crash_points import Point
from src.domain.decisions import Decision
from src.domain.enums import LiquidationAction, OrderRole, OrderStatus
from src.domain.errors import InvariantError
from src.domain.instrument import Instrument
from src.domain.margin import Brackets
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.numbers import ZERO
from src.domain.orders import ClientOrderId, Order, OrderRequest, new_entry_token, order_payload
from src.domain.positions import AccountSummary, Position, PositionKey, Protection
from src.settings.config import Settings, SymbolSettings

log = logging.getLogger("hunter.trader")

QUOTE_INTERVAL_MS = 1_000
_MAX_JOURNAL_ITEMS = 20
"""Of a burst of liquidations only so many are journaled one by one."""
_MAX_LOG_LINES = 50
MAX_CANCEL_ATTEMPTS = 5
"""Cancels of one order before retries slow down; each follows a response that shows the order still open."""
_SLOW_RETRY_MS = 30_000
_CANCEL_TIMEOUT_MS = 5_000


@dataclass(slots=True)
class CancelAttempts:
    """The cancels sent for one order. Times are monotonic, in milliseconds."""

    count: int = 0
    sent_at: int = 0
    reason: str = "no response"
    """Why the last one did not cancel the order."""
    is_alerted: bool = False
    """The operator was alerted that the order cannot be cancelled."""

    def may_retry(self, now_ms: int) -> bool:
        """Whether another cancel may be sent. Retries slow down but never end: an open entry is money at risk."""
        return self.count < MAX_CANCEL_ATTEMPTS or now_ms - self.sent_at >= _SLOW_RETRY_MS

    def record(self, now_ms: int) -> None:
        self.count, self.sent_at = self.count + 1, now_ms

    def is_overdue(self, now_ms: int) -> bool:
        """Whether the last cancel has had no response for too long."""
        return now_ms - self.sent_at >= _CANCEL_TIMEOUT_MS


@dataclass(slots=True)
class TraderContext:
    """The trader's state, used by its thread only: no locks."""

    settings: Settings
    instruments: Mapping[str, Instrument]
    store: Store
    clock: Clock
    random_below: Callable[[int], int]
    """``random_below(n)`` returns 0 … n-1; for the random part of client order ids."""
    is_simulated: bool
    assume_yes: bool = False
    """The bot was started with ``--yes``: the current settings are confirmed for live trading."""
    restart: RestartRequest = field(default_factory=lambda: RestartRequest(0, is_supervised=False))
    started_at: int = field(init=False)
    bot_tag: str = ""
    """Part of our client order ids; distinguishes them from those of other bots of this kind (I4)."""
    portfolio: Portfolio = field(default_factory=Portfolio)
    trading_status: TradingStatus = field(default_factory=TradingStatus)
    quotes: dict[str, Quote] = field(default_factory=dict)
    mark_prices: dict[str, MarkPrice] = field(default_factory=dict)
    account: AccountSummary | None = None
    """The totals as the exchange last reported them."""
    balances: dict[str, Decimal] = field(default_factory=dict)
    """Wallet balance by asset, each in units of that asset."""
    cross_balances: dict[str, Decimal] = field(default_factory=dict)
    """The part of each balance that backs crossed positions: without the margin of isolated ones."""
    has_unreadable_balance: bool = False
    """The exchange last reported a balance that could not be read: an asset missing in ``balances`` is unknown."""
    leverages: dict[str, int] = field(default_factory=dict)
    """Leverage by symbol, as last reported."""
    fills_without_fee: dict[str, int] = field(default_factory=dict)
    """Symbols with fills without a reported commission, and the time of the oldest one, ms UTC."""
    transfers: Decimal = ZERO
    """Deposits less withdrawals, in dollars, since the bot first traded this account: no profit and no loss."""
    transfers_unknown_since: int | None = None
    """Monotonic time since when transfers may be missing in ``transfers`` or in the wallet; None if none are."""
    multi_assets_mode: bool = False
    """All assets of the account back all positions, as last reported."""
    brackets: Mapping[str, Brackets] = field(default_factory=dict)
    """Leverage brackets by symbol, as last read; a symbol that is missing is not known yet."""
    doubted_liquidations: dict[str, int] = field(default_factory=dict)
    """When the exchange last reported a nearer liquidation price than the bot estimates, monotonic, by symbol."""
    outbox: list[Command] = field(default_factory=list)
    """Commands of the open transaction, sent after its commit."""
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    """Callables to run once the open transaction is committed."""
    _log_lines: list[Callable[[], None]] = field(default_factory=list)
    """What is logged once the trader has nothing else to do."""
    reconnect_user_stream: Callable[[], None] = lambda: None
    """Reconnects the user data stream."""
    entries_to_cancel: set[str] = field(default_factory=set)
    """Client order ids of entries to cancel as soon as the exchange reports them open."""
    entries_to_close: dict[str, str] = field(default_factory=dict)
    """Client order ids of entries that were pending when a close was requested, each with the reason: what they still
    fill is closed too. Saved with the pending closes."""
    cancel_attempts: dict[str, CancelAttempts] = field(default_factory=dict)
    """Cancels sent by this run, by client order id."""
    incomplete_instruments: Mapping[str, str] = field(default_factory=dict)
    """Symbols whose entry in the exchange's list lacks a trading rule, each with what is wrong."""
    removed_symbols: dict[str, SymbolSettings] = field(default_factory=dict)
    """Settings of symbols that were removed from the settings; their positions stay protected by them."""
    confirmed_stops: dict[str, Decimal] = field(default_factory=dict)
    """Stop loss distances in percent that stay in force, by symbol: a wider stop, or none, awaits confirmation."""
    keeps_tightening: bool = False
    """TIGHTEN stays in force for ``on_liquidation_near`` until ALERT is confirmed."""
    ended_positions: dict[PositionKey, EndedPosition] = field(default_factory=dict)
    """Closed positions of ours with missing trades."""
    symbol_locks: dict[str, str] = field(default_factory=dict)
    """Symbols without entries until the operator resumes, each with the reason."""
    untradable: dict[str, str] = field(default_factory=dict)
    """Symbols without entries because the account is not configured for them, each with the reason."""
    unworkable: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    """By symbol: what prevents or changes its entries as it is set; empty if nothing does."""
    queue_stats: QueueStats = field(default_factory=QueueStats)
    """How far the trader is behind, as of the batch it handles."""
    is_snapshot_pending: bool = False
    """A snapshot was requested and has neither arrived nor failed."""
    next_snapshot_reason: str | None = None
    """Why another snapshot is requested as soon as the pending one has arrived."""
    _order_numbers: dict[str, int] = field(default_factory=dict)
    _own_entries: set[str] = field(default_factory=set)
    """Tokens of the entries of this run: no earlier run has used a number of theirs."""
    _requested_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started_at = self.clock.now_ms()

    def queue_command(self, command: Command) -> None:
        self.outbox.append(command)

    def take_commands(self) -> list[Command]:
        """Run the callables that waited for the commit, and return the commands to send."""
        waiting, self.after_commit = self.after_commit, []
        for action in waiting:
            action()
        commands, self.outbox = self.outbox, []
        return commands

    def log_later(self, message: str, *values: object) -> None:
        """Log what was done once the trader has nothing to handle but prices, at the latest after some more lines.

        Formatting and writing a line takes a while, and would delay the thread that sends the order.
        """
        self._log_lines.append(partial(log.info, message, *values))
        if len(self._log_lines) >= _MAX_LOG_LINES:
            self.write_log()

    @property
    def has_log_lines(self) -> bool:
        return bool(self._log_lines)

    def write_log(self) -> None:
        lines, self._log_lines = self._log_lines, []
        for write in lines:
            write()

    def journal(self, kind: str, payload: Mapping[str, object], symbol: str | None = None) -> None:
        """Append an entry to the journal: the audit log, which the dashboard shows."""
        self.store.journal(kind, payload, symbol)

    def warn(self, message: str, symbol: str | None = None) -> None:
        """Log a warning and show it on the dashboard: something the operator should check."""
        log.warning("%s", message)
        self.journal("alert", {"level": "warning", "message": message}, symbol)

    def alert(self, message: str, symbol: str | None = None) -> None:
        """Log an error and show it on the dashboard: something only the operator can fix."""
        log.error("%s", message)
        self.journal("alert", {"level": "error", "message": message}, symbol)

    def mode_key(self, subject: str) -> str:
        """The state key for the current mode: paper and live trading share a database but no state."""
        return f"{subject}_paper" if self.is_simulated else subject

    def mark_price(self, symbol: str) -> Decimal | None:
        mark = self.mark_prices.get(symbol)
        return None if mark is None else mark.price

    def symbol_settings(self, symbol: str) -> SymbolSettings | None:
        """The settings that protect a position of the symbol, even after it was removed from the settings.

        Its stop loss is never wider than confirmed.
        """
        settings = self.settings.symbols.get(symbol) or self.removed_symbols.get(symbol)
        confirmed_pct = self.confirmed_stops.get(symbol)
        if settings is None or confirmed_pct is None:
            return settings
        return settings.model_copy(update={"stop_loss_enabled": True, "stop_loss_pct": confirmed_pct})

    @property
    def liquidation_action(self) -> LiquidationAction:
        """What follows if a position would be liquidated before its stop loss triggers, as confirmed."""
        wanted = self.settings.globals_.on_liquidation_near
        return LiquidationAction.TIGHTEN if self.keeps_tightening else wanted

    def request_quote(self, symbol: str) -> None:
        """Request the top of the order book, at most once a second per symbol."""
        if self.may_request(f"quote {symbol}", QUOTE_INTERVAL_MS):
            self.queue_command(FetchQuote(symbol))

    def request_snapshot(self, reason: str, *, repeat_if_pending: bool = False, is_poll: bool = False) -> None:
        """Request a snapshot, unless one is pending; with ``repeat_if_pending`` another one follows that."""
        if not self.is_snapshot_pending:
            self.is_snapshot_pending = True
            self.queue_command(TakeSnapshot(reason, is_poll))
        elif repeat_if_pending:
            self.next_snapshot_reason = reason

    def may_request(self, subject: str, every_ms: int) -> bool:
        """Whether a request for this subject may be sent; True starts a pause of ``every_ms`` milliseconds."""
        now_ms = self.clock.monotonic_ms()
        if now_ms - self._requested_at.get(subject, -every_ms) < every_ms:
            return False
        self._requested_at[subject] = now_ms
        return True

    def new_entry_id(self) -> str:
        token = new_entry_token(self.clock.now_ms(), self.bot_tag, self.random_below)
        self._own_entries.add(token)
        return str(ClientOrderId(token, OrderRole.ENTRY))

    def next_order_id(self, entry_id: str, role: OrderRole) -> str:
        """The next unused client order id for a protective or closing order of this entry.

        Raises ``InvariantError`` if ``entry_id`` is not one of our ids.
        """
        entry = ClientOrderId.parse(entry_id)
        if entry is None:
            raise InvariantError(f"{entry_id} is not one of our entries")
        number = self._order_numbers.get(entry.entry, 0) + 1
        client_order_id = str(ClientOrderId(entry.entry, role, number))
        if entry.entry not in self._own_entries:
            while self.store.load_order(client_order_id) is not None:
                number += 1  # used by an earlier run
                client_order_id = str(ClientOrderId(entry.entry, role, number))
        self._order_numbers[entry.entry] = number
        return client_order_id

    def reserve_order_id(self, client_order_id: str) -> None:
        """Mark an id that exists on the exchange as used."""
        known = ClientOrderId.parse(client_order_id)
        if known is not None:
            self._order_numbers[known.entry] = max(self._order_numbers.get(known.entry, 0), known.number)

    def submit_order(
        self, request: OrderRequest, role: OrderRole, entry_client_order_id: str | None, not_after: int | None = None
    ) -> Order:
        """Record the order in the database and queue it to be sent after the commit (I1)."""
        crash_points.reached(Point.ORDER_DECIDED, role)
        now_ms = self.clock.now_ms()
        order = Order(request, role, created_at=now_ms, entry_client_order_id=entry_client_order_id, sent_at=now_ms)
        self.portfolio.add_order(order)
        self.store.record_order(order, simulated=self.is_simulated)
        crash_points.reached(Point.ORDER_WRITTEN, role)
        self.journal_order(order)
        self.queue_command(SubmitOrder(request, not_after))
        return order

    def cancel_order(self, order: Order, *, immediately: bool = False) -> bool:
        """Queue a cancel of an order; an entry that is not confirmed yet is cancelled once it is reported open.

        Returns False if nothing is sent now. After five attempts retries slow down, except with ``immediately``, for
        a command of the operator.
        """
        if order.role is OrderRole.ENTRY:
            self.entries_to_cancel.add(order.client_order_id)
        if order.status not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            return False
        attempts = self.cancel_attempts.setdefault(order.client_order_id, CancelAttempts())
        if attempts.count >= MAX_CANCEL_ATTEMPTS and not attempts.is_alerted:
            self._alert_cancel_failed(order, attempts)
        now_ms = self.clock.monotonic_ms()
        if not immediately and not attempts.may_retry(now_ms):
            return False
        attempts.record(now_ms)
        order.advance(OrderStatus.PENDING_CANCEL)
        order.unresolved_since = None
        self.store.update_order(order, "cancel")
        self.journal_order(order)
        self.queue_command(CancelOrder(order.symbol, order.client_order_id))
        return True

    def _alert_cancel_failed(self, order: Order, attempts: CancelAttempts) -> None:
        attempts.is_alerted = True
        self.alert(
            f"{order.role} {order.client_order_id} of {order.symbol} cannot be cancelled ({attempts.count} attempts) "
            f"and is still open: {attempts.reason}. Cancel it on the exchange's site; the bot keeps retrying",
            order.symbol,
        )

    def journal_order(self, order: Order) -> None:
        self.journal("order", order_payload(order), order.symbol)

    def journal_liquidations(self, liquidations: Sequence[Liquidation], decisions: Sequence[Decision]) -> None:
        """Journal a batch: how many there were. They are stored themselves, and the page reads them there."""
        self.journal("liquidation", {"count": len(liquidations)})
        for decision in decisions[-_MAX_JOURNAL_ITEMS:]:
            self.log_later(
                "liquidation evaluated symbol=%s side=%s reason=%s",
                *(decision.symbol, decision.liquidation_side, decision.reason),
            )
        if decisions:
            entries = [decision.client_order_id for decision in decisions if decision.is_entry]
            self.journal("decision", {"count": len(decisions), "entries": entries})

    def journal_protection(self, position: Position, state: Protection) -> None:
        payload = {
            "position_side": position.position_side,
            "quantity": position.quantity,
            "entry_price": position.entry_price,
            "state": state,
        }
        self.journal("protection", payload, position.symbol)
