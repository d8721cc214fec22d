"""Trading rules of a symbol: price and quantity steps, minimums and limits. Makes ``Price`` and ``Quantity``."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import NewType

Price = NewType("Price", Decimal)
"""A price that is a multiple of the instrument's tick."""

Quantity = NewType("Quantity", Decimal)
"""An unsigned quantity that is a multiple of the instrument's step."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """The trading rules of one symbol (Exchange Information, Filters), in the quote asset or in contracts."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick: Decimal
    min_price: Decimal
    max_price: Decimal
    step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    market_step: Decimal
    market_min_quantity: Decimal
    market_max_quantity: Decimal
    min_notional: Decimal
    multiplier_up: Decimal
    """A limit BUY may not be above mark price × this (PERCENT_PRICE)."""
    multiplier_down: Decimal
    """A limit SELL may not be below mark price × this (PERCENT_PRICE)."""
    price_precision: int
    quantity_precision: int
    trigger_protect: Decimal
    """Largest relative gap between mark and contract price at which a price-protected stop still triggers."""
    market_take_bound: Decimal
    """Largest relative distance from the mark price at which a market order may fill."""
    liquidation_fee: Decimal
    max_orders: int
    max_conditional_orders: int
    status: str = "TRADING"

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"

    def price(self, value: Decimal, rounding: str = ROUND_HALF_EVEN) -> Price:
        """Round to a valid price; ticks are counted from ``min_price`` (PRICE_FILTER)."""
        ticks = ((value - self.min_price) / self.tick).to_integral_value(rounding)
        return Price(_with_digits(self.min_price + ticks * self.tick, self.tick))

    def quantity(self, value: Decimal) -> Quantity:
        """Return the largest valid quantity not above ``value`` (LOT_SIZE); may be zero."""
        return Quantity(_floor(value, self.step))

    def market_quantity(self, value: Decimal) -> Quantity:
        """Return the largest quantity of a MARKET order not above ``value`` (MARKET_LOT_SIZE)."""
        return Quantity(min(_floor(value, self.market_step), self.market_max_quantity))

    def smallest_quantity(self, price: Decimal) -> Quantity:
        """Return the smallest quantity that passes LOT_SIZE and MIN_NOTIONAL at ``price``."""
        steps = (self.min_notional / price / self.step).to_integral_value(ROUND_CEILING)
        return Quantity(max(_with_digits(steps * self.step, self.step), self.min_quantity))


def _floor(value: Decimal, step: Decimal) -> Decimal:
    return _with_digits((value / step).to_integral_value(ROUND_DOWN) * step, step)


def _with_digits(value: Decimal, grid: Decimal) -> Decimal:
    """Return the same number with the digits of the step, never with an exponent."""
    exponent = grid.normalize().as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return value.quantize(Decimal(1).scaleb(-digits))
