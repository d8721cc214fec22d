"""Ownership of each position by the exchange's trades: the truth that the bot's view is compared with."""

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
    is_ours: bool
    """An entry of the bot has opened or joined it."""
    is_opened_manually: bool
    manual_quantity: Decimal = ZERO
    """Manually added notional, in the quote asset."""


class Ownership:
    """Tracks ownership from every trade in order."""

    def __init__(self, position_sides: tuple[PositionSide, ...]) -> None:
        self._held = dict.fromkeys(position_sides, ZERO)
        self.spans: dict[PositionSide, PositionSpan] = {}
        self.ours: set[int] = set()
        """Trades of the bot, and external trades in its positions."""
        self.others: dict[int, Fill] = {}
        """External trades in external positions."""
        self.ended_at: dict[int, int] = {}
        """For each of these trades, when the bot's previous position of that side had closed."""
        self.mixed: set[PositionSide] = set()
        """Sides where an entry of the bot met an opposite external position (one-way mode), so that ownership of the
        resulting position is ambiguous."""
        self._ended_at = dict.fromkeys(position_sides, 0)
        self.mismatches: list[str] = []
        """Trades that no order of the bot may cause."""

    def record(self, fill: Fill, *, is_excused: bool) -> None:
        position_side, role = fill.position_side, role_of(fill.client_order_id)
        before = self._held[position_side]
        after = self._held[position_side] = before + fill.side.sign * fill.quantity
        if role is not None:
            self._check(fill, role, before, after, is_excused=is_excused)
        self._attribute(fill, role)
        if before * after <= 0:
            self._begin(fill, role, after)
            before = ZERO
        span = self.spans.get(position_side)
        if span is not None and role is OrderRole.ENTRY:
            self._join(position_side, span)
        elif span is not None and role is None:
            span.manual_quantity += max(ZERO, abs(after) - abs(before)) * fill.price

    def external(self) -> dict[PositionSide, PositionSpan]:
        """Positions without any entry of the bot."""
        return {
            position_side: span
            for position_side, span in self.spans.items()
            if not span.is_ours and position_side not in self.mixed
        }

    def manual_quantity(self) -> Decimal:
        """Manually added notional of current positions, in the quote asset."""
        return sum((each.manual_quantity for each in self.spans.values()), ZERO)

    def _check(self, fill: Fill, role: OrderRole, before: Decimal, after: Decimal, *, is_excused: bool) -> None:
        """Exits only reduce, entries only increase, nothing flips (I5).

        A manually flipped position may meet an entry that was already in flight.
        """
        position_side, span = fill.position_side, self.spans.get(fill.position_side)
        is_reduced = before * after >= 0 and abs(after) < abs(before)
        if role is OrderRole.ENTRY and before * fill.side.sign < 0 and span is not None and span.is_opened_manually:
            self.mixed.add(position_side)
        elif is_reduced is (role is OrderRole.ENTRY) and not is_excused:
            self.mismatches.append(f"{fill.client_order_id} took {position_side} from {before} to {after}")

    def _attribute(self, fill: Fill, role: OrderRole | None) -> None:
        span = self.spans.get(fill.position_side)
        if role is not None or (span is not None and span.is_ours):
            self.ours.add(fill.trade_id)
        else:
            self.others[fill.trade_id] = fill
            self.ended_at[fill.trade_id] = self._ended_at[fill.position_side]

    def _begin(self, fill: Fill, role: OrderRole | None, after: Decimal) -> None:
        """Note that the side is flat or holds a new position."""
        position_side = fill.position_side
        ended = self.spans.pop(position_side, None)
        if ended is not None and ended.is_ours:
            self._ended_at[position_side] = fill.traded_at
        if after:
            self.spans[position_side] = PositionSpan(
                fill.traded_at, role is OrderRole.ENTRY, is_opened_manually=role is None
            )

    def _join(self, position_side: PositionSide, span: PositionSpan) -> None:
        """The whole position is the bot's now; earlier trades in it may or may not be recorded."""
        span.is_ours = True
        for trade_id, fill in self.others.items():
            if fill.position_side is position_side and fill.traded_at >= span.started_at:
                self.ended_at[trade_id] = fill.traded_at
