"""The trader's one queue: facts from every thread, quotes conflated, nothing else ever dropped."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from src.core.consent_prompt import TermsTyped
from src.core.operator_files import FileRequest, HaltSeen
from src.core.order_answered import OrderAnswered
from src.core.settings_changed import SettingsChanged
from src.core.standstill import StoodStill
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.messages import Event

Wish = HaltSeen | FileRequest | TermsTyped
TraderEvent = Event | OrderAnswered | SettingsChanged | Wish | StoodStill

_LIQUIDATIONS_PER_BATCH = 2000


class Inbox:
    """Events for the trader, handed out in batches.

    Of quotes and mark prices only the newest per symbol waits. Everything that is not a liquidation overtakes
    the liquidations, so that a burst of them never delays a fill (F26).
    """

    def __init__(self) -> None:
        self._arrived = threading.Condition()  # serialises the three stores below
        self._quotes: dict[tuple[type, str], Quote | MarkPrice] = {}
        self._urgent: deque[TraderEvent] = deque()
        self._liquidations: deque[Liquidation] = deque()
        self._is_closed = False

    def post(self, event: TraderEvent) -> None:
        self.post_all((event,))

    def post_all(self, events: Sequence[TraderEvent]) -> None:
        """Events that belong together: they are handed out, and so committed, in one batch."""
        with self._arrived:
            for event in events:
                self._put(event)
            self._arrived.notify()

    def _put(self, event: TraderEvent) -> None:
        match event:
            case Quote() | MarkPrice():
                self._quotes[type(event), event.symbol] = event
            case Liquidation():
                self._liquidations.append(event)
            case _:
                self._urgent.append(event)

    def drain(self, wait_seconds: float) -> list[TraderEvent]:
        """What has arrived: quotes first, then urgent events, then liquidations, each in order of arrival."""
        with self._arrived:
            self._arrived.wait_for(self._is_filled, wait_seconds)
            batch: list[TraderEvent] = [*self._quotes.values(), *self._urgent]
            batch += islice(self._liquidations, _LIQUIDATIONS_PER_BATCH)
            self._quotes.clear()
            self._urgent.clear()
            for _ in range(min(len(self._liquidations), _LIQUIDATIONS_PER_BATCH)):
                self._liquidations.popleft()
            return batch

    def close(self) -> None:
        """Wake the trader: it handles what is here and ends."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify()

    @property
    def is_closed(self) -> bool:
        return self._is_closed and not self._has_events()

    @property
    def backlog(self) -> int:
        """Liquidations that wait."""
        return len(self._liquidations)

    def _is_filled(self) -> bool:
        return self._is_closed or self._has_events()

    def _has_events(self) -> bool:
        return bool(self._quotes or self._urgent or self._liquidations)
