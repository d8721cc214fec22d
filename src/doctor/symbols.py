"""Checks of each symbol's settings against the exchange's current filters and brackets. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from src.core.entries.risk import max_stop_pct, unplaceable_exits
from src.domain.checks import Check, failed, passed, warned
from src.domain.enums import PositionSide, Side, TradeSide
from src.domain.instrument import Instrument
from src.domain.positions import Position
from src.settings.config import GlobalSettings, SymbolSettings

Brackets = Sequence[tuple[int, Decimal]]
"""Max leverage and notional cap of each leverage bracket."""


@dataclass(frozen=True, slots=True)
class SymbolListing:
    """Data of a symbol at the exchange."""

    instrument: Instrument | None
    """None if the symbol is not listed."""
    price: Decimal | None
    """Mid price; None if the order book could not be read."""
    brackets: Brackets = ()
    """Empty if unavailable: reading them needs a key."""
    problem: str = ""
    """What its entry in the exchange's list lacks, if the bot's orders need it."""


def check_symbol(
    name: str, settings: SymbolSettings, limits: GlobalSettings, listing: SymbolListing
) -> tuple[Check, ...]:
    """Report everything that prevents trading the symbol as configured; one passed check if there is nothing."""
    instrument = listing.instrument
    if instrument is None and listing.problem:
        remedy = "check the symbol on the exchange's site, or remove it from the settings"
        return (failed(name, f"the exchange's list lacks trading rules of it ({listing.problem})", remedy),)
    if instrument is None:
        remedy = "correct the symbol's name, or remove it from the settings"
        return (failed(name, "not listed by the exchange", remedy),)
    if not instrument.is_trading:
        remedy = "wait, or remove it from the settings"
        return (failed(name, f"not trading at the exchange now ({instrument.status})", remedy),)
    price = listing.price
    found = (
        *_check_stop(name, settings),
        *_check_leverage(name, settings, listing.brackets),
        *_check_margin(name, settings, limits),
        *(_check_prices(name, settings, limits, instrument, price) if price else _no_price(name)),
    )
    return found or (passed(name, _summary(settings)),)


def _summary(settings: SymbolSettings) -> str:
    notional = settings.trade_value_usdt * settings.leverage
    return (
        f"entries of {notional:,.2f} USDT ({settings.trade_value_usdt:f} margin at {settings.leverage}x) are possible"
    )


def _check_prices(
    name: str, settings: SymbolSettings, limits: GlobalSettings, instrument: Instrument, price: Decimal
) -> Iterator[Check]:
    yield from _check_size(name, settings, limits, instrument, price)
    yield from _check_exits(name, settings, instrument, price)


def _check_exits(name: str, settings: SymbolSettings, instrument: Instrument, price: Decimal) -> Iterator[Check]:
    """Check that the exchange's price steps can express both exits of the entries that the settings allow."""
    sides = [side for side in Side if settings.trade_side in (TradeSide.OPPOSITE, side.value)]
    reasons: dict[str, None] = {}
    for side in sides:
        position = Position(name, PositionSide.BOTH, Decimal(side.sign), instrument.price(price))
        reasons |= dict.fromkeys(unplaceable_exits(settings, position, instrument))
    for reason in reasons:
        problem, _, remedy = reason.rpartition("; ")
        yield failed(name, f"{problem}: no entry is made", remedy)


def _no_price(name: str) -> Iterator[Check]:
    yield warned(name, "order size and exits not checked: its price could not be read", "try again in a minute")


def _check_stop(name: str, settings: SymbolSettings) -> Iterator[Check]:
    if not settings.stop_loss_enabled:
        yield warned(name, "no stop loss: only liquidation ends a losing position", "set stop_loss_enabled")
        return
    widest = max_stop_pct(settings.leverage)
    if settings.stop_loss_pct >= widest:
        message = (
            f"a stop {settings.stop_loss_pct:f} % away may lie beyond the liquidation price at {settings.leverage}x"
        )
        yield failed(name, message, f"set stop_loss_pct below {widest:.2f}, or a lower leverage")


def _check_leverage(name: str, settings: SymbolSettings, brackets: Brackets) -> Iterator[Check]:
    if not brackets:
        return
    highest = max(leverage for leverage, _ in brackets)
    if settings.leverage > highest:
        yield failed(name, f"the exchange allows {highest}x at most", f"set leverage to {highest} or less")
        return
    reach = max(cap for leverage, cap in brackets if leverage >= settings.leverage)
    notional = settings.max_position_usdt * settings.leverage
    if notional > reach:
        message = (
            f"at {settings.leverage}x the exchange allows positions of {reach:,.0f} USDT, the settings {notional:,.0f}"
        )
        yield warned(name, message, f"set max_position_usdt to {reach / settings.leverage:,.0f} or less")


def _check_margin(name: str, settings: SymbolSettings, limits: GlobalSettings) -> Iterator[Check]:
    margin = settings.trade_value_usdt
    caps = (
        ("max_position_usdt", settings.max_position_usdt),
        ("max_total_exposure_usdt", limits.max_total_exposure_usdt),
    )
    for setting, cap in caps:
        if margin > cap:
            message = f"one entry needs {margin:f} USDT margin, {setting} allows {cap:f}"
            yield failed(name, message, f"raise {setting}, or lower trade_value_usdt")


def _check_size(
    name: str, settings: SymbolSettings, limits: GlobalSettings, instrument: Instrument, price: Decimal
) -> Iterator[Check]:
    """Check the entry size; the bot raises an entry below the exchange's minimum to it if the limits allow."""
    smallest = instrument.smallest_quantity(price) * price
    notional = settings.trade_value_usdt * settings.leverage
    if notional >= smallest:
        return
    margin = smallest / settings.leverage
    message = f"the minimum order is {smallest:.2f} USDT, the settings give {notional:.2f}"
    if margin > min(settings.max_position_usdt, limits.max_total_exposure_usdt):
        remedy = f"set trade_value_usdt to {margin:.2f} or more and raise the limits accordingly"
        yield failed(name, f"{message}, and the limits allow no more", remedy)
    elif smallest > notional * limits.max_raise_factor:
        remedy = f"set trade_value_usdt to {margin:.2f} or more, or max_raise_factor higher"
        times = f"{smallest / notional:.1f} times as much, and max_raise_factor is {limits.max_raise_factor:f}"
        yield failed(name, f"{message}: {times}, so no entry is made", remedy)
    else:
        remedy = f"set trade_value_usdt to {margin:.2f} or more to choose the size yourself"
        yield warned(name, f"{message}: entries are raised to the minimum", remedy)
