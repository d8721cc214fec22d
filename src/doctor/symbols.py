"""Each symbol's settings against the exchange's rules of this moment. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from src.core.entries.risk import max_stop_pct
from src.domain.checks import Check, failed, passed, warned
from src.domain.instrument import Instrument
from src.settings.config import GlobalSettings, SymbolSettings

Brackets = Sequence[tuple[int, Decimal]]
"""The highest leverage of each step, and the position value it reaches to."""


@dataclass(frozen=True, slots=True)
class SymbolListing:
    """What the exchange says of a symbol."""

    instrument: Instrument | None
    """None where it does not list it."""
    price: Decimal | None
    """None where its book could not be read."""
    brackets: Brackets = ()
    """Empty where they could not be asked for: they need a key."""


def check_symbol(
    name: str, settings: SymbolSettings, limits: GlobalSettings, listing: SymbolListing
) -> tuple[Check, ...]:
    """Everything that keeps it from being traded as it is set; one line of praise where there is nothing."""
    instrument = listing.instrument
    if instrument is None:
        remedy = "correct its name as the exchange writes it, or remove it from the settings"
        return (failed(name, "the exchange does not list it", remedy),)
    if not instrument.is_trading:
        remedy = "wait, or remove it from the settings"
        return (failed(name, f"the exchange does not trade it now ({instrument.status})", remedy),)
    price = listing.price
    found = (
        *_check_stop(name, settings),
        *_check_leverage(name, settings, listing.brackets),
        *_check_margin(name, settings, limits),
        *(_check_size(name, settings, limits, instrument, price) if price else _no_price(name)),
    )
    return found or (passed(name, _summary(settings)),)


def _summary(settings: SymbolSettings) -> str:
    worth = settings.trade_value_usdt * settings.leverage
    return f"entries of {worth:,.2f} USDT ({settings.trade_value_usdt:f} margin at {settings.leverage}x) are possible"


def _no_price(name: str) -> Iterator[Check]:
    yield warned(name, "its price could not be read, so its sizes were not checked", "try again in a minute")


def _check_stop(name: str, settings: SymbolSettings) -> Iterator[Check]:
    if not settings.stop_loss_enabled:
        yield warned(name, "it has no stop loss: only the liquidation ends a losing position", "set stop_loss_enabled")
        return
    widest = max_stop_pct(settings.leverage)
    if settings.stop_loss_pct >= widest:
        sentence = (
            f"a stop {settings.stop_loss_pct:f} % away may lie beyond the liquidation price at {settings.leverage}x"
        )
        yield failed(name, sentence, f"set stop_loss_pct below {widest:.2f}, or a lower leverage")


def _check_leverage(name: str, settings: SymbolSettings, brackets: Brackets) -> Iterator[Check]:
    if not brackets:
        return
    highest = max(leverage for leverage, _ in brackets)
    if settings.leverage > highest:
        yield failed(name, f"the exchange allows {highest}x at most", f"set leverage to {highest} or less")
        return
    reach = max(cap for leverage, cap in brackets if leverage >= settings.leverage)
    wanted = settings.max_position_usdt * settings.leverage
    if wanted > reach:
        sentence = (
            f"at {settings.leverage}x a position may be worth {reach:,.0f} USDT, the settings allow {wanted:,.0f}"
        )
        yield warned(name, sentence, f"set max_position_usdt to {reach / settings.leverage:,.0f} or less")


def _check_margin(name: str, settings: SymbolSettings, limits: GlobalSettings) -> Iterator[Check]:
    wanted = settings.trade_value_usdt
    caps = (
        ("max_position_usdt", settings.max_position_usdt),
        ("max_total_exposure_usdt", limits.max_total_exposure_usdt),
    )
    for setting, cap in caps:
        if wanted > cap:
            sentence = f"one entry takes {wanted:f} USDT of margin, {setting} allows {cap:f}"
            yield failed(name, sentence, f"raise {setting}, or lower trade_value_usdt")


def _check_size(
    name: str, settings: SymbolSettings, limits: GlobalSettings, instrument: Instrument, price: Decimal
) -> Iterator[Check]:
    """Below the smallest order the bot raises an entry to it, where the caps allow."""
    smallest = instrument.smallest_quantity(price) * price
    wanted = settings.trade_value_usdt * settings.leverage
    if wanted >= smallest:
        return
    margin = smallest / settings.leverage
    sentence = f"the smallest order is worth {smallest:.2f} USDT, the settings make {wanted:.2f} of it"
    if margin > min(settings.max_position_usdt, limits.max_total_exposure_usdt):
        remedy = f"set trade_value_usdt to {margin:.2f} or more, and the largest margins with it"
        yield failed(name, f"{sentence}, and the caps do not allow more", remedy)
    else:
        remedy = f"set trade_value_usdt to {margin:.2f} or more if you want to choose the size yourself"
        yield warned(name, f"{sentence}: entries are raised to it", remedy)
