"""Since when has each position been without a stop? The sandbox's own judgement, for tests that break things."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide
from src.domain.orders import OrderUpdate
from src.domain.positions import Position

Slot = tuple[str, PositionSide]
_STOPS = (OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET)


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A span in which a position, or part of it, had no stop."""

    symbol: str
    position_side: PositionSide
    since: int
    until: int | None = None
    """None while it lasts."""

    def lasted_ms(self, now_ms: int) -> int:
        return (now_ms if self.until is None else self.until) - self.since


class ProtectionLog:
    """A timeline of what was protected and what was not."""

    def __init__(self) -> None:
        self._closed: list[Unprotected] = []
        self._open: dict[Slot, Unprotected] = {}

    def observe(self, positions: Iterable[Position], orders: Iterable[OrderUpdate], at: int) -> None:
        """Look at all positions and open orders as they are now."""
        stops = [order for order in orders if order.original_type in _STOPS]
        naked = {
            (position.symbol, position.position_side)
            for position in positions
            if position.is_open and not _is_covered(position, stops)
        }
        for slot in [slot for slot in self._open if slot not in naked]:
            self._closed.append(replace(self._open.pop(slot), until=at))
        for slot in naked - self._open.keys():
            self._open[slot] = Unprotected(*slot, since=at)

    def spans(self) -> list[Unprotected]:
        """Every unprotected span, in the order they ended; those that last come last."""
        return [*self._closed, *self._open.values()]

    def longest_ms(self, now_ms: int) -> int:
        """The longest a position has ever been without a full stop, ms; 0 where none was."""
        return max((span.lasted_ms(now_ms) for span in self.spans()), default=0)


def _is_covered(position: Position, stops: list[OrderUpdate]) -> bool:
    """A closing stop covers all; stops with a quantity cover what they add up to."""
    mine = [
        stop
        for stop in stops
        if (stop.symbol, stop.position_side) == (position.symbol, position.position_side)
        and stop.side is position.side.opposite
    ]
    if any(stop.close_position for stop in mine):
        return True
    covered = sum((stop.quantity - stop.filled_quantity for stop in mine), Decimal(0))
    return covered >= abs(position.quantity)
