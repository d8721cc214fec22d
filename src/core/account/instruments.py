"""Keeps exchange info current: refreshed regularly, and at once when an order is rejected by a symbol filter."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from src.core.context import TraderContext
from src.core.positions.closing import PositionCloser
from src.domain.commands import FetchInstruments
from src.domain.enums import OrderRole
from src.domain.events import CommandFailed, InstrumentsFetched, OrderRejected
from src.domain.instrument import Instrument
from src.domain.orders import Order
from src.domain.positions import PositionKey
from src.settings.config import Settings, SymbolSettings

log = logging.getLogger("hunter.trader")

FILTER_CODES = frozenset({-1013, -1111, *range(-4007, -4000), -4013, -4014, -4023, -4030, -4164})
"""An order violated a symbol filter: the cached filters are outdated."""
_STATUS_CODES = frozenset({-1121, -4108, -4109, -4140})
"""The symbol's status has changed: unknown, delivering, settling or closed for opening."""
_FILTER_WAIT_MS = 1_000
"""How long a protective order waits for refreshed filters before it is retried with the old ones."""
_UNLISTED = "UNLISTED"
_SYMBOL_SETTINGS_STATE = "symbol_settings"


class InstrumentRefresher:
    """Refreshes the instruments and closes positions of symbols that are no longer traded."""

    def __init__(self, context: TraderContext, closing: PositionCloser) -> None:
        self._context = context
        self._closing = closing
        self._is_requested = False
        self._not_trading: set[str] = set()
        """Symbols already reported as not trading."""

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
            tracked.awaits_filters_until = self._context.clock.monotonic_ms() + _FILTER_WAIT_MS

    def on_failed(self, event: CommandFailed) -> None:
        """Keep the cached instruments if the request failed."""
        if isinstance(event.command, FetchInstruments):
            self._is_requested = False

    def on_fetched(self, event: InstrumentsFetched) -> Iterable[PositionKey]:
        """Adopt the fetched instruments; returns the keys of positions to protect again."""
        self._is_requested = False
        context, known = self._context, self._context.instruments
        fresh = {each.symbol: each for each in event.instruments}
        missing = {symbol: _unlisted(known[symbol]) for symbol in known.keys() - fresh.keys()}
        if fresh and {**fresh, **missing} != known:
            context.instruments = {**fresh, **missing}
            context.store.save_instruments(event.instruments)
            log.info("instruments changed count=%s", len(fresh))
        self.check()
        tracked_positions = context.portfolio.open_positions()
        for tracked in tracked_positions:
            tracked.awaits_filters_until = 0
        return [tracked.key for tracked in tracked_positions]

    def check(self) -> None:
        """Called every second: report symbols that stopped trading, cancel their entries and close their positions."""
        held = {tracked.position.symbol for tracked in self._context.portfolio.open_positions() if tracked.is_managed}
        not_trading = {
            symbol for symbol in held | self._context.settings.symbols.keys() if not self._is_trading(symbol)
        }
        for symbol in sorted(not_trading - self._not_trading):
            self._report_not_trading(symbol)
        for symbol in sorted(self._not_trading - not_trading):
            self._context.warn(f"{symbol} is traded again", symbol)
        self._not_trading = not_trading
        ended = {symbol for symbol in not_trading if not self._is_unlisted(symbol)}
        for tracked in self._context.portfolio.open_positions():
            if tracked.is_managed and tracked.position.symbol in ended:
                self._closing.request_close(tracked, "the exchange stopped trading it")

    def _is_trading(self, symbol: str) -> bool:
        """A symbol that was never listed counts as trading: it did not stop."""
        instrument = self._context.instruments.get(symbol)
        return instrument is None or instrument.is_trading

    def _is_unlisted(self, symbol: str) -> bool:
        """Missing from the exchange's list, which may be incomplete: not a reason to close a position."""
        return self._context.instruments[symbol].status == _UNLISTED

    def _report_not_trading(self, symbol: str) -> None:
        status = self._context.instruments[symbol].status
        message = f"{symbol} is not trading ({status}): no entries, and its position is being closed"
        if self._is_unlisted(symbol):
            message = (
                f"{symbol} is not listed by the exchange any more: no entries. Its position stays protected; check it"
            )
        self._context.alert(message, symbol)
        for order in self._context.portfolio.open_orders(symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)


def _unlisted(instrument: Instrument) -> Instrument:
    """The instrument with its last known filters, marked as missing from the exchange's list."""
    return replace(instrument, status=_UNLISTED)


def load_removed_symbols(context: TraderContext) -> None:
    """Restore the settings of removed symbols that still have orders or positions, and save the current ones."""
    known = context.store.get_state(_SYMBOL_SETTINGS_STATE) or {}
    held = {symbol for symbol, _ in context.portfolio.tracked_positions} | {
        order.symbol for order in context.portfolio.orders.values()
    }
    for symbol in sorted(held & known.keys() - context.settings.symbols.keys()):
        context.removed_symbols[symbol] = SymbolSettings.model_validate(known[symbol])
    _save_symbol_settings(context)
    for symbol in sorted({each.position.symbol for each in context.portfolio.open_positions() if each.is_managed}):
        if context.symbol_settings(symbol) is None:
            context.alert(
                f"{symbol} is not configured: only its existing stop protects its position. Add the symbol again, or "
                "close the position",
                symbol,
            )


def keep_removed_symbols(context: TraderContext, running: Settings) -> None:
    """Keep the previous settings of symbols that the new settings removed; open positions still use them."""
    context.removed_symbols = {**context.removed_symbols, **running.symbols}
    _save_symbol_settings(context)


def _save_symbol_settings(context: TraderContext) -> None:
    settings = {**context.removed_symbols, **context.settings.symbols}
    context.store.set_state(
        _SYMBOL_SETTINGS_STATE, {symbol: each.model_dump(mode="json") for symbol, each in settings.items()}
    )
