"""The public interface of the settings: load, check and save ``settings.json``, read ``.env``."""

import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import PydanticCustomError

from src.credentials.credentials import Credentials, WalletCredentials
from src.domain.assets import DOLLAR_ASSETS, dollar_asset
from src.domain.numbers import plain
from src.settings.environment import HOME_HELP, Environment, find_home, load_environment
from src.settings.errors import InvalidSetting, SettingsError, broken_texts, invalid_settings
from src.settings.fields import SettingsPart, format_value
from src.settings.file import read_document, write_document
from src.settings.global_settings import GlobalSettings
from src.settings.older_files import adapt, keep_obsolete
from src.settings.schema import new_symbol_defaults, settings_schema
from src.settings.symbol_settings import SymbolSettings

__all__ = [
    "HOME_HELP",
    "Credentials",
    "Environment",
    "GlobalSettings",
    "InvalidSetting",
    "Settings",
    "SettingsError",
    "SymbolSettings",
    "WalletCredentials",
    "effective_settings",
    "find_home",
    "load_environment",
    "load_settings",
    "new_symbol_defaults",
    "parse_settings",
    "save_settings",
    "settings_awaiting_restart",
    "settings_document",
    "settings_schema",
    "settings_to_json",
    "with_defaults",
    "with_mode",
]


def _validate_symbol(name: str) -> str:
    """Accept upper-case letters, digits and underscores of any script (币安人生USDT is listed)."""
    if not 2 <= len(name) <= 40 or not name.replace("_", "").isalnum() or unicodedata.normalize("NFC", name) != name:
        raise PydanticCustomError("symbol", "is not a symbol name: write it as the exchange does, like BTCUSDT")
    if name != name.upper():
        raise PydanticCustomError(
            "symbol", "is there twice: keep one of {name} and {expected}", {"name": name, "expected": name.upper()}
        )
    if dollar_asset(name) is None:
        known = {"assets": ", ".join(DOLLAR_ASSETS)}
        raise PydanticCustomError(
            "symbol", "is not quoted in dollars: use a symbol that ends in one of {assets}", known
        )
    return name


class Settings(SettingsPart):
    """The validated content of ``settings.json``."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    globals_: GlobalSettings = Field(alias="globals")
    symbols: dict[Annotated[str, AfterValidator(_validate_symbol)], SymbolSettings]
    _obsolete: tuple[str, ...] = PrivateAttr(())
    _adapted: tuple[str, ...] = PrivateAttr(())

    @property
    def obsolete(self) -> tuple[str, ...]:
        """One sentence for each obsolete key of the older bot that the file holds."""
        return self._obsolete

    @property
    def adapted(self) -> tuple[str, ...]:
        """One sentence for each value of a file of the older bot that was changed or added."""
        return self._adapted


def parse_settings(document: object, source: str = "settings.json") -> Settings:
    """Validate a settings document. Raises `SettingsError` with all faults at once."""
    if not isinstance(document, Mapping):
        raise SettingsError(source, [InvalidSetting("", f"must be an object in braces, not {format_value(document)}")])
    if broken := tuple(broken_texts(document)):
        raise SettingsError(source, broken)
    file = adapt({name: value for name, value in document.items() if not _is_schema_reference(name, value)})
    try:
        settings = Settings.model_validate(file.document, by_name=False, by_alias=True)
    except ValidationError as error:
        raise SettingsError(source, invalid_settings(error)) from error
    settings._obsolete, settings._adapted = file.obsolete, file.adapted
    return settings


def _is_schema_reference(name: str, value: object) -> bool:
    """Whether this is the entry by which an editor finds ``settings.schema.json``."""
    return name == "$schema" and isinstance(value, str)


def load_settings(path: Path) -> Settings:
    """Read and validate a settings file. Raises `SettingsError`, a ConfigError, with all faults at once."""
    return parse_settings(read_document(path), path.name)


def with_mode(settings: Settings, *, is_simulated: bool) -> Settings:
    """Return the same settings with paper trading switched on or off."""
    document = settings_document(settings)
    return parse_settings({**document, "globals": {**document["globals"], "simulate_only": is_simulated}})


def with_defaults(settings: Settings) -> Settings:
    """Return the same settings with every default written out."""
    return Settings.model_validate(settings.model_dump(by_alias=True), by_name=False, by_alias=True)


def effective_settings(requested: Settings, running: Settings) -> Settings:
    """The requested settings, except that globals which need a restart keep their running values."""
    kept = {name: getattr(running.globals_, name) for name in settings_awaiting_restart(requested, running)}
    return requested.model_copy(update={"globals_": requested.globals_.model_copy(update=kept)})


def settings_awaiting_restart(requested: Settings, running: Settings) -> list[str]:
    """The names of the globals that differ and that a running bot cannot apply."""
    one, other = requested.globals_, running.globals_
    needing = filter(_needs_restart, GlobalSettings.model_fields)
    return [name for name in needing if getattr(one, name) != getattr(other, name)]


def _needs_restart(name: str) -> bool:
    extra = GlobalSettings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and extra.get("applies") == "after restart"


def settings_document(settings: Settings) -> dict[str, dict[str, object]]:
    """Return the settings as they are written to the file: without defaults."""
    return settings.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


def settings_to_json(settings: Settings) -> dict[str, dict[str, Any]]:
    """The settings document with decimals as plain digit strings."""
    document = settings_document(settings)
    symbols: Any = document["symbols"]
    return {
        "globals": _to_json(document["globals"]),
        "symbols": {symbol: _to_json(part) for symbol, part in symbols.items()},
    }


def _to_json(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in part.items()}


def save_settings(path: Path, settings: Settings) -> None:
    """Replace the settings file atomically; its obsolete keys and its ``$schema`` stay. Raises OSError.

    A file that cannot be parsed is kept as ``settings.json.broken``.
    """
    document: dict[str, Any] = settings_document(settings)
    try:
        earlier = read_document(path) if path.exists() else None
        document = keep_obsolete(earlier, document)
        if isinstance(earlier, dict):
            document = {name: earlier[name] for name in earlier if _is_schema_reference(name, earlier[name])} | document
    except SettingsError:
        path.replace(path.with_name(f"{path.name}.broken"))
    write_document(path, document)
