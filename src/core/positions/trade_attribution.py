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
    UNMATCHED = "unmatched"
    """None of ours has its number; what it was called nobody has told."""
    UNRESOLVED = "unresolved"
    """It may be one of ours whose number is not known yet."""


_OTHERS = (Owner.OTHER, Owner.UNMATCHED)


@dataclass(frozen=True, slots=True)
class AttributedTrade:
    fill: Fill
    owner: Owner

    @property
    def signed_quantity(self) -> Decimal:
        return self.fill.side.sign * self.fill.quantity


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where the trades lead."""

    manual: tuple[Fill, ...]
    """Trades of other people in positions of ours: their profit and their fees are those positions'."""
    opening_trade: AttributedTrade | None
    """With which the position of now began; None where it is the one that was known as ours."""
    is_ours: bool
    """The position of now is ours."""
    entry: AttributedTrade | None
    """The newest trade of an entry of ours."""
    is_consistent: bool
    """Every trade has an owner, and did what such an order does: the list and the quantity fit together."""


def attribute_trades(trades: Sequence[AttributedTrade], held_now: Decimal) -> Attribution:
    """``trades`` begin with or within a position of ours, and are all there were until ``held_now`` was held."""
    held = held_now - sum((each.signed_quantity for each in trades), ZERO)
    manual: list[Fill] = []
    opening_trade: AttributedTrade | None = None
    entry: AttributedTrade | None = None
    is_ours = is_consistent = True
    for number, trade in enumerate(trades):
        before, held = held, held + trade.signed_quantity
        is_consistent &= _is_possible(trade, before, held)
        entry = trade if trade.owner is Owner.ENTRY else entry
        if is_ours and trade.owner in _OTHERS and (before or not number):
            manual.append(trade.fill)
        if (number and not before) or before * held < 0:
            opening_trade, is_ours = trade, trade.owner is Owner.ENTRY
        elif trade.owner is Owner.ENTRY:
            is_ours = True  # we have joined it: it is protected whole
    return Attribution(tuple(manual), opening_trade, is_ours, entry, is_consistent)


def _is_possible(trade: AttributedTrade, before: Decimal, after: Decimal) -> bool:
    """Entries only enlarge, exits only reduce, and a slot of a side holds nothing of the other one (I5)."""
    is_reduced = before * after >= 0 and abs(after) < abs(before)
    match trade.fill.position_side:
        case PositionSide.LONG if before < 0 or after < 0:
            return False
        case PositionSide.SHORT if before > 0 or after > 0:
            return False
    match trade.owner:
        case Owner.ENTRY:
            return before * trade.signed_quantity >= 0
        case Owner.EXIT:
            return is_reduced
        case Owner.UNRESOLVED:
            return False
    return True
