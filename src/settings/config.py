"""The user's settings and this process's surroundings: the one door to ``settings.json`` and ``.env``."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_core import PydanticCustomError

from src.credentials.credentials import Credentials, WalletCredentials
from src.settings.environment import Environment, find_home, load_environment
from src.settings.errors import InvalidSetting, SettingsError, invalid_settings
from src.settings.fields import SettingsPart, format_value
from src.settings.file import drop_obsolete, keep_obsolete, read_document, write_document
from src.settings.global_settings import GlobalSettings
from src.settings.schema import new_symbol_defaults, settings_schema
from src.settings.symbol_settings import SymbolSettings

__all__ = [
    "Credentials",
    "Environment",
    "GlobalSettings",
    "InvalidSetting",
    "Settings",
    "SettingsError",
    "SymbolSettings",
    "WalletCredentials",
    "find_home",
    "load_environment",
    "load_settings",
    "new_symbol_defaults",
    "parse_settings",
    "save_settings",
    "settings_document",
    "settings_schema",
    "with_mode",
]


def _validate_symbol(name: str) -> str:
    """Names are upper case and made of letters, digits and underscores of any script (币安人生USDT exists)."""
    if not 2 <= len(name) <= 40 or not name.replace("_", "").isalnum() or unicodedata.normalize("NFC", name) != name:
        raise PydanticCustomError("symbol", "is not the name of a symbol: write it as the exchange does, like BTCUSDT")
    if name != name.upper():
        raise PydanticCustomError("symbol", "must be in capital letters: {right}", {"right": name.upper()})
    return name


class Settings(SettingsPart):
    """All of ``settings.json``, checked."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    globals_: GlobalSettings = Field(alias="globals")
    symbols: dict[Annotated[str, AfterValidator(_validate_symbol)], SymbolSettings]
    _obsolete: tuple[str, ...] = PrivateAttr(())

    @property
    def obsolete(self) -> tuple[str, ...]:
        """One sentence for each key of an older bot that the file holds and nothing here needs."""
        return self._obsolete


def parse_settings(document: object, source: str = "settings.json") -> Settings:
    """Check a whole settings document. Raises `SettingsError` with every fault at once."""
    if not isinstance(document, Mapping):
        raise SettingsError(source, [InvalidSetting("", f"must be an object in braces, not {format_value(document)}")])
    kept, obsolete = drop_obsolete(document)
    try:
        settings = Settings.model_validate(kept, by_name=False, by_alias=True)
    except ValidationError as error:
        raise SettingsError(source, invalid_settings(error)) from error
    settings._obsolete = obsolete
    return settings


def load_settings(path: Path) -> Settings:
    """Read and check a settings file. Raises `SettingsError`, a ConfigError, with every fault at once."""
    return parse_settings(read_document(path), path.name)


def with_mode(settings: Settings, *, is_simulated: bool) -> Settings:
    """The same settings for paper, or for real orders."""
    document = settings_document(settings)
    return parse_settings({**document, "globals": {**document["globals"], "simulate_only": is_simulated}})


def settings_document(settings: Settings) -> dict[str, dict[str, object]]:
    """What the file would hold: the values that were chosen, defaults left out."""
    return settings.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


def save_settings(path: Path, settings: Settings) -> None:
    """Write the settings in one step and keep the obsolete keys the file holds. Raises OSError.

    A file too broken to be read is kept beside the new one, as ``settings.json.broken``.
    """
    document = settings_document(settings)
    try:
        document = keep_obsolete(read_document(path), document) if path.exists() else document
    except SettingsError:
        path.replace(path.with_name(f"{path.name}.broken"))
    write_document(path, document)
