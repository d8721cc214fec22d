"""What the exchange tells in words we do not know: kept apart, never guessed, never taken for absent (I30)."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.orders import ClientOrderId


@dataclass(frozen=True, slots=True)
class StrangeOrder:
    """An order of which only its names are sure. The rest is as it was written, for a person to look at."""

    symbol: str
    client_order_id: str
    order_id: int
    fault: str
    """What is not understood."""
    side: str = ""
    position_side: str = ""
    type: str = ""
    status: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Numbers of orders are unique within a symbol only."""
        return self.symbol, self.order_id

    @property
    def is_ours(self) -> bool:
        return ClientOrderId.parse(self.client_order_id) is not None


@dataclass(frozen=True, slots=True)
class StrangePosition:
    """A slot that is told in such words: nobody knows which it is, or what it holds."""

    symbol: str
    fault: str
    is_flat: bool
    """It holds nothing, and that is sure."""
