"""Market sources yield price moves, trades and liquidations in time order; the exchange applies them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from src.domain.enums import Side
from src.domain.market import Liquidation


@dataclass(frozen=True, slots=True)
class PriceMove:
    """The order book of a symbol moves to a new mid price."""

    symbol: str
    middle: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class TakerTrade:
    """A trade at the best price: BUY takes the ask, SELL the bid."""

    symbol: str
    taker_side: Side
    quantity: Decimal
    at: int


WINDOW_MS = 1000

MarketEvent = PriceMove | TakerTrade | Liquidation


class MarketSource(Protocol):
    """Source of market events."""

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        """Yield the events since the last call up to ``now_ms``, oldest first."""
        ...

    def next_at(self) -> int:
        """Return when the next event is due, ms UTC. A later call loses nothing."""
        ...


class StaticSource:
    """A market without events: only tests move it."""

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        return iter(())

    def next_at(self) -> int:
        return 2**62


@dataclass(slots=True)
class _Window:
    closes_at: int
    held: Liquidation | None = None


class LiquidationThrottle:
    """At most one liquidation per symbol and second: the first passes at once, then the latest of each second."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self.suppressed = 0

    def add(self, liquidation: Liquidation, at: int) -> Iterator[Liquidation]:
        """Add a liquidation of time ``at``; yield those to publish by then, oldest first."""
        yield from self.take_due(at)
        window = self._windows.get(liquidation.symbol)
        if window is None:
            self._windows[liquidation.symbol] = _Window(at + WINDOW_MS)
            yield liquidation
            return
        self.suppressed += window.held is not None
        window.held = liquidation

    def take_due(self, now: int) -> Iterator[Liquidation]:
        """Yield the held liquidations that are due by ``now``."""
        for symbol, window in list(self._windows.items()):
            if window.closes_at > now:
                continue
            if window.held is None:
                del self._windows[symbol]
                continue
            yield window.held
            window.held = None
            window.closes_at = now + WINDOW_MS

    def next_at(self) -> int | None:
        """Return when the next held liquidation is due, ms; None without one."""
        return min((window.closes_at for window in self._windows.values() if window.held), default=None)
