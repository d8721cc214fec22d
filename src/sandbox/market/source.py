"""Where price moves come from: a source yields market events by time, the exchange applies them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from src.domain.enums import Side
from src.domain.market import Liquidation


@dataclass(frozen=True, slots=True)
class PriceMove:
    """The book of a symbol stands around a new price."""

    symbol: str
    middle: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class TakerTrade:
    """Somebody takes what stands at the touch: BUY lifts the ask, SELL hits the bid."""

    symbol: str
    taker_side: Side
    quantity: Decimal
    at: int


MarketEvent = PriceMove | TakerTrade | Liquidation


class MarketSource(Protocol):
    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        """What happened since the last call, oldest first, up to ``now_ms``."""
        ...

    def next_at(self) -> int:
        """When the next step is due, ms UTC; asking later than that is no harm."""
        ...


class StaticSource:
    """A market that moves only when a test moves it."""

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        return iter(())

    def next_at(self) -> int:
        return 2**62


WINDOW_MS = 1000


@dataclass(slots=True)
class _Window:
    closes_at: int
    held: Liquidation | None = None


class LiquidationThrottle:
    """The first liquidation of a quiet symbol passes at once; of those in the second after it only the latest does."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self.suppressed = 0

    def add(self, liquidation: Liquidation, at: int) -> Iterator[Liquidation]:
        """Take a liquidation that happened at ``at``; yields what is pushed by then, oldest first."""
        yield from self.take_due(at)
        window = self._windows.get(liquidation.symbol)
        if window is None:
            self._windows[liquidation.symbol] = _Window(at + WINDOW_MS)
            yield liquidation
            return
        self.suppressed += window.held is not None
        window.held = liquidation

    def take_due(self, now: int) -> Iterator[Liquidation]:
        """What was held back and is pushed by ``now``."""
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
        """When something held is due, or None."""
        return min((window.closes_at for window in self._windows.values() if window.held), default=None)
