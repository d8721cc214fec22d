"""What the user has written: ``.env`` and ``settings.json``, and who may read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from src.core.status import mode_of
from src.domain.checks import Check, failed, passed, warned
from src.utils.config import Environment, Settings, SettingsError, load_settings
from src.utils.environment import examine_environment

_ENV, _SETTINGS, _MODE = ".env", "settings", "mode"


@dataclass(frozen=True, slots=True)
class Home:
    """What could be read; with faults, the sound part of it."""

    environment: Environment
    settings: Settings | None
    checks: tuple[Check, ...]

    @property
    def is_simulated(self) -> bool:
        """While the settings cannot be read, nothing real is assumed to be wanted."""
        return self.settings is None or self.settings.globals_.simulate_only


def read_home(home: Path) -> Home:
    """Read both files; every fault of either is a line, and neither hides the other's."""
    environment, faults = examine_environment(home)
    try:
        settings: Settings | None = load_settings(environment.settings_file)
        of_settings = _sound(settings) if settings else ()
    except SettingsError as error:
        settings = None
        of_settings = tuple(failed(_SETTINGS, fault, "correct it in settings.json") for fault in error.faults)
    checks = (*_of_environment(environment, faults), *of_settings)
    return Home(environment, settings, (*checks, *_of_mode(environment, settings, faults)))


def _of_environment(environment: Environment, faults: tuple[str, ...]) -> Iterator[Check]:
    for fault in faults:
        sentence, _, remedy = fault.rstrip(".").partition(": ")
        yield failed(_ENV, sentence, remedy or "correct it in .env; .env.example shows how it is written")
    for warning in environment.warnings:
        sentence, _, remedy = warning.partition(": ")
        yield warned(_ENV, sentence, remedy or "make sure that this is what you want")
    if not faults and not environment.warnings:
        file = environment.home / ".env"
        yield passed(_ENV, f"{file} is in order" if file.exists() else "there is none, and paper needs none")


def _sound(settings: Settings) -> tuple[Check, ...]:
    names = list(settings.symbols)
    if not names:
        return (failed(_SETTINGS, "no symbol is set, so nothing is traded", "add one on the settings page"),)
    obsolete = (warned(_SETTINGS, sentence, "you may remove it from settings.json") for sentence in settings.obsolete)
    return (passed(_SETTINGS, f"{len(names)} symbols: {', '.join(names[:12])}"), *obsolete)


def _of_mode(environment: Environment, settings: Settings | None, faults: tuple[str, ...]) -> Iterator[Check]:
    if settings is None or faults:
        return
    is_simulated = settings.globals_.simulate_only
    mode = f"{mode_of(environment.network, is_simulated=is_simulated)} on {environment.network}"
    if is_simulated or environment.credentials is not None:
        yield passed(_MODE, mode)
    else:
        remedy = "run python main.py --setup, or set simulate_only to true"
        yield failed(_MODE, f"{mode}, but there is neither an API key nor an API wallet", remedy)
