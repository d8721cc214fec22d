"""Counts what the exchange said and the bot did not understand, and blocks entries while a price is missing for it."""

import logging

from src.core.context import TraderContext
from src.core.orders.unrecognized import UnrecognizedOrders
from src.core.trading_status import EntryBlock
from src.domain.events import Stream, UnreadableMessages
from src.domain.positions import PositionKey
from src.exchange.wire import UNKNOWN_EVENT

log = logging.getLogger("hunter.trader")

STATE_KEY = "unreadable_messages"
_READ_ACCOUNT_EVERY_MS = 10_000
_MAX_REPORTED = 20
_SOURCES = {
    Stream.MARKET: "a message of the market stream",
    Stream.USER: "a message of the user data stream",
    None: "a response of the exchange",
}


class UnreadableLog:
    """Reports each kind of problem once; the count is shown on the page.

    After a lost message of the user data stream the account is read, so that nothing it said stays unknown.
    """

    def __init__(self, context: TraderContext, unrecognized: UnrecognizedOrders) -> None:
        self._context = context
        self._unrecognized = unrecognized
        self._messages = 0
        self._last_problem: str | None = None
        self._last_at: int | None = None
        self._reported: set[tuple[Stream | None, str]] = set()
        self._published: dict[str, object] | None = None
        self._without_entry_price: set[PositionKey] = set()

    def on_messages(self, event: UnreadableMessages) -> None:
        """Count messages that could not be understood."""
        self._messages += event.count
        self._last_problem, self._last_at = f"{_SOURCES[event.stream]}: {event.problem}", event.at
        if event.problem.startswith(UNKNOWN_EVENT):
            return  # a kind of message that is no part of the bot's contract with the exchange
        kind = event.stream, event.problem.partition(":")[0]
        if kind not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(kind)
            self._context.warn(f"{_SOURCES[event.stream]} was not understood ({event.problem}){_remedy(event.stream)}")
        if event.stream is Stream.USER and self._context.may_request("unreadable message", _READ_ACCOUNT_EVERY_MS):
            self._context.request_snapshot("a message was not understood", repeat_if_pending=True, is_poll=True)

    def audit(self) -> None:
        """Called every second: publish the count, and check that the entry price of each position is known."""
        self._check_entry_prices()
        count = self._messages + self._unrecognized.count
        state: dict[str, object] = {"count": count, "last_problem": self._last_problem, "last_at": self._last_at}
        if state != self._published:
            self._published = state
            self._context.store.set_state(STATE_KEY, state)

    def _check_entry_prices(self) -> None:
        """Block entries while the exposure of a position is unknown, because its entry price is."""
        unknown = {each.key for each in self._context.portfolio.open_positions() if each.position.is_entry_unknown}
        names = ", ".join(f"{symbol} {side}" for symbol, side in sorted(unknown))
        reason = f"the exchange reports no entry price for {names}" if unknown else None
        self._context.trading_status.set_or_clear(EntryBlock.UNKNOWN_ENTRY_PRICE, reason)
        for symbol, side in sorted(unknown - self._without_entry_price):
            self._context.alert(
                f"the exchange reports no entry price above 0 for the position of {symbol} {side}: its result is not "
                "known, no new stop is computed from it, and entries are blocked. Check it on the exchange's site",
                symbol,
            )
        self._without_entry_price = unknown


def _remedy(stream: Stream | None) -> str:
    return ": the account is read instead" if stream is Stream.USER else ": it is left out"
