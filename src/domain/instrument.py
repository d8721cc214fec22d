"""What may be traded and on which grid; the only maker of Price and Quantity."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import NewType

Price = NewType("Price", Decimal)
"""A price on its instrument's tick grid."""

Quantity = NewType("Quantity", Decimal)
"""An unsigned quantity on its instrument's step grid."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol's trading rules (Exchange Information, Filters). All values in the quote asset or in contracts."""

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
    """A limit BUY may not be dearer than mark × this (PERCENT_PRICE)."""
    multiplier_down: Decimal
    """A limit SELL may not be cheaper than mark × this (PERCENT_PRICE)."""
    price_precision: int
    quantity_precision: int
    trigger_protect: Decimal
    """Largest relative gap of mark and contract price at which a price-protected stop still fires."""
    market_take_bound: Decimal
    """Largest relative distance from the mark at which a market order may fill."""
    liquidation_fee: Decimal
    max_orders: int
    max_conditional_orders: int
    status: str = "TRADING"

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"

    def price(self, value: Decimal, rounding: str = ROUND_HALF_EVEN) -> Price:
        """The grid price next to ``value``; the grid starts at ``min_price`` (PRICE_FILTER)."""
        ticks = ((value - self.min_price) / self.tick).to_integral_value(rounding)
        return Price(_plain(self.min_price + ticks * self.tick, self.tick))

    def quantity(self, value: Decimal) -> Quantity:
        """The largest grid quantity not above ``value`` (LOT_SIZE); may be zero."""
        return Quantity(_floor(value, self.step))

    def market_quantity(self, value: Decimal) -> Quantity:
        """The largest quantity not above ``value`` that a MARKET order may carry (MARKET_LOT_SIZE)."""
        return Quantity(min(_floor(value, self.market_step), self.market_max_quantity))

    def smallest_quantity(self, price: Decimal) -> Quantity:
        """The smallest quantity that passes LOT_SIZE and MIN_NOTIONAL at ``price``."""
        steps = (self.min_notional / price / self.step).to_integral_value(ROUND_CEILING)
        return Quantity(max(_plain(steps * self.step, self.step), self.min_quantity))


def _floor(value: Decimal, step: Decimal) -> Decimal:
    return _plain((value / step).to_integral_value(ROUND_DOWN) * step, step)


def _plain(value: Decimal, grid: Decimal) -> Decimal:
    """The same number written with the grid's digits, never with an exponent."""
    exponent = grid.normalize().as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return value.quantize(Decimal(1).scaleb(-digits))
