"""Assets of the futures wallet: which ones are dollars, and what an amount of another one is worth."""

from collections.abc import Callable
from decimal import Decimal

DOLLAR_ASSETS = ("USDT", "USDC", "USD1", "USDF", "FDUSD", "BUSD", "USD")
"""Assets counted as one dollar each. Only symbols quoted in one of them are traded."""

MarkOf = Callable[[str], Decimal | None]
"""Returns the mark price of a symbol; None if it is unknown."""


def dollar_asset(symbol: str) -> str | None:
    """Return the dollar asset that a symbol is quoted and settled in; None if its name ends in none of them.

    What follows an underscore is the date of a delivery contract.
    """
    pair = symbol.partition("_")[0]
    fits = [asset for asset in DOLLAR_ASSETS if pair.endswith(asset) and pair != asset]
    return max(fits, key=len, default=None)


def dollar_value(asset: str, amount: Decimal, mark_of: MarkOf) -> Decimal | None:
    """Convert an amount to dollars by the mark price of its asset; None if no mark price is known.

    An amount of one asset is never read as an amount of another one.
    """
    if not amount or asset in DOLLAR_ASSETS:
        return amount
    marks = (mark_of(f"{asset}{dollar}") for dollar in DOLLAR_ASSETS)
    mark = next((each for each in marks if each), None)
    return None if mark is None else amount * mark
