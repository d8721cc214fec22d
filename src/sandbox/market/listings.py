"""Symbols of the sandbox: real trading rules for a dozen, derived rules for any other."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from src.domain.instrument import Instrument
from src.domain.margin import Bracket

_FILE = Path(__file__).with_name("symbols.json")
_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "USD1", "BTC", "ETH", "BNB", "USD")
_MAX_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument and the parameters of its synthetic market."""

    instrument: Instrument
    brackets: tuple[Bracket, ...]
    start_price: Decimal
    spread_ticks: int
    depth_notional: Decimal
    """Value of the best level of the book, in the quote asset."""
    volatility: float
    """Relative standard deviation of the price over one second."""
    liquidation_median: float
    """Median size of one liquidation, in the quote asset."""

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def fits(self, price: Decimal) -> bool:
        """Return whether the tick size and price limits suit such a price."""
        return self.instrument.min_price * 100 <= price <= self.instrument.max_price


def load_listings() -> dict[str, Listing]:
    """Return the built-in listings by symbol."""
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    entries = [{**document["defaults"], **entry} for entry in document["symbols"]]
    return {entry["symbol"]: _listing(entry) for entry in entries}


def also_quoted_in(listings: Mapping[str, Listing], assets: Iterable[str]) -> dict[str, Listing]:
    """Return the listings, and each of them quoted in these assets as well, like BTCUSD1 beside BTCUSDT."""
    added = [_quoted_in(listing, asset) for asset in assets for listing in listings.values()]
    return {**listings, **{listing.symbol: listing for listing in added}}


def _quoted_in(listing: Listing, asset: str) -> Listing:
    symbol = f"{listing.instrument.base_asset}{asset}"
    return replace(listing, instrument=replace(listing.instrument, symbol=symbol, quote_asset=asset))


def derive_listing(symbol: str, prices: Iterable[Decimal], quantities: Iterable[Decimal]) -> Listing:
    """Build a listing for a recorded symbol; tick and step size follow from the decimal places seen.

    ``prices`` and ``quantities`` must not be empty.
    """
    recorded = tuple(prices)
    tick, step = min(_grid(recorded), _fine_grid(min(recorded))), _grid(quantities)
    entry = json.loads(_FILE.read_text(encoding="utf-8"))["defaults"] | {
        "symbol": symbol,
        "tick": tick,
        "min_price": tick,
        "max_price": (max(recorded) * 1000).quantize(Decimal(1)) + 1,
        "step": step,
        "max_quantity": step * 10**9,
        "market_max_quantity": step * 10**8,
        "price_band": "0.05",
        "trigger_protect": "0.1500",
        "market_take_bound": "0.05",
        "start_price": recorded[0],
        "spread_ticks": 1,
        "depth_notional": "10000",
        "volatility": 0.0001,
        "liquidation_median": 200,
        "quote_asset": _split(symbol)[1],
    }
    return _listing(entry)


def _listing(entry: Mapping[str, Any]) -> Listing:
    return Listing(
        instrument=_instrument(entry),
        brackets=tuple(Bracket(Decimal(cap), leverage, Decimal(ratio)) for cap, leverage, ratio in entry["brackets"]),
        start_price=Decimal(entry["start_price"]),
        spread_ticks=entry["spread_ticks"],
        depth_notional=Decimal(entry["depth_notional"]),
        volatility=entry["volatility"],
        liquidation_median=entry["liquidation_median"],
    )


def _instrument(entry: Mapping[str, Any]) -> Instrument:
    tick, step = Decimal(entry["tick"]), Decimal(entry["step"])
    band = Decimal(entry["price_band"])
    return Instrument(
        symbol=entry["symbol"],
        base_asset=_split(entry["symbol"])[0],
        quote_asset=entry["quote_asset"],
        tick=tick,
        min_price=Decimal(entry["min_price"]),
        max_price=Decimal(entry["max_price"]),
        step=step,
        min_quantity=step,
        max_quantity=Decimal(entry["max_quantity"]),
        market_step=step,
        market_min_quantity=step,
        market_max_quantity=Decimal(entry["market_max_quantity"]),
        min_notional=Decimal(entry["min_notional"]),
        multiplier_up=1 + band,
        multiplier_down=1 - band,
        price_precision=_digits(tick),
        quantity_precision=_digits(step),
        trigger_protect=Decimal(entry["trigger_protect"]),
        market_take_bound=Decimal(entry["market_take_bound"]),
        liquidation_fee=Decimal(entry["liquidation_fee"]),
        max_orders=entry["max_orders"],
        max_conditional_orders=entry["max_conditional_orders"],
    )


def _split(symbol: str) -> tuple[str, str]:
    """Split a symbol into base and quote asset; ``BTCUSDT_240628`` is a dated future of its pair."""
    pair = symbol.split("_")[0]
    for quote in _QUOTES:
        if pair.endswith(quote) and pair != quote:
            return pair.removesuffix(quote), quote
    return pair, "USDT"


def _grid(values: Iterable[Decimal]) -> Decimal:
    """Return the largest power of ten that divides every value, between 1e-8 and 1."""
    digits = max(_digits(value) for value in values)
    return Decimal(1).scaleb(-min(digits, _MAX_DIGITS))


def _fine_grid(price: Decimal) -> Decimal:
    """Return a tick size of at most 0.1 % of the price; rounded recordings would give a coarser one."""
    return max(Decimal(1).scaleb(price.adjusted() - 3), Decimal(1).scaleb(-_MAX_DIGITS))


def _digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
