"""What reached the exchange, and since when positions were unprotected: the bot is judged by this, not by its word."""

from collections import Counter
from dataclasses import dataclass

from src.domain.orders import OrderRequest


@dataclass(frozen=True, slots=True)
class Received:
    """An order that arrived, accepted or not."""

    request: OrderRequest
    at: int
    code: int | None
    """Why it was refused; None for an accepted one."""


class Records:
    def __init__(self) -> None:
        self.received: list[Received] = []
        self.arrived: Counter[str] = Counter()
        """How often each client order id was on a request to place an order, even one a fault kept from us."""

        self.untimely: Counter[str] = Counter()
        """How often that request was refused for its timestamp: such a one is signed anew and sent again (F14)."""

    def arrive(self, client_order_id: str) -> None:
        self.arrived[client_order_id] += 1

    def sent_twice(self) -> dict[str, int]:
        """Orders that were asked for again, and how often they came, though no timestamp was refused."""
        return {name: times for name, times in self.arrived.items() if times - self.untimely[name] > 1}

    def receive(self, request: OrderRequest, at: int, code: int | None = None) -> None:
        self.received.append(Received(request, at, code))

    def times_received(self) -> Counter[str]:
        """How often each client order id arrived: more than once is an order sent twice."""
        return Counter(each.request.client_order_id for each in self.received)

    def times_accepted(self) -> Counter[str]:
        return Counter(each.request.client_order_id for each in self.received if each.code is None)
