"""Whether the exchange lets us in, door by door."""

from dataclasses import dataclass
from enum import StrEnum


class Door(StrEnum):
    """What the exchange may refuse apart from the rest."""

    QUESTIONS = "questions"
    ORDERS = "orders"
    PRIVATE_STREAM = "private_stream"


@dataclass(frozen=True, slots=True)
class AccessRefused:
    """Not a command was refused but we: key, permission, signature, nonce or clock."""

    code: int
    reason: str
    door: Door
    at: int


@dataclass(frozen=True, slots=True)
class AccessGranted:
    """A door that was refused lets us in again."""

    door: Door
    at: int
