"""What trading costs, the digits money is booked with, and the numbers of what is booked."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

_BOOKED = Decimal("0.00000001")


def booked(amount: Decimal) -> Decimal:
    """An amount as it enters the books: eight digits, half to even, everywhere the same.

    Only booked amounts are ever added to a wallet, so a wallet is the exact sum of its incomes. The rounding is
    named, because a library in the same thread may have changed the one of the decimal context.
    """
    return amount.quantize(_BOOKED, ROUND_HALF_EVEN)


def next_number(last: int, at: int) -> int:
    """Rising with time, so that an engine started later never repeats a number of one before it."""
    return max(last + 1, at * 1000)


@dataclass(frozen=True, slots=True)
class Costs:
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
        return booked(notional * self.rate(is_maker=is_maker))
