"""Drives the sandbox market: moves prices, liquidates, and so triggers entries and fills."""

import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from src.domain.enums import OrderRole, Side
from tests.faults.views import SYMBOL, BotView, ExchangeView

D = Decimal
_ENTRY_WITHIN_SECONDS = 40
_DECIDED_WITHIN_SECONDS = _ARRIVES_WITHIN_SECONDS = 10
_PAUSE_SECONDS = 0.1
"""Pause after a blocked signal."""
_PASSED = "every gate passed"


class MarketDriver(ExchangeView, BotView):
    """Moves the market; the results are in the records of exchange and bot."""

    def trigger_entry(self) -> str:
        """Liquidate longs until an entry has reached the exchange; returns its client order id.

        Each signal waits for the decision on the one before, and for its entry: two signals could place two entries.
        """
        before = set(self.received_orders(OrderRole.ENTRY))
        deadline = time.monotonic() + _ENTRY_WITHIN_SECONDS
        while not (new := set(self.received_orders(OrderRole.ENTRY)) - before):
            assert time.monotonic() < deadline, f"no entry: {self.trading_status()} {self.verdicts()[-3:]}"
            with suppress(AssertionError):
                if self.verdict() == _PASSED:
                    wait_until(lambda: set(self.received_orders(OrderRole.ENTRY)) - before, _ARRIVES_WITHIN_SECONDS)
                else:
                    time.sleep(_PAUSE_SECONDS)
        return new.pop()

    def verdict(self) -> str:
        """Send a liquidation; returns the reason of the bot's decision."""
        decided = len(self.verdicts())
        self.move(self.mid_price)
        self.liquidate()
        wait_until(lambda: len(self.verdicts()) > decided, _DECIDED_WITHIN_SECONDS, "a decision")
        return self.verdicts()[-1]

    def wait_verdict(self, text: str, seconds: float = 10) -> None:
        """Send liquidations until a decision contains this text: on a slow machine a quote may be stale first."""

        def has_text() -> bool:
            with suppress(AssertionError):  # no decision yet
                return text in self.verdict()
            return False

        wait_until(has_text, seconds, f"a decision with {text!r}")

    def liquidate(self) -> None:
        self.exchange.liquidate(SYMBOL, Side.SELL, D("1.5"))

    def move(self, price: Decimal) -> None:
        """Move the order book to this price."""
        self.exchange.move(SYMBOL, price)

    def shift(self, pct: str) -> None:
        """Move the order book and the mark price by this percentage."""
        price = (self.mid_price * (1 + D(pct) / 100)).quantize(D(1))
        self.exchange.set_mark(SYMBOL, price)
        self.move(price)

    @property
    def mid_price(self) -> Decimal:
        with self.exchange.lock:
            return self.exchange.market[SYMBOL].quote.mid_price.quantize(D(1))

    def fill(self) -> None:
        """Let the price fall a little, so that open entries fill."""
        self.shift("-0.1")


_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], seconds: float, description: str = "") -> None:
    """Poll until the condition holds; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {description}"
        time.sleep(_POLL_SECONDS)
