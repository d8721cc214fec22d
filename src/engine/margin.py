"""Leverage brackets, maintenance margin and liquidation prices: formulas, no state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from src.domain.positions import Position

ZERO = Decimal(0)
MAX_LEVERAGE = 125
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Bracket:
    """A step of the leverage table (Notional and Leverage Brackets); steps are listed from the smallest cap up."""

    notional_cap: Decimal
    max_leverage: int
    maintenance_ratio: Decimal


Brackets = Sequence[Bracket]

_TABLE = (
    ("10000", 100, "0.005"),
    ("50000", 75, "0.0065"),
    ("250000", 50, "0.01"),
    ("1000000", 25, "0.02"),
    ("5000000", 10, "0.05"),
    ("20000000", 5, "0.1"),
    ("100000000", 1, "0.5"),
)
DEFAULT_BRACKETS: Brackets = tuple(Bracket(Decimal(cap), leverage, Decimal(ratio)) for cap, leverage, ratio in _TABLE)
"""For symbols nobody named brackets for."""


def bracket_of(brackets: Brackets, notional: Decimal) -> Bracket:
    """The step a position of this value stands on; the last one past every cap."""
    return next((bracket for bracket in brackets if notional <= bracket.notional_cap), brackets[-1])


def deductions(brackets: Brackets) -> list[Decimal]:
    """The auxiliary number ``cum`` of each step: what keeps the maintenance margin continuous at its floor."""
    sums = [ZERO]
    for lower, upper in pairwise(brackets):
        sums.append(sums[-1] + lower.notional_cap * (upper.maintenance_ratio - lower.maintenance_ratio))
    return sums


def maintenance_margin(brackets: Brackets, notional: Decimal) -> Decimal:
    """What a position of this value must keep: value × ratio − ``cum`` of its step."""
    ratio, deduction = _step(brackets, notional)
    return notional * ratio - deduction


def max_notional(brackets: Brackets, leverage: int) -> Decimal:
    """The largest position value a leverage allows."""
    return max((each.notional_cap for each in brackets if each.max_leverage >= leverage), default=ZERO)


def max_leverage(brackets: Brackets) -> int:
    return min(max(bracket.max_leverage for bracket in brackets), MAX_LEVERAGE)


def liquidation_price(legs: Iterable[Position], collateral: Decimal, brackets: Brackets, mark: Decimal) -> Decimal:
    """Where collateral and profit of one symbol's legs fall to their maintenance margin; 0 where no price does.

    Solves Σ q(p − entry) + collateral = Σ (|q|·p·ratio − cum). The step depends on the price and the price on the
    step, so it starts at the mark and repeats until the steps stay.
    """
    positions = tuple(legs)
    price = mark
    for _ in range(_ROUNDS):
        following = _crossing(positions, collateral, brackets, price)
        if following <= 0:
            return ZERO
        if following == price:
            break
        price = following
    return round_amount(price)


def _crossing(legs: Sequence[Position], collateral: Decimal, brackets: Brackets, price: Decimal) -> Decimal:
    numerator, denominator = -collateral, ZERO
    for leg in legs:
        ratio, deduction = _step(brackets, abs(leg.quantity) * price)
        numerator += leg.quantity * leg.entry_price - deduction
        denominator += leg.quantity - abs(leg.quantity) * ratio
    return numerator / denominator if denominator else ZERO


def _step(brackets: Brackets, notional: Decimal) -> tuple[Decimal, Decimal]:
    bracket = bracket_of(brackets, notional)
    return bracket.maintenance_ratio, deductions(brackets)[list(brackets).index(bracket)]


_AMOUNT_PRECISION = Decimal("0.00000001")


def round_amount(amount: Decimal) -> Decimal:
    """An amount as it enters the books: eight digits, half to even, everywhere the same.

    Only booked amounts are ever added to a wallet, so a wallet is the exact sum of its incomes. The rounding is
    named, because a library in the same thread may have changed the one of the decimal context.
    """
    return amount.quantize(_AMOUNT_PRECISION, ROUND_HALF_EVEN)


def next_id(last: int, at: int) -> int:
    """Rising with time, so that an engine started later never repeats a number of one before it."""
    return max(last + 1, at * 1000)


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees, and what the market charges a taker past the depth that is known.

    The rates are those User Commission Rate shows; an account with better ones hands them in.
    """

    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.0004")
    slippage: Decimal = Decimal("0.0005")
    """How much worse, relative to the last known level, each further level of the book is taken to be."""

    def rate(self, *, is_maker: bool) -> Decimal:
        return self.maker_rate if is_maker else self.taker_rate

    def commission(self, notional: Decimal, *, is_maker: bool) -> Decimal:
        """The fee of one fill in the quote asset, as it is booked."""
        return round_amount(notional * self.rate(is_maker=is_maker))
