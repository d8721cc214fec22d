"""Attributes the trades of a position key to the bot or to external orders, position by position. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import PositionSide
from src.domain.numbers import ZERO
from src.domain.orders import Fill


class Owner(StrEnum):
    """Which kind of order a trade belongs to."""

    ENTRY = "entry"
    EXIT = "exit"
    OTHER = "other"
    """An external order, identified by its client order id."""
    UNMATCHED = "unmatched"
    """No order of the bot has this order id, and the client order id is unknown."""
    UNRESOLVED = "unresolved"
    """Possibly an order of the bot without a known exchange order id."""


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
    """Result of attributing the trades of one position key."""

    manual: tuple[Fill, ...]
    """External trades within the bot's positions; their profit and fees count toward those positions."""
    opening_trade: AttributedTrade | None
    """First trade of the current position; None if it is still the position tracked before."""
    is_ours: bool
    """The current position is the bot's."""
    entry: AttributedTrade | None
    """The newest trade of one of the bot's entries."""
    is_consistent: bool
    """Every trade is attributed, and each had the effect its order type allows: list and quantity agree."""


def attribute_trades(trades: Sequence[AttributedTrade], held_now: Decimal) -> Attribution:
    """Follow ``trades``, which start in a position of the bot and lead to the quantity ``held_now``."""
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
            is_ours = True  # the bot has added to it, so the whole position is managed
    return Attribution(tuple(manual), opening_trade, is_ours, entry, is_consistent)


def _is_possible(trade: AttributedTrade, before: Decimal, after: Decimal) -> bool:
    """Entries only increase, exits only reduce, and a hedge-mode side never holds the opposite direction (I5)."""
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
