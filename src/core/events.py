"""Events that come from the bot itself: responses, new settings, the health of the exchange adapter."""

from dataclasses import dataclass
from pathlib import Path

from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.events import Event, TaskDue
from src.domain.orders import OrderUpdate
from src.settings.config import Settings


@dataclass(frozen=True, slots=True)
class OrderResponse:
    update: OrderUpdate


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    """What the exchange adapter knows of itself."""

    weight_used: int = 0
    weight_limit: int = 0
    orders_used: int = 0
    blocked_until: int = 0
    is_banned: bool = False
    clock_offset_ms: int = 0
    """The exchange's clock minus the one we count by."""
    clock_drift_ms: int = 0
    """This computer's clock minus the one we count by: it was set while we ran."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    settings: Settings
    command_id: int | None = None
    """The operator command that asked for it."""


@dataclass(frozen=True, slots=True)
class ProcessStalled:
    """The process has not run for so long, and runs again."""

    duration_ms: int
    at: int


@dataclass(frozen=True, slots=True)
class ConsentTyped:
    """A person at the terminal has agreed to the terms of this fingerprint."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class HaltFileChanged:
    """The HALT file was made, renewed or removed."""

    file: Path
    modified_at: int | None
    """When it was made or last touched; None where there is none."""


@dataclass(frozen=True, slots=True)
class FileCommand:
    """A wish of the command line. The file stays until what it asks for is committed."""

    action: OperatorAction
    at: int
    file: Path


OperatorInput = OperatorCommand | HaltFileChanged | FileCommand | ConsentTyped
InternalEvent = TaskDue | OperatorInput | SettingsChanged | ProcessStalled
TraderEvent = Event | OrderResponse | InternalEvent
