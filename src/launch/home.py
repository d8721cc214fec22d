"""The launcher's access to a home directory: demo files, lock files, and the dashboard's address."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from src.launch.errors import LaunchError
from src.utils.files import lock_exclusively

_SANDBOX_FILES = (
    ".env",
    *(f"{database}{part}" for database in ("bot.db", "control.db") for part in ("", "-wal", "-shm")),
)
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_AIRPLAY_PORTS = (5000, 7000)
ENV_FILE_READER = "src.credentials.env_file"
"""The module that reads ``.env``. It needs an installed package, so it runs in a child process."""
SUPERVISED = "HUNTER_SUPERVISED"
"""Set for a child process: the launcher restarts it on request."""
MALLOC_ENV = {"MALLOC_ARENA_MAX": "2"}
"""Limits glibc to two malloc arenas. With one arena per thread, freed memory piles up and a dashboard that runs for
weeks grows."""
CREDENTIAL_VARIABLES = (
    "API_KEY",
    "API_SECRET",
    "ASTER_USER_ADDRESS",
    "ASTER_SIGNER_PRIVATE_KEY",
    "ASTER_SIGNER_ADDRESS",
)
WITHHELD_KEYS = "HUNTER_WITHHELD_KEYS"
"""Names the keys that the bot has from its environment for the dashboard, see `without_keys`."""
PERSONAL_VARIABLES = ("API_KEY", "API_SECRET", "DB_PATH", "HUNTER_HOME")
"""Removed from the environment of the demo, together with ``ASTER_*`` and ``*_PROXY``."""


@dataclass(frozen=True, slots=True)
class Address:
    """Address of the dashboard."""

    host: str
    port: int

    @property
    def browser_host(self) -> str:
        """The host to connect to from this machine: the loopback address for a wildcard."""
        return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def listen_hosts(self) -> tuple[str, ...]:
        """The hosts to listen on: for a loopback name both loopback addresses that this machine has.

        Browsers take ``localhost`` for either, so no other program may have one of them.
        """
        if self.host not in _LOOPBACK_HOSTS:
            return (self.host,)
        return ("127.0.0.1", "::1") if _has_ipv6_loopback() else ("127.0.0.1",)

    def busy_message(self, host: str, platform: str = sys.platform) -> str:
        """The sentence for a port that another program has on this host."""
        usual = " (on a Mac usually AirPlay Receiver, which can be switched off in the system settings)"
        owner = usual if platform == "darwin" and self.port in _AIRPLAY_PORTS else ""
        return (
            f"Port {self.port} on {host} is in use by another program{owner}: "
            f"choose another one, for example PORT={self.port % 65535 + 1} in the environment or in .env."
        )

    @property
    def url(self) -> str:
        host = self.browser_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def read_host_and_port(python: Path, root: Path, file: Path) -> dict[str, str]:
    """HOST and PORT from ``.env``, read by `ENV_FILE_READER`; empty if the file is missing. Raises `LaunchError`."""
    if not file.exists():
        return {}
    command = [str(python), "-m", ENV_FILE_READER, str(file), "HOST", "PORT"]
    try:
        environment = os.environ | {"PYTHONUTF8": "1"}
        run = subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchError(f"{file} cannot be read: {error}.") from error
    if run.returncode:
        raise LaunchError(run.stderr.strip() or f"{file} cannot be read.")
    values: dict[str, str] = json.loads(run.stdout)
    return values


def dashboard_address(environment: Mapping[str, str], env_file: Mapping[str, str]) -> Address:
    """The address from HOST and PORT; the environment overrides ``.env``. Raises `LaunchError` for an invalid port."""
    host = environment.get("HOST") or env_file.get("HOST") or "127.0.0.1"
    port = environment.get("PORT") or env_file.get("PORT") or "5000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise LaunchError(f"PORT={port} is not a valid port: choose a number from 1 to 65535.")
    return Address(host, int(port))


def require_free_port(address: Address) -> None:
    """Raise `LaunchError` if the dashboard cannot listen on this address."""
    for host in address.listen_hosts:
        _require_free(address, host)


def _require_free(address: Address, host: str) -> None:
    busy = address.busy_message(host)
    if _is_port_in_use(Address(host, address.port)):  # macOS allows a bind next to a wildcard listener
        raise LaunchError(busy)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: ignore TIME_WAIT
        try:
            probe.bind((host, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LaunchError(busy) from error
            reason = error.strerror or str(error)
            raise LaunchError(
                f"The dashboard cannot listen on HOST={address.host} port {address.port} ({reason}): set "
                "HOST=127.0.0.1 in .env, and remove HOST from the environment if your shell sets it."
            ) from error


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _is_port_in_use(address: Address) -> bool:
    try:
        socket.create_connection((address.browser_host, address.port), timeout=0.5).close()
    except OSError:
        return False
    return True


def prepare_demo(home: Path, settings: Path) -> None:
    """Create the demo's home directory: keep or create its settings, delete all data of an earlier sandbox.

    Each sandbox is a new exchange: old keys, orders and positions do not exist on it. Raises `LaunchError`.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in _SANDBOX_FILES:
            (home / name).unlink(missing_ok=True)
        if not (home / "settings.json").exists():
            shutil.copyfile(settings, home / "settings.json.new")
            (home / "settings.json.new").replace(home / "settings.json")
    except OSError as error:
        raise LaunchError(f"The demo's directory {home} cannot be prepared: {error}.") from error


def child_environment(environment: Mapping[str, str], address: Address, *, is_coloured: bool) -> dict[str, str]:
    """Environment of a child process: unbuffered UTF-8 output, the terminal's colours and the dashboard's address."""
    ours = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        SUPERVISED: "1",
        "HOST": address.host,
        "PORT": str(address.port),
    }
    return {**MALLOC_ENV, **environment, **ours, **({"FORCE_COLOR": "1"} if is_coloured else {})}


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the keys, which only the bot needs, but with their names: they override ``.env``."""
    keys = [name for name in environment if name.upper() in CREDENTIAL_VARIABLES and environment[name].strip()]
    rest = {name: value for name, value in environment.items() if name.upper() not in CREDENTIAL_VARIABLES}
    return rest | ({WITHHELD_KEYS: ",".join(name.upper() for name in keys)} if keys else {})


def demo_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the user's credentials, paths and proxies."""
    return {name: value for name, value in environment.items() if not _is_personal(name.upper())}


def _is_personal(name: str) -> bool:
    return name in PERSONAL_VARIABLES or name.startswith("ASTER_") or name.endswith("_PROXY")


class FileLock:
    """An exclusive lock on a file; free again once all its holders have released it or died.

    Raises `LaunchError` if the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            raise LaunchError(
                f"{error.filename or path} cannot be opened for writing ({error.strerror}). If the program was once "
                f"started as another user, for example with sudo, make yourself the owner of {path.parent} and of all "
                "files in it, then start again."
            ) from error

    def fileno(self) -> int:
        """The file descriptor; on POSIX a child that inherits it holds the lock too."""
        return self._file.fileno()

    def acquire(self, timeout_ms: int, message: str) -> None:
        """Wait up to ``timeout_ms`` for the lock; after that raise `LaunchError` with ``message``."""
        deadline = time.monotonic_ns() + timeout_ms * 1_000_000
        while not self._try_lock():
            if time.monotonic_ns() >= deadline:
                raise LaunchError(message)
            time.sleep(0.05)

    def release(self) -> None:
        """Release our hold; on POSIX children that inherited the lock keep it."""
        self._file.close()

    def _try_lock(self) -> bool:
        try:
            lock_exclusively(self.fileno())
        except OSError:
            return False
        return True
