"""Checks of the user's configuration: ``.env``, ``settings.json``, file permissions, consent to live trading."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.core.limits.live_consent import CONSENT_STATE
from src.core.limits.risk_terms import risk_increases, terms_from_json, terms_from_settings
from src.domain.checks import Check, failed, passed, warned
from src.domain.enums import Network, mode_description
from src.settings.config import Environment, Settings, SettingsError, load_settings
from src.settings.environment import read_environment

_ENV, _SETTINGS, _MODE, _CONSENT = ".env", "settings", "mode", "consent"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration, or its valid part if there are errors."""

    environment: Environment
    settings: Settings | None
    checks: tuple[Check, ...]

    @property
    def is_simulated(self) -> bool:
        """True for paper trading, and while the settings cannot be read."""
        return self.settings is None or self.settings.globals_.simulate_only


def read_configuration(home: Path) -> Configuration:
    """Read both files and report every error in either, one check each."""
    environment, faults = read_environment(home)
    try:
        settings: Settings | None = load_settings(environment.settings_file)
        settings_checks = _settings_checks(settings) if settings else ()
    except SettingsError as error:
        settings = None
        settings_checks = tuple(failed(_SETTINGS, fault, "correct it in settings.json") for fault in error.messages)
    checks = (*_environment_checks(environment, faults), *settings_checks)
    return Configuration(environment, settings, (*checks, *_mode_checks(environment, settings, faults)))


def _environment_checks(environment: Environment, faults: tuple[str, ...]) -> Iterator[Check]:
    for fault in faults:
        message, _, remedy = fault.rstrip(".").partition(": ")
        yield failed(_ENV, message, remedy or "correct it in .env; see .env.example")
    for warning in environment.warnings:
        message, _, remedy = warning.partition(": ")
        yield warned(_ENV, message, remedy or "check that this is intended")
    if not faults and not environment.warnings:
        file = environment.home / ".env"
        yield passed(_ENV, f"{file} is valid" if file.exists() else "no .env file; paper trading needs none")


def _settings_checks(settings: Settings) -> tuple[Check, ...]:
    names = list(settings.symbols)
    if not names:
        return (failed(_SETTINGS, "no symbols are configured: nothing is traded", "add one on the settings page"),)
    obsolete = (warned(_SETTINGS, message, "you may remove it from settings.json") for message in settings.obsolete)
    adapted = (warned(_SETTINGS, message, "set it in settings.json as you want it") for message in settings.adapted)
    return (passed(_SETTINGS, f"{len(names)} symbols: {', '.join(names[:12])}"), *obsolete, *adapted)


def _mode_checks(environment: Environment, settings: Settings | None, faults: tuple[str, ...]) -> Iterator[Check]:
    if settings is None or faults:
        return
    is_simulated = settings.globals_.simulate_only
    mode = f"{mode_description(environment.network, is_simulated=is_simulated)} on {environment.network}"
    if is_simulated or environment.credentials is not None:
        yield passed(_MODE, mode)
    else:
        remedy = "run python main.py --setup, or set simulate_only to true"
        yield failed(_MODE, f"{mode}, but no API key or API wallet is set", remedy)


def check_consent(
    bot_state: Mapping[str, Mapping[str, Any]], environment: Environment, settings: Settings
) -> Iterator[Check]:
    """Check that live trading is confirmed for these settings. Paper trading and the sandbox need no confirmation.

    ``bot_state`` holds the state rows of the bot's database.
    """
    credentials = environment.credentials
    if settings.globals_.simulate_only or environment.network is Network.SANDBOX or credentials is None:
        return
    agreed = bot_state.get(CONSENT_STATE)
    current = terms_from_settings(settings, environment.network, credentials.label)
    increases = risk_increases(terms_from_json(agreed["terms"]) if agreed else None, current)
    if increases:
        remedy = "start the bot and confirm on the dashboard or in the terminal; a service needs --yes"
        yield failed(_CONSENT, f"live trading needs your confirmation ({'; '.join(increases)})", remedy)
    else:
        yield passed(_CONSENT, "live trading is confirmed for these settings")
