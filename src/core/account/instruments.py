"""Keeps exchange info current: refreshed regularly, and at once when an order is rejected by a symbol filter."""

import logging
from collections.abc import Iterable, Mapping

from src.core.context import TraderContext
from src.core.positions.closing import PositionCloser
from src.domain.clock import HOUR_MS
from src.domain.commands import FetchBrackets, FetchInstruments
from src.domain.enums import OrderRole
from src.domain.events import BracketsFetched, CommandFailed, InstrumentsFetched, OrderRejected
from src.domain.instrument import complete_instruments
from src.domain.orders import Order
from src.domain.positions import PositionKey
from src.settings.config import SymbolSettings

log = logging.getLogger("hunter.trader")

FILTER_CODES = frozenset({-1013, -1111, *range(-4007, -4000), -4013, -4014, -4023, -4030, -4164})
"""An order violated a symbol filter: the cached filters are outdated."""
_STATUS_CODES = frozenset({-1121, -4108, -4109, -4140})
"""The symbol's status has changed: unknown, delivering, settling or closed for opening."""
_FILTER_WAIT_MS = 1_000
"""How long a protective order waits for refreshed filters before it is retried with the old ones."""
_BRACKETS_RETRY_MS = 30_000
_SYMBOL_SETTINGS_STATE = "symbol_settings"


class LeverageBrackets:
    """Reads the exchange's leverage brackets, which liquidation prices depend on: at the start, then each hour."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context

    def check(self) -> None:
        """Called every second: read them again when they are due, after half a minute if a symbol has none."""
        context = self._context
        if context.account is None:
            return
        is_missing = any(symbol not in context.brackets for symbol in context.settings.symbols)
        if context.may_request("leverage brackets", _BRACKETS_RETRY_MS if is_missing else HOUR_MS):
            context.queue_command(FetchBrackets())

    def on_fetched(self, event: BracketsFetched) -> None:
        self._context.brackets = {**self._context.brackets, **event.brackets}


class InstrumentRefresher:
    """Refreshes the instruments and closes positions of symbols that are no longer traded."""

    def __init__(self, context: TraderContext, closing: PositionCloser) -> None:
        self._context = context
        self._closing = closing
        self.brackets = LeverageBrackets(context)
        self._is_requested = False
        self._not_trading: set[str] = set()
        """Symbols already reported as not trading."""
        self._incomplete: set[str] = set()
        """Symbols already reported as lacking trading rules."""

    def request(self) -> None:
        if not self._is_requested:
            self._is_requested = True
            self._context.queue_command(FetchInstruments())

    def on_rejected(self, order: Order, event: OrderRejected) -> None:
        """Refresh the filters after a rejection; a protective order waits for them, an entry is not retried (I2)."""
        if event.code not in FILTER_CODES | _STATUS_CODES:
            return
        self.request()
        if order.role is not OrderRole.ENTRY:
            tracked = self._context.portfolio.tracked((order.symbol, order.request.position_side))
            tracked.exits.awaits_filters_until = self._context.clock.monotonic_ms() + _FILTER_WAIT_MS

    def on_failed(self, event: CommandFailed) -> None:
        """Keep the cached instruments if the request failed."""
        if isinstance(event.command, FetchInstruments):
            self._is_requested = False

    def on_fetched(self, event: InstrumentsFetched) -> Iterable[PositionKey]:
        """Adopt the fetched instruments; returns the keys of positions to protect again."""
        self._is_requested = False
        context, known = self._context, self._context.instruments
        found = complete_instruments(event.instruments, event.incomplete, known)
        context.incomplete_instruments = {each.symbol: each.problem for each in event.incomplete}
        if (event.instruments or event.incomplete) and found != known:
            context.instruments = found
            context.store.save_instruments(list(found.values()))
            log.info("instruments changed count=%s", len(event.instruments))
        self.check()
        tracked_positions = context.portfolio.open_positions()
        for tracked in tracked_positions:
            tracked.exits.awaits_filters_until = 0
        return [tracked.key for tracked in tracked_positions]

    def check(self) -> None:
        """Called every second: report symbols that stopped trading, cancel their entries and close their positions.

        Also report those that lack trading rules in the exchange's list, at the start too.
        """
        self.brackets.check()
        held = {tracked.position.symbol for tracked in self._context.portfolio.open_positions() if tracked.is_managed}
        not_trading = {
            symbol for symbol in held | self._context.settings.symbols.keys() if not self._is_trading(symbol)
        }
        for symbol in sorted(not_trading - self._not_trading):
            self._report_not_trading(symbol)
        self._report_incomplete(held)
        for symbol in sorted(self._not_trading - not_trading):
            self._context.warn(f"{symbol} is traded again", symbol)
        self._not_trading = not_trading
        ended = {symbol for symbol in not_trading if self._context.instruments[symbol].has_stopped}
        for tracked in self._context.portfolio.open_positions():
            if tracked.is_managed and tracked.position.symbol in ended:
                self._closing.request_close(tracked, "the exchange stopped trading it")

    def _is_trading(self, symbol: str) -> bool:
        """A symbol that was never listed counts as trading: it did not stop."""
        instrument = self._context.instruments.get(symbol)
        return instrument is None or instrument.is_trading

    def _report_incomplete(self, held: set[str]) -> None:
        """Report once which held or configured symbols lack trading rules, and when they are complete again."""
        unknown = dict.fromkeys(held - self._context.instruments.keys(), "it is not in the list")
        problems = {**unknown, **self._context.incomplete_instruments}
        wanted = held | self._context.settings.symbols.keys()
        incomplete = {symbol: problem for symbol, problem in problems.items() if symbol in wanted}
        for symbol in sorted(incomplete.keys() - self._incomplete):
            is_known = symbol in self._context.instruments
            done = "its last known rules are used" if is_known else "no stop can be placed and no entry is made for it"
            self._context.alert(
                f"the exchange's list of symbols lacks trading rules of {symbol} ({incomplete[symbol]}): {done}. "
                "Check the symbol on the exchange's site",
                symbol,
            )
        for symbol in sorted(self._incomplete - incomplete.keys()):
            self._context.warn(f"the exchange lists all trading rules of {symbol} again", symbol)
        self._incomplete = set(incomplete)

    def _report_not_trading(self, symbol: str) -> None:
        status = self._context.instruments[symbol].status
        message = f"{symbol} is not trading ({status}): no entries, and its position is being closed"
        if not self._context.instruments[symbol].is_listed:
            message = (
                f"{symbol} is not listed by the exchange any more: no entries. Its position stays protected; check it"
            )
        elif not self._context.instruments[symbol].has_stopped:
            message = (
                f"{symbol} is not trading (status {status or 'empty'}): no entries. Its position stays protected; "
                "check the symbol on the exchange's site"
            )
        self._context.alert(message, symbol)
        for order in self._context.portfolio.open_orders(symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)


def load_removed_symbols(context: TraderContext) -> None:
    """Restore the settings under which symbols with orders or positions were protected, removed ones included."""
    known = context.store.get_state(_SYMBOL_SETTINGS_STATE) or {}
    held = {symbol for symbol, _ in context.portfolio.tracked_positions} | {
        order.symbol for order in context.portfolio.orders.values()
    }
    for symbol in sorted(held & known.keys()):
        context.removed_symbols[symbol] = SymbolSettings.model_validate(known[symbol])
    for symbol in sorted({each.position.symbol for each in context.portfolio.open_positions() if each.is_managed}):
        if context.symbol_settings(symbol) is None:
            context.alert(
                f"{symbol} is not configured: only its existing stop protects its position. Add the symbol again, or "
                "close the position",
                symbol,
            )


def keep_removed_symbols(context: TraderContext, running: Mapping[str, SymbolSettings | None]) -> None:
    """Keep the settings that protected each symbol so far; the open positions of removed symbols still use them."""
    kept = {symbol: settings for symbol, settings in running.items() if settings is not None}
    context.removed_symbols = {**context.removed_symbols, **kept}
    save_symbol_settings(context)


def save_symbol_settings(context: TraderContext) -> None:
    """Save the settings that protect each symbol, with confirmed stop losses, for the next start."""
    symbols = {**context.removed_symbols, **context.settings.symbols}
    settings = {symbol: context.symbol_settings(symbol) for symbol in symbols}
    context.store.set_state(
        _SYMBOL_SETTINGS_STATE, {symbol: each.model_dump(mode="json") for symbol, each in settings.items() if each}
    )
