"""Funding: longs pay shorts where the rate is positive."""

from decimal import Decimal

from src.domain.market import MarkPrice
from src.engine.account import Holding
from src.engine.costs import booked
from src.engine.floor import Floor
from src.engine.matching import Book

ZERO = Decimal(0)


def is_due(book: Book, mark: MarkPrice) -> bool:
    """The funding instant that the mark before this one announced has come, and was not settled."""
    before = book.newest_mark
    return before is not None and book.funded_at < before.next_funding_at <= mark.at


def settle(floor: Floor, symbol: str, rate: Decimal, at: int) -> None:
    """Pay −quantity × mark × rate on every position of the symbol.

    An isolated position pays from its own margin and is told with it, a crossed one is not (Event: Balance and
    Position Update).
    """
    floor.book(symbol).funded_at = at
    for holding in tuple(floor.account.holdings_in(symbol)):
        amount = booked(-holding.position.quantity * floor.mark_price(symbol) * rate)
        floor.account.book(holding.asset, amount, "FUNDING_FEE", symbol, at)
        told = _charge_isolated(floor, holding, amount)
        floor.events.append(floor.account.told("FUNDING_FEE", holding.asset, at, *told, balance_change=amount))


def _charge_isolated(floor: Floor, holding: Holding, amount: Decimal) -> tuple[Holding, ...]:
    if not floor.account.is_isolated(holding.position.symbol):
        return ()
    holding.isolated_margin = max(ZERO, holding.isolated_margin + amount)
    return (holding,)
