"""What reached the exchange, and how long positions were unprotected: tests judge the bot by this."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.enums import OrderType, PositionSide
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.positions import Position, PositionKey


@dataclass(frozen=True, slots=True)
class ReceivedOrder:
    """An order that arrived, accepted or not."""

    request: OrderRequest
    at: int
    code: int | None
    """Why it was refused; None for an accepted one."""


class RequestLog:
    def __init__(self) -> None:
        self.received: list[ReceivedOrder] = []
        self.attempts: Counter[str] = Counter()
        """How often each client order id was on a request to place an order, even one a fault kept from us."""

        self.timestamp_rejections: Counter[str] = Counter()
        """How often that request was refused for its timestamp: such a one is signed anew and sent again (F14)."""

    def record_attempt(self, client_order_id: str) -> None:
        self.attempts[client_order_id] += 1

    def duplicates(self) -> dict[str, int]:
        """Orders that were asked for again, and how often they came, though no timestamp was refused."""
        return {name: times for name, times in self.attempts.items() if times - self.timestamp_rejections[name] > 1}

    def record(self, request: OrderRequest, at: int, code: int | None = None) -> None:
        self.received.append(ReceivedOrder(request, at, code))

    def times_received(self) -> Counter[str]:
        """How often each client order id arrived: more than once is an order sent twice."""
        return Counter(each.request.client_order_id for each in self.received)

    def times_accepted(self) -> Counter[str]:
        return Counter(each.request.client_order_id for each in self.received if each.code is None)


_STOP_TYPES = (OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET)


@dataclass(frozen=True, slots=True)
class UnprotectedSpan:
    """A span in which a position, or part of it, had no stop."""

    symbol: str
    position_side: PositionSide
    since: int
    until: int | None = None
    """None while it lasts."""

    def duration_ms(self, now_ms: int) -> int:
        return (now_ms if self.until is None else self.until) - self.since


class ProtectionMonitor:
    """A timeline of what was protected and what was not."""

    def __init__(self) -> None:
        self._closed: list[UnprotectedSpan] = []
        self._open: dict[PositionKey, UnprotectedSpan] = {}

    def observe(self, positions: Iterable[Position], orders: Iterable[OrderUpdate], at: int) -> None:
        """Look at all positions and open orders as they are now."""
        stops = [order for order in orders if order.original_type in _STOP_TYPES]
        unprotected = {
            (position.symbol, position.position_side)
            for position in positions
            if position.is_open and not _is_covered(position, stops)
        }
        for slot in [slot for slot in self._open if slot not in unprotected]:
            self._closed.append(replace(self._open.pop(slot), until=at))
        for slot in unprotected - self._open.keys():
            self._open[slot] = UnprotectedSpan(*slot, since=at)

    def spans(self) -> list[UnprotectedSpan]:
        """Every unprotected span, in the order they ended; those that last come last."""
        return [*self._closed, *self._open.values()]

    def longest_ms(self, now_ms: int) -> int:
        """The longest a position has ever been without a full stop, ms; 0 where none was."""
        return max((span.duration_ms(now_ms) for span in self.spans()), default=0)


def _is_covered(position: Position, stops: list[OrderUpdate]) -> bool:
    """A closing stop covers all; stops with a quantity cover what they add up to."""
    own_stops = [
        stop
        for stop in stops
        if (stop.symbol, stop.position_side) == (position.symbol, position.position_side)
        and stop.side is position.side.opposite
    ]
    if any(stop.close_position for stop in own_stops):
        return True
    covered = sum((stop.quantity - stop.filled_quantity for stop in own_stops), Decimal(0))
    return covered >= abs(position.quantity)
