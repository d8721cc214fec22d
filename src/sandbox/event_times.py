"""When the private stream tells of what has happened: a moment later, as the real exchange does."""

from random import Random

MOST_LATE_MS = 20


class EventTimes:
    """Draws the event time ``E`` that belongs to a transaction time ``T`` (User Data Streams).

    All that tells of one instant shares both, as the order and the account tell of one fill; and no event is earlier
    than the one before it.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._happened_at = self._told_at = 0

    def told_at(self, happened_at: int) -> int:
        """The event time of what happened at this instant."""
        if happened_at != self._happened_at:
            self._happened_at = happened_at
            self._told_at = max(self._told_at, happened_at + self._random.randint(0, MOST_LATE_MS))
        return self._told_at
