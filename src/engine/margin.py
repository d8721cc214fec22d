"""Brackets of symbols without their own, fees, rounding and ids of the engine: pure."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from src.domain.margin import Bracket, Brackets

_AMOUNT_PRECISION = Decimal("0.00000001")

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
