"""Where the stop loss and the take profit of a position are, and whether the price steps can express them. Pure."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.enums import OrderRole
from src.domain.instrument import Instrument, Price
from src.domain.numbers import PER_CENT, trimmed
from src.domain.positions import Position
from src.settings.symbol_settings import SymbolSettings

_PCT_STEP = Decimal("0.0001")
"""Precision of a suggested distance."""


def protection_prices(
    position: Position, settings: SymbolSettings, instrument: Instrument
) -> dict[OrderRole, Price | None]:
    """Trigger prices relative to the average entry price; None for a role that is disabled.

    The stop is rounded toward the entry, so that the loss never exceeds the configured percentage.
    """
    sign, entry = position.side.sign, position.entry_price
    stop = entry * (1 - sign * settings.stop_loss_pct / PER_CENT)
    take = entry * (1 + sign * settings.take_profit_pct / PER_CENT)
    toward_entry = ROUND_CEILING if sign > 0 else ROUND_FLOOR
    return {
        OrderRole.STOP_LOSS: instrument.price(stop, toward_entry) if settings.stop_loss_enabled else None,
        OrderRole.TAKE_PROFIT: instrument.price(take) if settings.take_profit_enabled else None,
    }


def unplaceable_exits(settings: SymbolSettings, position: Position, instrument: Instrument) -> Iterator[str]:
    """A sentence with its remedy for each exit that cannot be placed, because the price steps are too coarse.

    Rounded to the instrument's tick, such an exit would be at the entry price, on its wrong side, or at no valid price.
    """
    sign, entry = position.side.sign, position.entry_price
    prices = protection_prices(position, settings, instrument)
    for role, direction in ((OrderRole.STOP_LOSS, -sign), (OrderRole.TAKE_PROFIT, sign)):
        price, name = prices[role], f"{role.value.lower()}_pct"
        if price is None:
            continue
        distance = f"{name} {trimmed(getattr(settings, name))}"
        if (price - entry) * direction <= 0:
            step = f"one price step is {trimmed(instrument.tick)} at an entry price of {trimmed(entry)}"
            smallest = trimmed(_smallest_pct(role, settings, position, instrument))
            yield f"{distance} is too close: {step}; set it to {smallest} or more"
        elif not instrument.min_price <= price <= instrument.max_price:
            limits = f"{trimmed(instrument.min_price)} to {trimmed(instrument.max_price)}"
            yield f"{distance} leads to {trimmed(price)}, and the exchange allows {limits}; set it lower"


def _smallest_pct(role: OrderRole, settings: SymbolSettings, position: Position, instrument: Instrument) -> Decimal:
    """The smallest distance, to four places, at which the exit is at least one tick from the entry price."""
    is_stop = role is OrderRole.STOP_LOSS  # rounded toward the entry; a take profit to the nearest tick
    ticks = instrument.tick if is_stop else instrument.tick / 2
    smallest = (ticks / position.entry_price * PER_CENT).quantize(_PCT_STEP, ROUND_CEILING)
    with_smallest = settings.model_copy(update={f"{role.value.lower()}_pct": smallest})
    is_tie = protection_prices(position, with_smallest, instrument)[role] == position.entry_price
    return smallest + _PCT_STEP if is_tie else smallest
