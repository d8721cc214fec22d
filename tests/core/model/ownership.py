"""Whose each position is by the exchange's trades: the truth that the bot's view is compared with."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import Fill
from tests.core.model.faulty_network import role_of

ZERO = Decimal(0)


@dataclass
class PositionSpan:
    """A position from the trade that opens it to the one that closes or flips it."""

    started_at: int
    held: Decimal = ZERO
    own: Decimal = ZERO
    """Signed sum of the bot's trades in it."""
    manual_quantity: Decimal = ZERO
    """Manually added notional, in the quote asset."""

    @property
    def is_ours(self) -> bool:
        """Some of it is the bot's."""
        return self.own * self.held > 0


class Ownership:
    """Follows every trade in order."""

    def __init__(self, position_sides: tuple[PositionSide, ...]) -> None:
        self._held = dict.fromkeys(position_sides, ZERO)
        self.spans: dict[PositionSide, PositionSpan] = {}
        self.own_trades: set[int] = set()
        self.mismatches: list[str] = []
        """Trades that no order of the bot may cause."""

    def record(self, fill: Fill, *, is_excused: bool) -> None:
        position_side, role = fill.position_side, role_of(fill.client_order_id)
        change = fill.side.sign * fill.quantity
        before = self._held[position_side]
        after = self._held[position_side] = before + change
        if role is not None:
            self.own_trades.add(fill.trade_id)
            self._check(fill, role, before, after, is_excused=is_excused)
        if before * after <= 0:
            self.spans.pop(position_side, None)
            if after:
                self.spans[position_side] = PositionSpan(fill.traded_at)
            change, before = after, ZERO
        span = self.spans.get(position_side)
        if span is None:
            return
        span.held = after
        if role is not None:
            span.own += change
        else:
            span.manual_quantity += max(ZERO, abs(after) - abs(before)) * fill.price

    def external(self) -> dict[PositionSide, PositionSpan]:
        """Positions without any part of the bot's."""
        return {position_side: span for position_side, span in self.spans.items() if not span.is_ours}

    def manual_quantity(self) -> Decimal:
        """Manually added notional of current positions, in the quote asset."""
        return sum((each.manual_quantity for each in self.spans.values()), ZERO)

    def _check(self, fill: Fill, role: OrderRole, before: Decimal, after: Decimal, *, is_excused: bool) -> None:
        """Exits only reduce, entries only increase, nothing flips (I5).

        A manual trade may have turned the position around while an entry was in flight.
        """
        position_side, span = fill.position_side, self.spans.get(fill.position_side)
        is_reduced = before * after >= 0 and abs(after) < abs(before)
        if role is OrderRole.ENTRY and span is not None and span.manual_quantity:
            return
        if is_reduced is (role is OrderRole.ENTRY) and not is_excused:
            self.mismatches.append(f"{fill.client_order_id} took {position_side} from {before} to {after}")
