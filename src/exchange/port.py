"""Protocols through which the bot uses an exchange: real, paper or sandbox."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from src.credentials.credentials import AnyCredentials
from src.domain.checks import Check
from src.domain.commands import Command, OrderWrite
from src.domain.errors import ExchangeError, ProtocolError
from src.domain.events import Event, Outcome
from src.domain.instrument import Instrument
from src.domain.positions import Snapshot

EventSink = Callable[[Event], None]
"""Queues an event for the trader; thread-safe."""


Answer = Sequence[Outcome] | ExchangeError | ProtocolError
"""What came of one command: its outcomes, or the error that ``execute`` would raise."""


class Exchange(Protocol):
    """Executes commands; thread-safe."""

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Run a command and return its outcomes.

        Raises ``Rejected`` or ``Unreachable`` if it was not executed, ``OutcomeUnknown`` if it may have been
        (``src.domain.errors``). ``TakeSnapshot`` raises if any part cannot be read.
        """
        ...

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        """Run up to five submits, or up to ten cancels of one symbol, in one request; one answer for each, in order.

        An order that its ``before_send`` withholds is left out. Raises if the request as a whole was rejected or its
        answer was lost: that is the answer to each of them.
        """
        ...

    def snapshot(self, reason: str) -> Snapshot:
        """Read positions, open orders, balances and modes; raise if any part cannot be read."""
        ...


class ListenKeys(Protocol):
    """Manages the listen key of the user data stream (User Data Streams)."""

    def create(self) -> str:
        """Return a listen key; the same one while it is valid."""
        ...

    def keep_alive(self) -> None:
        """Extend the key by 60 minutes; raise ``Rejected`` -1125 if it has expired."""
        ...

    def close(self) -> None: ...


class MarketReader(Protocol):
    """Reads public market data; needs no API key."""

    def server_time(self) -> int: ...

    def instruments(self) -> dict[str, Instrument]:
        """Return the instruments by symbol, without those that lack a trading rule."""
        ...

    def klines(
        self, symbol: str, interval: str, limit: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        """Return candles, oldest first: open time (ms), open, high, low, close, volume."""
        ...


class CredentialCheck(Protocol):
    """Tests credentials at the exchange before they are used; changes nothing there and stores nothing."""

    def check(self, credentials: AnyCredentials, *, hedge_mode: bool | None = None) -> Sequence[Check]:
        """Return one result per check, none with a secret in it; ``hedge_mode`` is the mode in the settings."""
        ...


def answer_to(command: OrderWrite, execute: Callable[[OrderWrite], Sequence[Outcome]]) -> Answer:
    """Run one command by itself; an error becomes its answer."""
    try:
        return execute(command)
    except (ExchangeError, ProtocolError) as error:
        return error
