"""The environment of a process: home directory, network, hosts and keys, from its variables and ``.env``."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from src.credentials.credentials import CREDENTIAL_NAMES, AnyCredentials, read_credentials
from src.credentials.env_file import read_env_file
from src.domain.enums import Network
from src.domain.errors import ConfigError
from src.settings.errors import SettingsError
from src.settings.fields import path_fault
from src.settings.file import read_document
from src.settings.global_settings import GlobalSettings
from src.settings.networks import Hosts, resolve_hosts
from src.utils.files import close_to_others

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000
SUPERVISED = "HUNTER_SUPERVISED"
"""Set by a launcher or service that restarts the bot on request (exit code 4)."""
WITHHELD_KEYS = "HUNTER_WITHHELD_KEYS"
"""Names of the credentials that the launcher has as variables and hands to the bot alone, separated by commas."""
_NAMES = (*CREDENTIAL_NAMES, "HOST", "PORT", "DB_PATH", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Environment:
    """Network, hosts, keys and files of this process."""

    home: Path
    network: Network
    base_url: str
    ws_url: str
    host: str
    port: int
    credentials: AnyCredentials | None
    """None without a key or wallet; then only paper trading is possible."""
    database: Path
    is_supervised: bool = False
    """A launcher runs this process and can restart the bot."""
    env_override_keys: frozenset[str] = frozenset()
    """Names of the credentials set as process variables; these override ``.env``."""
    warnings: tuple[str, ...] = field(default=())
    """Problems to show to the user that do not prevent a start."""

    @property
    def control_database(self) -> Path:
        """The dashboard's database, in the same folder as the bot's."""
        return self.database.parent / "control.db"

    @property
    def log_directory(self) -> Path:
        return self.database.parent / "logs"

    def make_private(self) -> None:
        """Close the folders of data and logs to other users of this machine, with the files in them.

        A folder that holds more than this program's files, as a ``db_path`` outside the home directory may name, keeps
        its permissions. The database is closed when it is opened: until then it may be another program's.
        """
        for folder in (self.database.parent, self.log_directory):
            if self.home in folder.parents:
                close_to_others(folder, except_for=self.database.name)

    @property
    def settings_file(self) -> Path:
        return self.home / "settings.json"


@dataclass(frozen=True, slots=True)
class _Variables:
    """Values of the known variables, and the names of those set in the process rather than in ``.env``."""

    values: Mapping[str, str]
    from_process: frozenset[str]


HOME_HELP = "directory of .env, settings.json and the data (default: HUNTER_HOME, else this directory)"
"""Help text of the option ``--home``, which `find_home` takes."""


def find_home(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Return the home directory: ``chosen`` (``--home``), else HUNTER_HOME, else the project. Raises ConfigError."""
    home = Path(chosen or os.environ.get("HUNTER_HOME") or PROJECT_ROOT).expanduser().resolve()
    if not home.is_dir():
        raise ConfigError(f"The home directory {home} does not exist: create it and put settings.json there.")
    return home


def load_environment(home: Path, variables: Mapping[str, str] | None = None) -> Environment:
    """Read ``.env`` in ``home`` and the process variables, which override it. Raises ConfigError with all faults."""
    environment, faults = read_environment(home, variables)
    if faults:
        raise ConfigError(*faults)
    return environment


def read_environment(home: Path, variables: Mapping[str, str] | None = None) -> tuple[Environment, tuple[str, ...]]:
    """Like `load_environment`, but return the valid part and all faults instead of raising.

    Both URLs are empty if the hosts are invalid.
    """
    process = os.environ if variables is None else variables
    faults: list[str] = []
    known = _collect_errors(faults, lambda: _read_variables(home / ".env", process)) or _read_variables(None, process)
    hosts = _collect_errors(faults, lambda: resolve_hosts(known.values))
    credentials = _collect_errors(faults, lambda: read_credentials(known.values, known.from_process))
    port = _collect_errors(faults, lambda: _port(known.values.get("PORT", str(DEFAULT_PORT))))
    host = _collect_errors(faults, lambda: _host(known.values.get("HOST", DEFAULT_HOST)))
    path = _collect_errors(faults, lambda: _database_variable(known.values.get("DB_PATH", "")))
    resolved = hosts or Hosts(Network.MAINNET, "", "")
    environment = Environment(
        home=home,
        network=resolved.network,
        base_url=resolved.base_url,
        ws_url=resolved.ws_url,
        host=host or DEFAULT_HOST,
        port=port or DEFAULT_PORT,
        credentials=credentials,
        database=home / (path or _default_database(resolved.network, home)),
        is_supervised=bool(process.get(SUPERVISED)),
        env_override_keys=(known.from_process | _withheld(process)) & frozenset(CREDENTIAL_NAMES),
        warnings=(*_file_warnings(home / ".env"), *_host_warnings(resolved)),
    )
    return environment, tuple(faults)


def _withheld(process: Mapping[str, str]) -> frozenset[str]:
    return frozenset(process.get(WITHHELD_KEYS, "").split(","))


def _collect_errors(faults: list[str], read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except ConfigError as error:
        faults.extend(error.messages)
        return None


def _read_variables(path: Path | None, process: Mapping[str, str]) -> _Variables:
    set_in_process = {name: process[name].strip() for name in _NAMES if process.get(name, "").strip()}
    file = read_env_file(path) if path else {}
    set_in_file = {name: text for name, text in file.items() if name in _NAMES and text}
    return _Variables({**set_in_file, **set_in_process}, frozenset(set_in_process))


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536:
        return int(text[:6])
    raise ConfigError(f'PORT must be a number from 1 to 65535, not "{text[:40]}".')


def _host(text: str) -> str:
    if all(char.isascii() and (char.isalnum() or char in ".:-_") for char in text):
        return text
    raise ConfigError(f'HOST must be a host name or an address of this machine like 127.0.0.1, not "{text[:60]}".')


def _database_variable(path: str) -> str:
    if fault := path_fault(path):
        raise ConfigError(f"DB_PATH {fault}.")
    return path


def _default_database(network: Network, home: Path) -> Path:
    """Return the default path of the database; the testnet has its own folder, so that records never mix."""
    database = Path(_database_in_settings(home))
    return database.parent / "testnet" / database.name if network is Network.TESTNET else database


def _database_in_settings(home: Path) -> str:
    """Return ``globals.db_path``, even of invalid settings: the dashboard needs its data to show the faults."""
    default = str(GlobalSettings.model_fields["db_path"].default)
    try:
        document = read_document(home / "settings.json")
    except SettingsError:
        return default
    part = document.get("globals") if isinstance(document, dict) else None
    path = part.get("db_path") if isinstance(part, dict) else None
    return path if isinstance(path, str) and path and path_fault(path) is None else default


def _file_warnings(path: Path) -> tuple[str, ...]:
    if os.name == "nt" or not path.exists() or not path.stat().st_mode & 0o077:
        return ()
    return (f"other users of this machine can read {path}, which may hold the key: chmod 600 {path}",)


def _host_warnings(hosts: Hosts) -> tuple[str, ...]:
    return tuple(f"{host} is not a host of Aster: it will see the API key" for host in hosts.unknown_hosts)
