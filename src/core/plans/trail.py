"""A slot followed through its trades: whose each of its positions was, and who traded in those of ours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import PositionSide
from src.domain.orders import Fill

ZERO = Decimal(0)


class Owner(StrEnum):
    """Whose order a trade was of."""

    ENTRY = "entry"
    EXIT = "exit"
    OTHER = "other"
    """Known by its name to be somebody else's."""
    UNNAMED = "unnamed"
    """None of ours has its number; what it was called nobody has told."""
    UNKNOWN = "unknown"
    """It may be one of ours whose number is not known yet."""


_OTHERS = (Owner.OTHER, Owner.UNNAMED)


@dataclass(frozen=True, slots=True)
class Trade:
    fill: Fill
    owner: Owner

    @property
    def change(self) -> Decimal:
        return self.fill.side.sign * self.fill.quantity


@dataclass(frozen=True, slots=True)
class Trail:
    """Where the trades lead."""

    by_hand: tuple[Fill, ...]
    """Trades of other people in positions of ours: their profit and their fees are those positions'."""
    began: Trade | None
    """With which the position of now began; None where it is the one that was known as ours."""
    is_ours: bool
    """The position of now is ours."""
    entry: Trade | None
    """The newest trade of an entry of ours."""
    is_clear: bool
    """Every trade has an owner, and did what such an order does: the list and the quantity fit together."""


def follow(trades: Sequence[Trade], held_now: Decimal) -> Trail:
    """``trades`` begin with or within a position of ours, and are all there were until ``held_now`` was held."""
    held = held_now - sum((each.change for each in trades), ZERO)
    by_hand: list[Fill] = []
    began: Trade | None = None
    entry: Trade | None = None
    is_ours = is_clear = True
    for number, trade in enumerate(trades):
        before, held = held, held + trade.change
        is_clear &= _is_possible(trade, before, held)
        entry = trade if trade.owner is Owner.ENTRY else entry
        if is_ours and trade.owner in _OTHERS and (before or not number):
            by_hand.append(trade.fill)
        if (number and not before) or before * held < 0:
            began, is_ours = trade, trade.owner is Owner.ENTRY
        elif trade.owner is Owner.ENTRY:
            is_ours = True  # we have joined it: it is protected whole
    return Trail(tuple(by_hand), began, is_ours, entry, is_clear)


def _is_possible(trade: Trade, before: Decimal, after: Decimal) -> bool:
    """Entries only enlarge, exits only reduce, and a slot of a side holds nothing of the other one (I5)."""
    is_reduced = before * after >= 0 and abs(after) < abs(before)
    match trade.fill.position_side:
        case PositionSide.LONG if before < 0 or after < 0:
            return False
        case PositionSide.SHORT if before > 0 or after > 0:
            return False
    match trade.owner:
        case Owner.ENTRY:
            return before * trade.change >= 0
        case Owner.EXIT:
            return is_reduced
        case Owner.UNKNOWN:
            return False
    return True
