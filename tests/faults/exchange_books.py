"""What the sandbox has in its own books: orders that arrived, what is held, and for how long it was without a stop."""

from decimal import Decimal

from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import ClientOrderId, Fill, OrderUpdate
from src.sandbox.exchange import SandboxExchange
from src.sandbox.protection import Unprotected

D = Decimal
SYMBOL = "BTCUSDT"


class ExchangeBooks:
    """The truth that every claim of these tests is made on."""

    exchange: SandboxExchange

    def arrived(self, role: OrderRole | None = None) -> dict[str, int]:
        """How often each order was asked for over the wire, whatever came of it."""
        with self.exchange.lock:
            told = dict(self.exchange.account.records.arrived)
        return {name: times for name, times in told.items() if role in (None, _role(name))}

    def sent_twice(self) -> dict[str, int]:
        """Orders that came more than once, though the exchange had refused the timestamp of none."""
        with self.exchange.lock:
            return self.exchange.account.records.sent_twice()

    def orders(self, role: OrderRole | None = None) -> list[OrderUpdate]:
        """Open orders of ours."""
        with self.exchange.lock:
            found = self.exchange.engine.open_orders(SYMBOL)
        return [each for each in found if (own := _role(each.client_order_id)) is not None and role in (None, own)]

    @property
    def position(self) -> Decimal:
        with self.exchange.lock:
            return sum((each.quantity for each in self.exchange.account.open_positions()), D(0))

    def longest_naked_ms(self) -> int:
        """The longest a position has ever been without a stop that covers it."""
        with self.exchange.lock:
            return self.exchange.protection.longest_ms(self.exchange.now_ms())

    def bare_spans(self, since: int) -> list[Unprotected]:
        """Whenever a position was without a stop that covers it, from this instant on."""
        with self.exchange.lock:
            spans = self.exchange.protection.spans()
        return [span for span in spans if span.until is None or span.until > since]

    def wanted_stop(self) -> Decimal:
        """Where the stop of the one position belongs: two per cent below its entry."""
        with self.exchange.lock:
            [held] = self.exchange.account.open_positions()
        return held.position.entry_price * D("0.98")

    def has_one_right_stop(self) -> bool:
        stops = self.orders(OrderRole.STOP_LOSS)
        return len(stops) == 1 and abs(stops[0].stop_price - self.wanted_stop()) < 1

    def fills(self) -> list[Fill]:
        with self.exchange.lock:
            return self.exchange.engine.fills(SYMBOL)

    def net(self) -> Decimal:
        """What trading this symbol has done to the wallet."""
        with self.exchange.lock:
            incomes = self.exchange.engine.incomes()
        return sum((income.amount for income in incomes if income.symbol == SYMBOL), D(0))

    def flips(self) -> list[Fill]:
        """Fills that led from one side to the other."""
        held: dict[PositionSide, Decimal] = {}
        flips = []
        for fill in self.fills():
            before = held.get(fill.position_side, D(0))
            after = held[fill.position_side] = before + fill.side.sign * fill.quantity
            if before * after < 0:
                flips.append(fill)
        return flips


def _role(client_order_id: str) -> OrderRole | None:
    known = ClientOrderId.parse(client_order_id)
    return None if known is None else known.role
