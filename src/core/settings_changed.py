"""New settings, read and checked, on their way to the trader."""

from dataclasses import dataclass

from src.utils.config import Settings


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    settings: Settings
    command_id: int | None = None
    """The operator command that asked for it."""
