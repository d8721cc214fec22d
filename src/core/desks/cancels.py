"""How often the end of an order was asked for, and when it may be asked for again (§4, CANCEL_SENT)."""

from dataclasses import dataclass

MOST_TRIES = 5
"""In a row; each follows an answer that shows the order to stand still."""
_SLOWLY_MS = 30_000
_VERDICT_MS = 5_000


@dataclass(slots=True)
class CancelTries:
    """Of one order. Times are monotonic."""

    count: int = 0
    asked_at: int = 0
    reason: str = "no answer came"
    """What was last said to it."""
    is_told: bool = False
    """A person knows that it cannot be cancelled."""

    def may_follow(self, now_ms: int) -> bool:
        """What is refused again and again is tried on slowly: an entry that rests is money at risk."""
        return self.count < MOST_TRIES or now_ms - self.asked_at >= _SLOWLY_MS

    def note(self, now_ms: int) -> None:
        self.count, self.asked_at = self.count + 1, now_ms

    def is_overdue(self, now_ms: int) -> bool:
        """No verdict where one is due."""
        return now_ms - self.asked_at >= _VERDICT_MS
