"""Configures the account's modes, leverage and margin types; what the exchange refuses blocks only what it concerns."""

import logging
from dataclasses import dataclass, field

from src.core.account.account_setup import (
    AccountSetup,
    describe,
    is_busy,
    leverage_mismatch,
    manual_remedies,
    plan_account_setup,
    refusal,
    symbol_of,
    untradable_symbols,
)
from src.core.context import TraderContext
from src.core.trading_status import EntryBlock
from src.domain.clock import HOUR_MS, MINUTE_MS
from src.domain.commands import AccountCommand, SetLeverage, SetMarginType
from src.domain.enums import PositionSide
from src.domain.events import AccountConfigured, CommandFailed, LeverageChanged
from src.domain.positions import Snapshot
from src.settings.config import Settings

log = logging.getLogger("hunter.account")

_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 10_000, 10 * MINUTE_MS
_REQUEST_INTERVAL_MS = 5_000

Scope = str | None
"""A symbol, or None for the modes of the whole account."""


@dataclass(slots=True)
class _Attempt:
    """The commands last sent for a scope. Times are monotonic, in milliseconds."""

    commands: frozenset[AccountCommand]
    sent_at: int
    is_busy: bool
    """Positions or orders were open in this scope, which is what most rejections are about."""
    pause_ms: int = _FIRST_PAUSE_MS
    pending: set[AccountCommand] = field(default_factory=set)
    rejections: dict[AccountCommand, tuple[int | None, str]] = field(default_factory=dict)
    """Code and sentence of each command that was refused last time."""

    @property
    def reason(self) -> str | None:
        return "; ".join(sentence for _, sentence in self.rejections.values()) or None


class AccountConfigurator:
    """Makes the account as the settings want it, and blocks entries of each symbol that is not."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._attempts: dict[Scope, _Attempt] = {}
        self._conflict: str | None = None
        """What only the operator can resolve; it blocks every symbol."""
        self._starting_until: int | None = None
        """Until then every symbol waits for the first commands to take effect; monotonic."""
        self._alerted_at: dict[tuple[Scope, object], int] = {}
        """When the operator was alerted, by scope and cause; monotonic."""
        self._confirmed: set[AccountCommand] = set()
        """Settings that the exchange has confirmed; needed for symbols that its position reports leave out."""

    def check(self, snapshot: Snapshot) -> None:
        """Compare the account with the settings, and send what differs if it was not just tried."""
        context, settings = self._context, self._settings_of_listed_symbols()
        if context.trading_status.has(EntryBlock.USER_STREAM):
            self._confirmed.clear()  # a change may have been missed
        reasons = untradable_symbols(settings, snapshot, self._confirmed)
        setup = plan_account_setup(settings, snapshot, self._confirmed)
        needs_consent = bool(setup.commands) and context.trading_status.has(EntryBlock.CONSENT)
        if setup.conflicts or needs_consent:
            self._attempts.clear()
        else:
            self._send(setup, snapshot)
        self._forget_alerts(setup, reasons)
        if not setup.conflicts:
            for symbol, sentence in manual_remedies(settings, snapshot, setup, reasons).items():
                self._alert(symbol, sentence, sentence)
        context.untradable = reasons | {
            symbol: attempt.reason for symbol, attempt in self._attempts.items() if symbol and attempt.reason
        }
        if self._starting_until is None:
            self._starting_until = context.clock.monotonic_ms() + _FIRST_PAUSE_MS
        consent = "the account is configured after you confirm live trading" if needs_consent else None
        self._conflict = "; ".join(setup.conflicts) or consent
        self._update_block()

    def _settings_of_listed_symbols(self) -> Settings:
        """There is nothing to configure for a symbol that the exchange does not list; `SymbolProblems` names it."""
        settings, listed = self._context.settings, self._context.instruments
        return settings.model_copy(
            update={"symbols": {symbol: each for symbol, each in settings.symbols.items() if symbol in listed}}
        )

    def on_configured(self, event: AccountConfigured) -> None:
        """Note a finished command; after the last one of its scope the account is read back."""
        command = event.command
        log.info("account configured: %s", describe(command))
        self._confirm(command)
        if isinstance(command, SetLeverage | SetMarginType):
            self._adopt(command)
        attempt = self._attempts.get(symbol_of(command))
        if attempt is not None:
            attempt.pending.discard(command)
            attempt.rejections.pop(command, None)
        if attempt is None or not attempt.pending:
            self._context.request_snapshot("account configured", repeat_if_pending=True)

    def on_failed(self, command: AccountCommand, event: CommandFailed) -> None:
        """Block entries of the symbol, or of all for a mode of the account, and alert once with the remedy."""
        scope = symbol_of(command)
        attempt = self._attempts.get(scope)
        if attempt is None or command not in attempt.commands:
            return  # the settings have changed since
        attempt.pending.discard(command)
        sentence = refusal(command, event.code, event.reason)
        attempt.rejections[command] = event.code, sentence
        if scope is not None:
            self._context.untradable[scope] = sentence
        self._update_block()
        self._alert(scope, (command, event.code), sentence)

    def on_leverage_changed(self, event: LeverageChanged) -> None:
        """Block entries of a symbol after an external leverage change, until it is configured again (F36)."""
        self._confirm(SetLeverage(event.symbol, event.leverage))
        wanted = self._context.settings.symbols.get(event.symbol)
        if wanted is not None and wanted.leverage != event.leverage:
            self._context.untradable[event.symbol] = leverage_mismatch(event.leverage, wanted)
            self._context.request_snapshot("the leverage was changed", repeat_if_pending=True)

    def on_margin_types_changed(self) -> None:
        """Read the account after a margin type was changed, unless the bot is changing one."""
        if any(attempt.pending for attempt in self._attempts.values()):
            return
        self._confirmed = {command for command in self._confirmed if not isinstance(command, SetMarginType)}
        self._context.request_snapshot("a margin type was changed", repeat_if_pending=True)

    def audit(self) -> None:
        """Once a second: repeat an alert each hour, and read the account when something may be tried again."""
        now_ms = self._context.clock.monotonic_ms()
        self._update_block()
        for scope, attempt in self._attempts.items():
            for command, (code, sentence) in attempt.rejections.items():
                self._alert(scope, (command, code), sentence)
            is_due = now_ms - attempt.sent_at >= attempt.pause_ms
            is_cause_gone = attempt.rejections and attempt.is_busy and not self._is_busy_now(scope)
            if (is_due or is_cause_gone) and self._context.may_request(f"setup {scope}", _REQUEST_INTERVAL_MS):
                self._context.request_snapshot("the account is configured again", is_poll=scope is not None)

    def _update_block(self) -> None:
        """Block every symbol over the account's modes, and at the start until what the bot has sent is read back."""
        modes, until = self._attempts.get(None), self._starting_until
        is_starting = until is None or self._context.clock.monotonic_ms() < until
        reason = self._conflict
        if modes is not None:
            reason = modes.reason or "the account is being configured"
        elif is_starting and any(not attempt.rejections for attempt in self._attempts.values()):
            reason = "the account is being configured"
        self._context.trading_status.set_or_clear(EntryBlock.ACCOUNT_CONFIG, reason)

    def _send(self, setup: AccountSetup, snapshot: Snapshot) -> None:
        """Send the commands of each scope: new ones at once, refused ones after growing pauses."""
        by_scope: dict[Scope, list[AccountCommand]] = {}
        for command in setup.commands:
            by_scope.setdefault(symbol_of(command), []).append(command)
        before, self._attempts = self._attempts, {}
        for scope, commands in by_scope.items():
            attempt = before.get(scope)
            pause_ms = self._next_pause(attempt, commands, is_busy=is_busy(snapshot, scope))
            if pause_ms is None and attempt is not None:
                self._attempts[scope] = attempt
                continue
            rejections = {} if attempt is None else attempt.rejections
            self._attempts[scope] = _Attempt(
                commands=frozenset(commands),
                sent_at=self._context.clock.monotonic_ms(),
                is_busy=is_busy(snapshot, scope),
                pause_ms=pause_ms or _FIRST_PAUSE_MS,
                pending=set(commands),
                rejections={command: rejections[command] for command in commands if command in rejections},
            )
            for command in commands:
                self._context.queue_command(command)

    def _next_pause(self, attempt: _Attempt | None, commands: list[AccountCommand], *, is_busy: bool) -> int | None:
        """The pause after sending the commands now; None if they are not to be sent yet."""
        if attempt is None or not attempt.commands.issuperset(commands):
            return _FIRST_PAUSE_MS
        if attempt.is_busy and not is_busy:
            return _FIRST_PAUSE_MS  # what they were probably refused for is gone
        if self._context.clock.monotonic_ms() - attempt.sent_at < attempt.pause_ms:
            return None
        return min(2 * attempt.pause_ms, _LONGEST_PAUSE_MS) if attempt.rejections else _FIRST_PAUSE_MS

    def _forget_alerts(self, setup: AccountSetup, reasons: dict[str, str]) -> None:
        """Forget the alerts of what fits now, and say so to the operator."""
        remaining = {symbol_of(command) for command in setup.commands} | reasons.keys()
        if setup.conflicts:
            remaining.add(None)
        for scope in {scope for scope, _ in self._alerted_at} - remaining:
            self._alerted_at = {key: at for key, at in self._alerted_at.items() if key[0] != scope}
            if scope is None or scope in self._context.settings.symbols:
                self._context.warn(f"{scope or 'the account'} is configured as the settings want again", scope)

    def _alert(self, scope: Scope, cause: object, sentence: str) -> None:
        """Alert once per cause, and each hour while it lasts."""
        now_ms, last = self._context.clock.monotonic_ms(), self._alerted_at.get((scope, cause))
        if last is None or now_ms - last >= HOUR_MS:
            self._alerted_at[scope, cause] = now_ms
            self._context.alert(f"no entries{f' in {scope}' if scope else ''}: {sentence}", scope)

    def _is_busy_now(self, scope: Scope) -> bool:
        """Whether positions or orders are open, as far as the bot knows before the next snapshot."""
        portfolio = self._context.portfolio
        symbols = {tracked.position.symbol for tracked in portfolio.open_positions()}
        symbols |= {order.symbol for order in portfolio.open_orders()}
        symbols |= {order.symbol for order in portfolio.external_orders.values()}
        return bool(symbols) if scope is None else scope in symbols

    def _adopt(self, command: SetLeverage | SetMarginType) -> None:
        """Apply what was confirmed to the symbol's positions: reports may leave them out until one is open."""
        is_hedged = self._context.settings.globals_.hedge_mode
        for side in (PositionSide.LONG, PositionSide.SHORT) if is_hedged else (PositionSide.BOTH,):
            tracked = self._context.portfolio.tracked((command.symbol, side))
            if isinstance(command, SetLeverage):
                tracked.leverage = command.leverage
            else:
                tracked.margin_type = command.margin_type

    def _confirm(self, command: AccountCommand) -> None:
        """Record what the exchange has confirmed, in place of what it confirmed before for the same setting."""
        key = type(command), symbol_of(command)
        self._confirmed = {each for each in self._confirmed if (type(each), symbol_of(each)) != key} | {command}
