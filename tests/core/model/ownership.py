"""Whose each position is, by the exchange's own trades: the truth that the bot's verdict is held against."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import Fill
from tests.core.model.faulty_network import role_of

ZERO = Decimal(0)


@dataclass
class PositionSpan:
    """A position from the trade that opened it to the one that closes it or turns it round."""

    began_at: int
    is_ours: bool
    """An entry of ours has opened it, or joined it."""
    is_opened_manually: bool
    manual_quantity: Decimal = ZERO
    """What people have added to it, in the quote asset."""


class Ownership:
    """Sees each trade once, in the order in which they happened."""

    def __init__(self, position_sides: tuple[PositionSide, ...]) -> None:
        self._held = dict.fromkeys(position_sides, ZERO)
        self.spans: dict[PositionSide, PositionSpan] = {}
        self.ours: set[int] = set()
        """Trades of ours, and of other people in positions of ours."""
        self.others: dict[int, Fill] = {}
        """Trades of other people in positions of theirs."""
        self.ended_at: dict[int, int] = {}
        """Of each of those when the last position of ours had ended in its slot."""
        self.mixed: set[PositionSide] = set()
        """Slots in which an entry of ours has met a stranger's position that ran the other way (one-way mode): the
        trades of what came of it belong to nobody alone, and what follows there is in doubt."""
        self._ended_at = dict.fromkeys(position_sides, 0)
        self.mismatches: list[str] = []
        """Trades that no order of ours may ever lead to."""

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
        stay = self.spans.get(position_side)
        if stay is not None and role is OrderRole.ENTRY:
            self._join(position_side, stay)
        elif stay is not None and role is None:
            stay.manual_quantity += max(ZERO, abs(after) - abs(before)) * fill.price

    def external(self) -> dict[PositionSide, PositionSpan]:
        """Positions in which no entry of ours has a part."""
        return {
            position_side: stay
            for position_side, stay in self.spans.items()
            if not stay.is_ours and position_side not in self.mixed
        }

    def manual_quantity(self) -> Decimal:
        """What people have added to the positions of now, in the quote asset."""
        return sum((each.manual_quantity for each in self.spans.values()), ZERO)

    def _check(self, fill: Fill, role: OrderRole, before: Decimal, after: Decimal, *, is_excused: bool) -> None:
        """Exits only reduce, entries only enlarge, nothing flips (I5).

        What a person has turned the other way may meet an entry that was on its way before.
        """
        position_side, stay = fill.position_side, self.spans.get(fill.position_side)
        is_reduced = before * after >= 0 and abs(after) < abs(before)
        if role is OrderRole.ENTRY and before * fill.side.sign < 0 and stay is not None and stay.is_opened_manually:
            self.mixed.add(position_side)
        elif is_reduced is (role is OrderRole.ENTRY) and not is_excused:
            self.mismatches.append(f"{fill.client_order_id} took {position_side} from {before} to {after}")

    def _attribute(self, fill: Fill, role: OrderRole | None) -> None:
        stay = self.spans.get(fill.position_side)
        if role is not None or (stay is not None and stay.is_ours):
            self.ours.add(fill.trade_id)
        else:
            self.others[fill.trade_id] = fill
            self.ended_at[fill.trade_id] = self._ended_at[fill.position_side]

    def _begin(self, fill: Fill, role: OrderRole | None, after: Decimal) -> None:
        """The slot is flat, or what stands in it now is another position than before."""
        position_side = fill.position_side
        ended = self.spans.pop(position_side, None)
        if ended is not None and ended.is_ours:
            self._ended_at[position_side] = fill.traded_at
        if after:
            self.spans[position_side] = PositionSpan(
                fill.traded_at, role is OrderRole.ENTRY, is_opened_manually=role is None
            )

    def _join(self, position_side: PositionSide, stay: PositionSpan) -> None:
        """It is ours as a whole from now on; what was traded in it before may be told as its trades or not."""
        stay.is_ours = True
        for number, fill in self.others.items():
            if fill.position_side is position_side and fill.traded_at >= stay.began_at:
                self.ended_at[number] = fill.traded_at
