"""An order as the answer to a command tells it; the private stream's word is the bare ``OrderUpdate``."""

from dataclasses import dataclass

from src.domain.orders import OrderUpdate


@dataclass(frozen=True, slots=True)
class OrderAnswered:
    update: OrderUpdate
