"""Whose each position is, by the exchange's own trades: the truth that the bot's verdict is held against."""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import Fill
from tests.core.model.network import role_of

ZERO = Decimal(0)


@dataclass
class Stay:
    """A position from the trade that opened it to the one that closes it or turns it round."""

    began_at: int
    is_ours: bool
    """An entry of ours has opened it, or joined it."""
    is_begun_by_hand: bool
    by_hand: Decimal = ZERO
    """What people have added to it, in the quote asset."""


class Owners:
    """Sees each trade once, in the order in which they happened."""

    def __init__(self, slots: tuple[PositionSide, ...]) -> None:
        self._held = dict.fromkeys(slots, ZERO)
        self.stays: dict[PositionSide, Stay] = {}
        self.ours: set[int] = set()
        """Trades of ours, and of other people in positions of ours."""
        self.others: dict[int, Fill] = {}
        """Trades of other people in positions of theirs."""
        self.ended_at: dict[int, int] = {}
        """Of each of those when the last position of ours had ended in its slot."""
        self.mixed: set[PositionSide] = set()
        """Slots in which an entry of ours has met a stranger's position that ran the other way (one-way mode): the
        trades of what came of it belong to nobody alone, and what follows there is in doubt."""
        self._ended_at = dict.fromkeys(slots, 0)
        self.wrong: list[str] = []
        """Trades that no order of ours may ever lead to."""

    def see(self, fill: Fill, *, is_excused: bool) -> None:
        slot, role = fill.position_side, role_of(fill.client_order_id)
        before = self._held[slot]
        after = self._held[slot] = before + fill.side.sign * fill.quantity
        if role is not None:
            self._judge(fill, role, before, after, is_excused=is_excused)
        self._attribute(fill, role)
        if before * after <= 0:
            self._begin(fill, role, after)
            before = ZERO
        stay = self.stays.get(slot)
        if stay is not None and role is OrderRole.ENTRY:
            self._join(slot, stay)
        elif stay is not None and role is None:
            stay.by_hand += max(ZERO, abs(after) - abs(before)) * fill.price

    def strangers(self) -> dict[PositionSide, Stay]:
        """Positions in which no entry of ours has a part."""
        return {slot: stay for slot, stay in self.stays.items() if not stay.is_ours and slot not in self.mixed}

    def by_hand(self) -> Decimal:
        """What people have added to the positions of now, in the quote asset."""
        return sum((each.by_hand for each in self.stays.values()), ZERO)

    def _judge(self, fill: Fill, role: OrderRole, before: Decimal, after: Decimal, *, is_excused: bool) -> None:
        """Exits only reduce, entries only enlarge, nothing flips (I5).

        What a person has turned the other way may meet an entry that was on its way before.
        """
        slot, stay = fill.position_side, self.stays.get(fill.position_side)
        is_reduced = before * after >= 0 and abs(after) < abs(before)
        if role is OrderRole.ENTRY and before * fill.side.sign < 0 and stay is not None and stay.is_begun_by_hand:
            self.mixed.add(slot)
        elif is_reduced is (role is OrderRole.ENTRY) and not is_excused:
            self.wrong.append(f"{fill.client_order_id} took {slot} from {before} to {after}")

    def _attribute(self, fill: Fill, role: OrderRole | None) -> None:
        stay = self.stays.get(fill.position_side)
        if role is not None or (stay is not None and stay.is_ours):
            self.ours.add(fill.trade_id)
        else:
            self.others[fill.trade_id] = fill
            self.ended_at[fill.trade_id] = self._ended_at[fill.position_side]

    def _begin(self, fill: Fill, role: OrderRole | None, after: Decimal) -> None:
        """The slot is flat, or what stands in it now is another position than before."""
        slot = fill.position_side
        ended = self.stays.pop(slot, None)
        if ended is not None and ended.is_ours:
            self._ended_at[slot] = fill.traded_at
        if after:
            self.stays[slot] = Stay(fill.traded_at, role is OrderRole.ENTRY, is_begun_by_hand=role is None)

    def _join(self, slot: PositionSide, stay: Stay) -> None:
        """It is ours as a whole from now on; what was traded in it before may be told as its trades or not."""
        stay.is_ours = True
        for number, fill in self.others.items():
            if fill.position_side is slot and fill.traded_at >= stay.began_at:
                self.ended_at[number] = fill.traded_at
