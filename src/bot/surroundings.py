"""What a bot is started with: its files, its settings, its clock, and the word that ends it."""

import threading
from dataclasses import dataclass

from src.domain.clock import Clock
from src.exchange.connection import Timing
from src.utils.config import Environment, Settings

PRIVATE_TIMING = Timing(stale_after_ms=None)
"""A private stream is silent as long as nothing happens to the account."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Read and checked before the bot is made."""

    environment: Environment
    settings: Settings
    clock: Clock
    stop: threading.Event
    protect_only: bool
    began_at: int = 0
    """Before anything was read: what is saved later asks for a new process."""
    assume_yes: bool = False
    private_timing: Timing = PRIVATE_TIMING
