"""Records for tests of the bot: orders received, and how long positions were unprotected."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from src.domain.enums import OrderType, PositionSide
from src.domain.numbers import ZERO
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.positions import Position, PositionKey

_STOP_TYPES = (OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET)


@dataclass(frozen=True, slots=True)
class ReceivedOrder:
    """An order that was received, accepted or not."""

    request: OrderRequest
    at: int
    code: int | None
    """Code of the rejection; None if accepted."""


class RequestLog:
    """Order requests by client order id."""

    def __init__(self) -> None:
        self.received: list[ReceivedOrder] = []
        self.attempts: Counter[str] = Counter()
        """Number of requests to place each order, including those that a fault blocked."""
        self.timestamp_rejections: Counter[str] = Counter()
        """Number of these rejected for their timestamp, which the bot signs again and resends (F14)."""

    def record_attempt(self, client_order_id: str) -> None:
        self.attempts[client_order_id] += 1

    def duplicates(self) -> dict[str, int]:
        """Return orders requested more than once, with their count, apart from resends after a timestamp rejection."""
        return {name: times for name, times in self.attempts.items() if times - self.timestamp_rejections[name] > 1}

    def record(self, request: OrderRequest, at: int, code: int | None = None) -> None:
        self.received.append(ReceivedOrder(request, at, code))

    def times_received(self) -> Counter[str]:
        """Return how often each client order id reached the engine; more than once is a duplicate order."""
        return Counter(each.request.client_order_id for each in self.received)

    def times_accepted(self) -> Counter[str]:
        return Counter(each.request.client_order_id for each in self.received if each.code is None)


@dataclass(frozen=True, slots=True)
class UnprotectedSpan:
    """A time span in which a position, or part of it, had no stop loss."""

    symbol: str
    position_side: PositionSide
    since: int
    until: int | None = None
    """None while it lasts."""

    def duration_ms(self, now_ms: int) -> int:
        return (now_ms if self.until is None else self.until) - self.since


class ProtectionMonitor:
    """Measures how long positions are unprotected."""

    def __init__(self) -> None:
        self._closed: list[UnprotectedSpan] = []
        self._open: dict[PositionKey, UnprotectedSpan] = {}

    def observe(self, positions: Iterable[Position], orders: Iterable[OrderUpdate], at: int) -> None:
        """Update the spans from the current positions and open orders."""
        stops = [order for order in orders if order.original_type in _STOP_TYPES]
        unprotected = {
            (position.symbol, position.position_side)
            for position in positions
            if position.is_open and not _is_covered(position, stops)
        }
        for key in [key for key in self._open if key not in unprotected]:
            self._closed.append(replace(self._open.pop(key), until=at))
        for key in unprotected - self._open.keys():
            self._open[key] = UnprotectedSpan(*key, since=at)

    def spans(self) -> list[UnprotectedSpan]:
        """Return all unprotected spans in the order they ended; open ones last."""
        return [*self._closed, *self._open.values()]

    def longest_ms(self, now_ms: int) -> int:
        """Return the longest time a position was not fully protected, ms."""
        return max((span.duration_ms(now_ms) for span in self.spans()), default=0)


def _is_covered(position: Position, stops: list[OrderUpdate]) -> bool:
    """Return whether a closePosition stop, or the sum of the other stops, covers the position."""
    own_stops = [
        stop
        for stop in stops
        if (stop.symbol, stop.position_side) == (position.symbol, position.position_side)
        and stop.side is position.side.opposite
    ]
    if any(stop.close_position for stop in own_stops):
        return True
    covered = sum((stop.quantity - stop.filled_quantity for stop in own_stops), ZERO)
    return covered >= abs(position.quantity)
