"""The liquidation streams show at most one order per symbol and second (Liquidation Order Streams)."""

from collections.abc import Iterator
from dataclasses import dataclass

from src.domain.market import Liquidation

WINDOW_MS = 1000


@dataclass(slots=True)
class _Window:
    closes_at: int
    held: Liquidation | None = None


class OnePerSecond:
    """The first liquidation of a quiet symbol passes at once; of those in the second after it only the latest does."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        self.suppressed = 0

    def offer(self, liquidation: Liquidation, at: int) -> Iterator[Liquidation]:
        """Take a liquidation that happened at ``at``; yields what is pushed by then, oldest first."""
        yield from self.due(at)
        window = self._windows.get(liquidation.symbol)
        if window is None:
            self._windows[liquidation.symbol] = _Window(at + WINDOW_MS)
            yield liquidation
            return
        self.suppressed += window.held is not None
        window.held = liquidation

    def due(self, now: int) -> Iterator[Liquidation]:
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
