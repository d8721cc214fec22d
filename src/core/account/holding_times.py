"""When the bot held positions of each symbol: says whose funding and results the income history reports."""

from src.core.context import TraderContext
from src.core.portfolio import TrackedPosition
from src.domain.clock import DAY_MS

_TOLERANCE_MS = 1_000
_KEPT_MS = 8 * DAY_MS


class HoldingTimes:
    """Opening and end of the bot's positions by symbol. A row of the income history names no position side."""

    def __init__(self, context: TraderContext) -> None:
        self._context = context
        self._spans: dict[str, list[list[int | None]]] = {}
        """Opening and end of each, ms UTC; the end is None while one is open."""

    def restore(self, known: dict[str, list[list[int | None]]]) -> None:
        self._spans = {symbol: [list(span) for span in spans] for symbol, spans in known.items()}

    def state(self) -> dict[str, list[list[int | None]]]:
        return self._spans

    def note(self) -> bool:
        """Note since when and until when the bot holds a position of each symbol; True if that changed."""
        now_ms, held = self._context.clock.now_ms(), dict[str, int]()
        for (symbol, _), tracked in self._context.portfolio.tracked_positions.items():
            if tracked.is_managed and tracked.opened_at:
                held[symbol] = min(tracked.opened_at, held.get(symbol, tracked.opened_at))
        has_changed = False
        for symbol in held.keys() | self._spans.keys():
            spans = self._spans.setdefault(symbol, [])
            is_open = bool(spans) and spans[-1][1] is None
            if symbol in held and not is_open:
                spans.append([held[symbol], None])
                spans[:] = [each for each in spans if each[1] is None or each[1] > now_ms - _KEPT_MS]
            elif symbol not in held and is_open:
                spans[-1][1] = now_ms
            else:
                continue
            has_changed = True
        return has_changed

    def is_held(self, symbol: str, at: int) -> bool:
        """Whether the bot held a position of the symbol."""
        return any(
            (opened or 0) - _TOLERANCE_MS <= at and (ended is None or at <= ended + _TOLERANCE_MS)
            for opened, ended in self._spans.get(symbol, ())
        )

    def external_beside(self, symbol: str, at: int) -> TrackedPosition | None:
        """An external position that was open beside one of the bot's: in hedge mode, on the other side."""
        held = self._context.portfolio.positions_for(symbol) if self.is_held(symbol, at) else []
        return next((each for each in held if not each.is_managed and each.opened_at <= at + _TOLERANCE_MS), None)
