"""What has changed in a book since a stream was shown it last (Diff. Book Depth Streams)."""

from collections.abc import Mapping
from decimal import Decimal

from src.exchange.wire import Body, render_levels
from src.sandbox.market import Levels, SymbolMarket

_LEVELS = 1_000
"""As many as a client can ask for by REST: it must find its own book there."""
_GONE = Decimal(0)


class BookChanges:
    """Of one stream: the book its listeners hold, from the moment somebody wanted it."""

    def __init__(self, market: SymbolMarket) -> None:
        self._market = market
        self._shown_id = market.update_id
        self._bids, self._asks = _book(market)

    def since_last(self, at: int) -> Body | None:
        """The next event; None where nothing has changed."""
        if self._market.update_id == self._shown_id:
            return None
        before, (bids, asks) = self._shown_id, _book(self._market)
        event: Body = {
            "e": "depthUpdate",
            "E": at,
            "T": self._market.quote.at,
            "s": self._market.instrument.symbol,
            "U": before + 1,
            "u": self._market.update_id,
            "pu": before,
            "b": render_levels(_changes(self._bids, bids)),
            "a": render_levels(_changes(self._asks, asks)),
        }
        self._shown_id, self._bids, self._asks = self._market.update_id, bids, asks
        return event


def _book(market: SymbolMarket) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    bids, asks = market.depth(_LEVELS)
    return dict(bids), dict(asks)


def _changes(before: Mapping[Decimal, Decimal], now: Mapping[Decimal, Decimal]) -> Levels:
    """Levels with their new quantity, and those that are gone with none."""
    changed = [(price, quantity) for price, quantity in now.items() if before.get(price) != quantity]
    return changed + [(price, _GONE) for price in before if price not in now]
