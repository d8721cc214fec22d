"""Internal events of the bot: responses, new settings, operator input, exchange health."""

from dataclasses import dataclass
from pathlib import Path

from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide
from src.domain.events import ExchangeEvent, MarketEvent, TaskDue
from src.domain.orders import OrderUpdate
from src.settings.config import InvalidSetting, Settings


@dataclass(frozen=True, slots=True)
class OrderResponse:
    """The exchange's response to one of our requests, as opposed to an event of the user data stream."""

    update: OrderUpdate


@dataclass(frozen=True, slots=True)
class ExchangeHealth:
    """Rate limit usage and clock offset of the exchange client."""

    weight_used: int = 0
    weight_limit: int = 0
    orders_used: int = 0
    has_entry_budget: bool = True
    """This minute's requests leave room for an entry besides what is reserved for protection."""
    blocked_until: int = 0
    is_banned: bool = False
    clock_offset_ms: int = 0
    """Exchange clock minus the bot's clock."""
    clock_drift_ms: int = 0
    """This computer's clock minus the bot's clock; not zero if it was set while the bot runs."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    settings: Settings
    command_id: int | None = None
    """Id of the operator command that requested it; None for a file that was edited by hand."""


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """The settings file was changed and is faulty: the settings in force stay."""

    faults: tuple[InvalidSetting, ...]


@dataclass(frozen=True, slots=True)
class ProcessStalled:
    """The process was suspended for ``duration_ms`` and has resumed."""

    duration_ms: int
    at: int


@dataclass(frozen=True, slots=True)
class ConsentTyped:
    """The risk terms with this fingerprint were confirmed in the terminal."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class HaltFileChanged:
    """The HALT file was created, touched or removed."""

    file: Path
    modified_at: int | None
    """Modification time of the file; None if it does not exist."""


@dataclass(frozen=True, slots=True)
class FileCommand:
    """A command of the command line, as a file that stays until the command is committed."""

    action: OperatorAction
    at: int
    file: Path
    symbol: str | None = None
    position_side: PositionSide | None = None


@dataclass(frozen=True, slots=True)
class DatabaseChecked:
    """The database was read from end to end; ``damage`` is what is wrong with it."""

    damage: str | None


OperatorInput = OperatorCommand | HaltFileChanged | FileCommand | ConsentTyped
InternalEvent = TaskDue | OperatorInput | SettingsChanged | SettingsRefused | ProcessStalled | DatabaseChecked
Fact = ExchangeEvent | OrderResponse | InternalEvent
"""Everything that changes the trader's state: all events but prices and liquidations."""
TraderEvent = MarketEvent | Fact
