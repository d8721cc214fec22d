"""What the exchange lets us trade and on which grid: read anew before it is old, and at once where an order says so."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from src.core.books import Slot
from src.core.desks.closing import ClosingDesk
from src.core.desks.desk import Desk
from src.domain.enums import OrderRole
from src.domain.instrument import Instrument
from src.domain.messages import CommandFailed, FetchInstruments, InstrumentsFetched, OrderRefused
from src.domain.orders import Order

log = logging.getLogger("hunter.trader")

FILTER_CODES = frozenset({-1013, -1111, *range(-4007, -4000), -4013, -4014, -4023, -4030, -4164})
"""An order off the grid or out of its bounds: our rules of the symbol are outdated."""
_STATUS_CODES = frozenset({-1121, -4108, -4109, -4140})
"""The symbol is not what we take it for: unknown, delivering, settling, closed for opening."""
_WAIT_MS = 1_000
"""How long a protective order waits for the new rules before it is tried by the old ones again."""
_UNLISTED = "UNLISTED"


class RulesDesk:
    """Keeps the instruments up to date, and leaves symbols that are not traded any more."""

    def __init__(self, desk: Desk, closing: ClosingDesk) -> None:
        self._desk = desk
        self._closing = closing
        self._is_asking = False
        self._stopped: set[str] = set()
        """Symbols of which a person knows that they are not traded."""

    def ask(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._desk.send(FetchInstruments())

    def on_refused(self, order: Order, event: OrderRefused) -> None:
        """An order off the grid is placed anew by the rules of now; an entry has had its time (I2)."""
        if event.code not in FILTER_CODES | _STATUS_CODES:
            return
        self.ask()
        if order.role is not OrderRole.ENTRY:
            holding = self._desk.books.holding((order.symbol, order.request.position_side))
            holding.awaits_rules_until = self._desk.clock.monotonic_ms() + _WAIT_MS

    def on_failed(self, event: CommandFailed) -> None:
        """The rules could not be read: those we know serve on."""
        if isinstance(event.command, FetchInstruments):
            self._is_asking = False

    def on_fetched(self, event: InstrumentsFetched) -> Iterable[Slot]:
        """Take the new rules; what is to be protected anew by them is returned."""
        self._is_asking = False
        desk, known = self._desk, self._desk.instruments
        fresh = {each.symbol: each for each in event.instruments}
        missing = {symbol: _unlisted(known[symbol]) for symbol in known.keys() - fresh.keys()}
        if fresh and {**fresh, **missing} != known:
            desk.instruments = {**fresh, **missing}
            desk.store.save_instruments(event.instruments)
            log.info("the exchange's rules have changed")
        self.check()
        holdings = desk.books.open_holdings()
        for holding in holdings:
            holding.awaits_rules_until = 0
        return [holding.slot for holding in holdings]

    def check(self) -> None:
        """Once a second: what is not traded gets no entry, what is held there is closed, and a person is told."""
        held = {holding.position.symbol for holding in self._desk.books.open_holdings() if holding.is_ours}
        stopped = {symbol for symbol in held | self._desk.settings.symbols.keys() if not self._is_trading(symbol)}
        for symbol in sorted(stopped - self._stopped):
            self._tell_stopped(symbol)
        for symbol in sorted(self._stopped - stopped):
            self._desk.alert(f"{symbol} is traded again", symbol)
        self._stopped = stopped
        ended = {symbol for symbol in stopped if not self._is_unlisted(symbol)}
        for holding in self._desk.books.open_holdings():
            if holding.is_ours and holding.position.symbol in ended:
                self._closing.demand(holding, "the exchange stops trading it")

    def _is_trading(self, symbol: str) -> bool:
        """A symbol the exchange never listed is none that left."""
        instrument = self._desk.instruments.get(symbol)
        return instrument is None or instrument.is_trading

    def _is_unlisted(self, symbol: str) -> bool:
        """Missing in the list, which may be a list that is not whole: no reason to close."""
        return self._desk.instruments[symbol].status == _UNLISTED

    def _tell_stopped(self, symbol: str) -> None:
        status = self._desk.instruments[symbol].status
        sentence = f"{symbol} is not traded now ({status}): no entries, and what is held is being closed"
        if self._is_unlisted(symbol):
            sentence = (
                f"{symbol} is missing in the exchange's list: no entries; what is held stays protected, look at it"
            )
        self._desk.alarm(sentence, symbol)
        for order in self._desk.books.open_orders(symbol, OrderRole.ENTRY):
            self._desk.cancel(order)


def _unlisted(instrument: Instrument) -> Instrument:
    """Left out of the list, or listed in words we do not understand: its last rules serve on."""
    return replace(instrument, status=_UNLISTED)
