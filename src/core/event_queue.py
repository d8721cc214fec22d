"""The trader's event queue: takes events from every thread, keeps only the newest prices, drops only liquidations."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from src.core.events import (
    TraderEvent,
)
from src.domain.clock import Clock, SystemClock
from src.domain.events import AccountUpdate
from src.domain.market import Liquidation, MarkPrice, Quote

_MAX_LIQUIDATIONS_PER_BATCH = 500
"""Liquidations evaluated in one transaction, which limits how long a fill waits for it."""
MAX_LIQUIDATIONS = 30_000
_TRADE_SECONDS = 0.002
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How far the trader is behind."""

    waiting: int = 0
    """Queued liquidations."""
    dropped: int = 0
    """Liquidations that were neither evaluated nor stored, since the start."""
    lag_ms: int = 0
    """How long the oldest event of the last batch had waited, liquidations and prices aside."""


class EventQueue:
    """Events for the trader, taken in batches.

    Only the newest quote and mark price of each symbol is kept. Everything else is taken before liquidations, so that
    a burst of them never delays a fill. If too many liquidations are queued, the oldest are dropped and counted: they
    would be too old to trade (F26).
    """

    def __init__(self, clock: Clock = _CLOCK) -> None:
        self._clock = clock
        self._urgent_since: int | None = None
        self._lag_ms = self._dropped = 0
        self._arrived = threading.Condition()  # guards the three queues below
        self._quotes: dict[tuple[type, str], Quote | MarkPrice] = {}
        self._urgent: deque[TraderEvent] = deque()
        self._liquidations: deque[Liquidation] = deque(maxlen=MAX_LIQUIDATIONS)
        self._is_closed = False

    def put(self, event: TraderEvent) -> None:
        self.put_all((event,))

    def put_all(self, events: Sequence[TraderEvent]) -> None:
        """Add events that belong together: they are taken, and so committed, in one batch."""
        with self._arrived:
            for event in events:
                self._add(event)
            self._arrived.notify()

    def _add(self, event: TraderEvent) -> None:
        match event:
            case Quote() | MarkPrice():
                self._quotes[type(event), event.symbol] = event
            case Liquidation():
                self._dropped += len(self._liquidations) == MAX_LIQUIDATIONS
                self._liquidations.append(event)
            case _:
                self._urgent.append(event)
                if self._urgent_since is None:
                    self._urgent_since = self._clock.monotonic_ms()

    def take_batch(self, wait_seconds: float) -> list[TraderEvent]:
        """Everything that has arrived: prices, then urgent events, then liquidations, each in order of arrival."""
        with self._arrived:
            self._arrived.wait_for(self._is_ready, wait_seconds)
            if self._is_half_a_trade():
                self._arrived.wait_for(lambda: not self._is_half_a_trade(), _TRADE_SECONDS)
            batch: list[TraderEvent] = [*self._quotes.values(), *self._urgent]
            batch += islice(self._liquidations, _MAX_LIQUIDATIONS_PER_BATCH)
            since, self._urgent_since = self._urgent_since, None
            self._lag_ms = 0 if since is None else self._clock.monotonic_ms() - since
            self._quotes.clear()
            self._urgent.clear()
            for _ in range(min(len(self._liquidations), _MAX_LIQUIDATIONS_PER_BATCH)):
                self._liquidations.popleft()
            return batch

    def _is_half_a_trade(self) -> bool:
        """Whether only the account's update of a trade has arrived, which the exchange sends before the order's.

        Both in one transaction protect the position sooner than two transactions, one after the other.
        """
        is_half = len(self._urgent) == 1 and isinstance(self._urgent[0], AccountUpdate)
        return is_half and not self._liquidations and not self._is_closed

    def close(self) -> None:
        """Wake the trader, which handles the remaining events and ends."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()

    @property
    def is_closed(self) -> bool:
        return self._is_closed and not self._has_events()

    @property
    def stats(self) -> QueueStats:
        return QueueStats(len(self._liquidations), self._dropped, self._lag_ms)

    def _is_ready(self) -> bool:
        return self._is_closed or self._has_events()

    def _has_events(self) -> bool:
        return bool(self._quotes or self._urgent or self._liquidations)
