"""Where the market's motion comes from: a source turns time into steps, the exchange performs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from src.domain.enums import Side
from src.domain.market import Liquidation


@dataclass(frozen=True, slots=True)
class Move:
    """The book of a symbol stands around a new price."""

    symbol: str
    middle: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class Print:
    """Somebody takes what stands at the touch: BUY lifts the ask, SELL hits the bid."""

    symbol: str
    taker_side: Side
    quantity: Decimal
    at: int


Step = Move | Print | Liquidation


class Source(Protocol):
    def steps(self, now_ms: int) -> Iterator[Step]:
        """What happened since the last call, oldest first, up to ``now_ms``."""
        ...

    def next_at(self) -> int:
        """When the next step is due, ms UTC; asking later than that is no harm."""
        ...


class StillSource:
    """A market that moves only when a test moves it."""

    def steps(self, now_ms: int) -> Iterator[Step]:
        return iter(())

    def next_at(self) -> int:
        return 2**62
