"""Whether a symbol can be traded as set, by the exchange's rules and the account. Pure.

The start of the bot, ``--check`` and the settings page use it; the gates of an entry follow the same rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.domain.checks import Check, failed, passed, warned
from src.domain.enums import MarginType, OrderRole, PositionSide, Side, TradeSide
from src.domain.instrument import Instrument
from src.domain.margin import (
    Backing,
    Brackets,
    StopBeyondLiquidation,
    max_leverage,
    max_notional,
    stop_beyond_liquidation,
)
from src.domain.numbers import trimmed
from src.domain.positions import Position
from src.settings.exits import protection_prices, unplaceable_exits
from src.settings.global_settings import GlobalSettings
from src.settings.symbol_settings import SymbolSettings

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class SymbolListing:
    """Data of a symbol at the exchange."""

    instrument: Instrument | None
    """None if the symbol is not listed."""
    price: Decimal | None
    """A current price; None if it is not known."""
    brackets: Brackets = ()
    """Empty if not known: reading them needs a key."""
    balance: Decimal | None = None
    """Wallet balance that backs the symbol, in the asset that it is margined in; None if it is not known."""
    collateral: Decimal | None = None
    """What backs crossed positions of the symbol (`crossed_collateral`); None if it is not known."""
    is_account_known: bool = False
    """What is missing then is missing to the bot too, which assumes the worst; else it is not known here only."""
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
        *_no_stop(name, settings),
        *(_check_stop(name, settings, listing, instrument, price) if price and settings.stop_loss_enabled else ()),
        *_check_leverage(name, settings, listing.brackets),
        *_check_margin(name, settings, limits),
        *_check_balance(name, settings, listing.balance, instrument.quote_asset),
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
    reasons: dict[str, None] = {}
    for side in _sides(settings):
        position = Position(name, PositionSide.BOTH, Decimal(side.sign), instrument.price(price))
        reasons |= dict.fromkeys(unplaceable_exits(settings, position, instrument))
    for reason in reasons:
        problem, _, remedy = reason.rpartition("; ")
        yield failed(name, f"{problem}: no entry is made", remedy)


def _sides(settings: SymbolSettings) -> list[Side]:
    return [side for side in Side if settings.trade_side in (TradeSide.OPPOSITE, side.value)]


def _no_price(name: str) -> Iterator[Check]:
    yield warned(name, "stop, order size and exits not checked: its price is not known", "try again in a minute")


def _no_stop(name: str, settings: SymbolSettings) -> Iterator[Check]:
    if not settings.stop_loss_enabled:
        yield warned(name, "no stop loss: only liquidation ends a losing position", "set stop_loss_enabled")


def _check_stop(
    name: str, settings: SymbolSettings, listing: SymbolListing, instrument: Instrument, price: Decimal
) -> Iterator[Check]:
    """Check that the stop triggers before the liquidation, after the first entry and at the largest position."""
    if listing.brackets and settings.leverage > max_leverage(listing.brackets):
        return  # refused for its leverage
    wanted = settings.trade_value_usdt * settings.leverage / price
    first = max(instrument.quantity(wanted), instrument.smallest_quantity(price))
    reach = max_notional(listing.brackets, settings.leverage)
    largest = instrument.quantity(min(settings.max_position_usdt * settings.leverage, reach) / price)
    too_late = _stop_fault(settings, listing, instrument, first)
    if too_late is not None and (too_late.backing.brackets or listing.is_account_known):
        yield failed(name, too_late.problem, too_late.remedy)
    elif too_late is not None:
        message = f"not checked whether its stop loss triggers before a liquidation: {too_late.backing.unknown}"
        yield warned(name, message, "nothing to do: the bot checks it before its first entry")
    elif too_late := _stop_fault(settings, listing, instrument, max(first, largest)):
        problem = f"at max_position_usdt {too_late.problem}: the position is not enlarged so far"
        yield warned(name, problem, f"{too_late.remedy}, or lower max_position_usdt")


def _stop_fault(
    settings: SymbolSettings, listing: SymbolListing, instrument: Instrument, quantity: Decimal
) -> StopBeyondLiquidation | None:
    """The fault of the stop of a position of this quantity, opened at the current price on a side that is allowed."""
    price = instrument.price(listing.price or Decimal(0))
    for side in _sides(settings):
        position = Position(instrument.symbol, PositionSide.BOTH, side.sign * quantity, price)
        stop = protection_prices(position, settings, instrument)[OrderRole.STOP_LOSS]
        fault = None if stop is None else stop_beyond_liquidation(position, stop, _backing(settings, listing, position))
        if fault is not None:
            return fault
    return None


def _backing(settings: SymbolSettings, listing: SymbolListing, position: Position) -> Backing:
    margin = abs(position.quantity) * position.entry_price / settings.leverage
    if settings.margin_type is MarginType.ISOLATED:
        return Backing(settings.leverage, settings.margin_type, listing.brackets, margin)
    if listing.collateral is None:
        return Backing(settings.leverage, settings.margin_type, (), margin, unknown="the wallet is not known")
    return Backing(settings.leverage, settings.margin_type, listing.brackets, listing.collateral)


def _check_leverage(name: str, settings: SymbolSettings, brackets: Brackets) -> Iterator[Check]:
    if not brackets:
        return
    highest = max_leverage(brackets)
    if settings.leverage > highest:
        yield failed(name, f"the exchange allows {highest}x at most", f"set leverage to {highest} or less")
        return
    reach = max_notional(brackets, settings.leverage)
    notional = settings.max_position_usdt * settings.leverage
    if notional > reach:
        message = (
            f"at {settings.leverage}x the exchange allows positions of {reach:,.0f} USDT, the settings {notional:,.0f}"
        )
        most = (reach / settings.leverage).quantize(_CENT, ROUND_FLOOR)
        yield warned(name, message, f"set max_position_usdt to {trimmed(most)} or less")


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


def _check_balance(name: str, settings: SymbolSettings, balance: Decimal | None, asset: str) -> Iterator[Check]:
    margin = settings.trade_value_usdt
    if balance is not None and balance < margin:
        message = f"one entry needs {margin:f} {asset} margin, and the wallet has {max(balance, Decimal(0)):.2f}"
        yield failed(name, message, f"transfer {asset} to the futures account, or lower trade_value_usdt")


def _check_size(
    name: str, settings: SymbolSettings, limits: GlobalSettings, instrument: Instrument, price: Decimal
) -> Iterator[Check]:
    """Check the entry size; the bot raises an entry below the exchange's minimum to it if the limits allow."""
    smallest = instrument.smallest_quantity(price) * price
    notional = settings.trade_value_usdt * settings.leverage
    if notional >= smallest:
        return
    margin = (smallest / settings.leverage).quantize(_CENT, ROUND_CEILING)  # rounded down it would still be too little
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
        times = f"{smallest / notional:.1f} times the size that is set"
        yield warned(name, f"{message}: entries are raised to the minimum, {times}", remedy)
