"""The market under a test's hand: it moves, liquidates, and so leads to entries and fills."""

import time
from contextlib import suppress
from decimal import Decimal

from src.domain.enums import OrderRole, Side
from tests.faults.bot_books import BotBooks
from tests.faults.exchange_books import SYMBOL, ExchangeBooks
from tests.faults.waiting import wait_until

D = Decimal
_ENTRY_WITHIN_SECONDS = 2.5
"""Longer than the slowest entry on a busy machine: a second liquidation would lead to a second entry."""


class MarketHand(ExchangeBooks, BotBooks):
    """Moves the market that the bot sees; what came of it stands in both books."""

    def hunt(self) -> str:
        """Longs are liquidated until an entry has reached the exchange; its client order id."""
        before = set(self.arrived(OrderRole.ENTRY))
        deadline = time.monotonic() + 10
        while not (new := set(self.arrived(OrderRole.ENTRY)) - before):
            assert time.monotonic() < deadline, f"no entry: {self.trading()} {self.verdicts()[-3:]}"
            self.move(self.middle)
            time.sleep(0.05)  # the quote shall be there before its liquidation
            self.liquidate()
            with suppress(AssertionError):
                wait_until(lambda: set(self.arrived(OrderRole.ENTRY)) - before, _ENTRY_WITHIN_SECONDS)
        return new.pop()

    def liquidate(self) -> None:
        self.exchange.liquidate(SYMBOL, Side.SELL, D("1.5"))

    def move(self, price: Decimal) -> None:
        """The book is around this price."""
        self.exchange.move(SYMBOL, price)

    def shift(self, pct: str) -> None:
        """Book and mark are so many per cent higher."""
        price = (self.middle * (1 + D(pct) / 100)).quantize(D(1))
        self.exchange.set_mark(SYMBOL, price)
        self.move(price)

    @property
    def middle(self) -> Decimal:
        with self.exchange.lock:
            return self.exchange.market[SYMBOL].quote.middle.quantize(D(1))

    def fill(self) -> None:
        """The market falls a little: resting entries fill."""
        self.shift("-0.1")
