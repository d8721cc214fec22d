"""The market under a test's hand: it moves, liquidates, and so leads to entries and fills."""

import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from src.domain.enums import OrderRole, Side
from tests.faults.views import SYMBOL, BotView, ExchangeView

D = Decimal
_ENTRY_WITHIN_SECONDS = 40
_JUDGED_WITHIN_SECONDS = _ARRIVES_WITHIN_SECONDS = 10
_PAUSE_SECONDS = 0.1
"""After a refusal: a signal at each turn of the processor would only be in the way."""
_PASSED = "every gate passed"


class MarketDriver(ExchangeView, BotView):
    """Moves the market that the bot sees; what came of it stands in both books."""

    def trigger_entry(self) -> str:
        """Longs are liquidated until an entry has reached the exchange; its client order id.

        The next signal waits until this one is judged, and where it led to an entry, for that: two would lead to two.
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
        """What a liquidation of now leads to, in the bot's words."""
        judged = len(self.verdicts())
        self.move(self.mid_price)
        self.liquidate()
        wait_until(lambda: len(self.verdicts()) > judged, _JUDGED_WITHIN_SECONDS, "a verdict")
        return self.verdicts()[-1]

    def wait_verdict(self, words: str, seconds: float = 10) -> None:
        """Liquidations come until one is judged in these words: on a busy machine a quote may have grown old first."""

        def is_said() -> bool:
            with suppress(AssertionError):  # not even heard yet
                return words in self.verdict()
            return False

        wait_until(is_said, seconds, f"a verdict that says {words!r}")

    def liquidate(self) -> None:
        self.exchange.liquidate(SYMBOL, Side.SELL, D("1.5"))

    def move(self, price: Decimal) -> None:
        """The book is around this price."""
        self.exchange.move(SYMBOL, price)

    def shift(self, pct: str) -> None:
        """Book and mark are so many per cent higher."""
        price = (self.mid_price * (1 + D(pct) / 100)).quantize(D(1))
        self.exchange.set_mark(SYMBOL, price)
        self.move(price)

    @property
    def mid_price(self) -> Decimal:
        with self.exchange.lock:
            return self.exchange.market[SYMBOL].quote.mid_price.quantize(D(1))

    def fill(self) -> None:
        """The market falls a little: resting entries fill."""
        self.shift("-0.1")


_POLL_SECONDS = 0.01


def wait_until(condition: Callable[[], object], seconds: float, description: str = "") -> None:
    """Look again and again until it holds; AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {description}"
        time.sleep(_POLL_SECONDS)
