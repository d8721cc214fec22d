"""Leverage brackets, maintenance margin, liquidation prices, fees and rounding: pure formulas."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from src.domain.numbers import ZERO
from src.domain.positions import Position

MAX_LEVERAGE = 125
_MAX_ITERATIONS = 8
_AMOUNT_PRECISION = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Bracket:
    """One leverage bracket (Notional and Leverage Brackets); brackets are listed by increasing cap."""

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
"""Used for symbols without brackets of their own."""


def bracket_of(brackets: Brackets, notional: Decimal) -> Bracket:
    """Return the bracket of a notional; the last one above all caps."""
    return next((bracket for bracket in brackets if notional <= bracket.notional_cap), brackets[-1])


def deductions(brackets: Brackets) -> list[Decimal]:
    """Return ``cum`` of each bracket: the deduction that keeps the maintenance margin continuous between brackets."""
    sums = [ZERO]
    for lower, upper in pairwise(brackets):
        sums.append(sums[-1] + lower.notional_cap * (upper.maintenance_ratio - lower.maintenance_ratio))
    return sums


def maintenance_margin(brackets: Brackets, notional: Decimal) -> Decimal:
    """Return the maintenance margin of a notional: notional × ratio − ``cum`` of its bracket."""
    ratio, deduction = _ratio_and_deduction(brackets, notional)
    return notional * ratio - deduction


def max_notional(brackets: Brackets, leverage: int) -> Decimal:
    """Return the largest notional allowed at a leverage."""
    return max((each.notional_cap for each in brackets if each.max_leverage >= leverage), default=ZERO)


def max_leverage(brackets: Brackets) -> int:
    return min(max(bracket.max_leverage for bracket in brackets), MAX_LEVERAGE)


def liquidation_price(legs: Iterable[Position], collateral: Decimal, brackets: Brackets, mark: Decimal) -> Decimal:
    """Return the price at which collateral plus PnL of one symbol's legs equals their maintenance margin; 0 if none.

    Solves Σ q(p − entry) + collateral = Σ (|q|·p·ratio − cum). The bracket depends on the price and the price on the
    bracket, so the solution starts at the mark price and is repeated until the brackets no longer change.
    """
    positions = tuple(legs)
    price = mark
    for _ in range(_MAX_ITERATIONS):
        next_price = _solve_price(positions, collateral, brackets, price)
        if next_price <= 0:
            return ZERO
        if next_price == price:
            break
        price = next_price
    return round_amount(price)


def _solve_price(legs: Sequence[Position], collateral: Decimal, brackets: Brackets, price: Decimal) -> Decimal:
    numerator, denominator = -collateral, ZERO
    for leg in legs:
        ratio, deduction = _ratio_and_deduction(brackets, abs(leg.quantity) * price)
        numerator += leg.quantity * leg.entry_price - deduction
        denominator += leg.quantity - abs(leg.quantity) * ratio
    return numerator / denominator if denominator else ZERO


def _ratio_and_deduction(brackets: Brackets, notional: Decimal) -> tuple[Decimal, Decimal]:
    bracket = bracket_of(brackets, notional)
    return bracket.maintenance_ratio, deductions(brackets)[list(brackets).index(bracket)]


def round_amount(amount: Decimal) -> Decimal:
    """Round an amount to eight decimal places, half to even.

    Only rounded amounts are added to a wallet, so that a wallet is the exact sum of its incomes. The rounding mode is
    explicit because a library may have changed the one of the thread's decimal context.
    """
    return amount.quantize(_AMOUNT_PRECISION, ROUND_HALF_EVEN)


def next_id(last: int, at: int) -> int:
    """Return the next id; ids grow with time, so that an engine started later never reuses one."""
    return max(last + 1, at * 1000)


@dataclass(frozen=True, slots=True)
class Fees:
    """Commission rates, and the slippage of market orders beyond the known depth.

    The defaults are the documented ones of User Commission Rate.
    """

    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.0004")
    slippage: Decimal = Decimal("0.0005")
    """Price difference between synthetic levels behind the known book, relative to the last known price."""

    def rate(self, *, is_maker: bool) -> Decimal:
        return self.maker_rate if is_maker else self.taker_rate

    def commission(self, notional: Decimal, *, is_maker: bool) -> Decimal:
        """Return the rounded fee of one fill in the quote asset."""
        return round_amount(notional * self.rate(is_maker=is_maker))
