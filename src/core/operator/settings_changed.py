"""New settings, read and checked, on their way to the trader."""

from dataclasses import dataclass

from src.utils.config import GlobalSettings, Settings


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    settings: Settings
    command_id: int | None = None
    """The operator command that asked for it."""


def in_force(wanted: Settings, running: Settings) -> Settings:
    """The new settings, but what applies after a restart only stays as the bot was started with."""
    kept = {name: getattr(running.globals_, name) for name in AFTER_RESTART}
    return wanted.model_copy(update={"globals_": wanted.globals_.model_copy(update=kept)})


def _needs_restart(name: str) -> bool:
    extra = GlobalSettings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and extra.get("applies") == "after restart"


AFTER_RESTART = tuple(filter(_needs_restart, GlobalSettings.model_fields))
"""Fields of ``globals`` that the settings page marks so."""
