"""What the bot may know of an exchange: three small protocols, and nothing of how they are served."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from src.credentials.credentials import AnyCredentials
from src.domain.checks import Check
from src.domain.commands import Command
from src.domain.events import Event, Outcome
from src.domain.instrument import Instrument
from src.domain.positions import Snapshot

EventSink = Callable[[Event], None]
"""Puts an event into the trader's inbox; safe from any thread."""


class Exchange(Protocol):
    """Where commands go. One call is one conversation with the exchange; safe from several threads."""

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Do it, and tell what came of it.

        Raises the errors of ``src.domain.errors``: ``Rejected`` and ``Unreachable`` where it did not happen,
        ``OutcomeUnknown`` where it may have. A ``TakeSnapshot`` that cannot be read whole raises.
        """
        ...

    def snapshot(self, reason: str) -> Snapshot:
        """Positions, open orders, balances and modes, read whole or not at all."""
        ...


class ListenKeys(Protocol):
    """The key to the private stream (User Data Streams)."""

    def create(self) -> str:
        """A key; the same one again while it lives."""
        ...

    def keep_alive(self) -> None:
        """Extend it by 60 minutes; ``Rejected`` with -1125 where it has ended."""
        ...

    def close(self) -> None: ...


class MarketReader(Protocol):
    """Public facts, read without a key."""

    def server_time(self) -> int: ...

    def instruments(self) -> dict[str, Instrument]: ...

    def klines(
        self, symbol: str, interval: str, limit: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        """Candles, oldest first: open time (ms), open, high, low, close, volume."""
        ...


class CredentialCheck(Protocol):
    """What the exchange says to credentials that are not in use yet; nothing is changed there, nothing is kept."""

    def check(self, credentials: AnyCredentials, *, hedge_mode: bool | None = None) -> Sequence[Check]:
        """One line each, none of which repeats a secret; ``hedge_mode`` is what the settings want."""
        ...
