"""Trading rules of a symbol: price and quantity steps, minimums and limits. Makes ``Price`` and ``Quantity``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import NewType

Price = NewType("Price", Decimal)
"""A price that is a multiple of the instrument's tick."""

Quantity = NewType("Quantity", Decimal)
"""An unsigned quantity that is a multiple of the instrument's step."""


UNLISTED = "UNLISTED"
"""The status of a symbol that the exchange's list does not name any more."""

_STOPPED_STATUSES = frozenset(
    ["PENDING_TRADING", "PRE_SETTLE", "SETTLING", "PRE_DELIVERING", "DELIVERING", "DELIVERED", "CLOSE", "BREAK", "HALT"]
)
"""Documented statuses of a symbol that is not traded (Public Endpoints Info, Contract status)."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """The trading rules of one symbol (Exchange Information, Filters), in the quote asset or in contracts.

    The bot itself does without the precisions, ``max_price``, ``trigger_protect``, ``liquidation_fee`` and the limits
    of orders: only paper trading and the dashboard use them.
    """

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

    @property
    def has_stopped(self) -> bool:
        """Whether the exchange says that it is not traded, so that positions must be closed (F37).

        An empty status or an unknown one does not say so: entries are refused, and positions stay protected.
        """
        return self.status in _STOPPED_STATUSES

    @property
    def is_listed(self) -> bool:
        return self.status != UNLISTED

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


@dataclass(frozen=True, slots=True)
class IncompleteInstrument:
    """A symbol in the exchange's list whose entry lacks a trading rule that the bot needs."""

    symbol: str
    problem: str
    status: str | None = None
    """Its trading status; None if that is unknown too."""


@dataclass(frozen=True, slots=True)
class InstrumentList:
    """The exchange's list of symbols."""

    instruments: dict[str, Instrument]
    incomplete: tuple[IncompleteInstrument, ...] = ()


def complete_instruments(
    fresh: Iterable[Instrument], incomplete: Iterable[IncompleteInstrument], known: Mapping[str, Instrument]
) -> dict[str, Instrument]:
    """Return the instruments by symbol; what the exchange's list lacks is taken from the ones known before.

    A symbol that it does not name keeps its rules with the status ``UNLISTED``: positions stay protected by them.
    """
    found = {symbol: replace(each, status=UNLISTED) for symbol, each in known.items()}
    for gap in incomplete:
        if gap.symbol in known:
            before = known[gap.symbol]
            found[gap.symbol] = replace(before, status=gap.status or before.status)
    return {**found, **{each.symbol: each for each in fresh}}


def _floor(value: Decimal, step: Decimal) -> Decimal:
    return _with_digits((value / step).to_integral_value(ROUND_DOWN) * step, step)


def _with_digits(value: Decimal, grid: Decimal) -> Decimal:
    """Return the same number with the digits of the step, never with an exponent."""
    return value.quantize(Decimal(1).scaleb(-decimal_places(grid)))


def decimal_places(grid: Decimal) -> int:
    """Return the decimal places of a tick or step."""
    exponent = grid.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
