"""The launcher's view of a home directory: demo files, lock files, and the dashboard's address."""

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

_SANDBOX_FILES = (
    ".env",
    *(f"{database}{part}" for database in ("bot.db", "control.db") for part in ("", "-wal", "-shm")),
)
ENV_FILE_READER = "src.credentials.env_file"
"""The module that reads ``.env``; it needs a package, so another process imports it."""
SUPERVISED = "HUNTER_SUPERVISED"
"""Tells a child that it is started anew where it asks for that."""
MALLOC_ENV = {"MALLOC_ARENA_MAX": "2"}
"""The C library keeps freed memory apart for each of many threads that wait: with few such stores a dashboard that runs
for weeks stays as small as what it holds."""
PERSONAL_VARIABLES = ("API_KEY", "API_SECRET", "DB_PATH", "HUNTER_HOME")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the dashboard listens."""

    host: str
    port: int

    @property
    def browser_host(self) -> str:
        """The host as this machine reaches it; a wildcard is no address to open."""
        return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def url(self) -> str:
        host = self.browser_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def values_of_env_file(python: Path, root: Path, file: Path) -> dict[str, str]:
    """HOST and PORT as ``.env`` sets them, read as every program of ours reads it; an absent file sets none."""
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
    """HOST and PORT: the environment wins over ``.env``. Raises `LaunchError` for a port that is none."""
    host = environment.get("HOST") or env_file.get("HOST") or "127.0.0.1"
    port = environment.get("PORT") or env_file.get("PORT") or "5000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise LaunchError(f"PORT={port} is not a port: choose a number from 1 to 65535.")
    return Address(host, int(port))


def require_free_port(address: Address) -> None:
    """Raise `LaunchError` when the dashboard could not listen there."""
    busy = (
        f"Port {address.port} on {address.host} is busy, another program listens there: "
        f"choose another one, for example PORT={address.port % 65535 + 1} in the environment or in .env."
    )
    if _is_port_in_use(address):  # macOS would let us bind beside a program that listens on every address
        raise LaunchError(busy)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does; else TIME_WAIT counts
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LaunchError(busy) from error
            raise LaunchError(f"The dashboard cannot listen on {address.host} port {address.port}: {error}.") from error


def _is_port_in_use(address: Address) -> bool:
    try:
        socket.create_connection((address.browser_host, address.port), timeout=0.5).close()
    except OSError:
        return False
    return True


def prepare_demo(home: Path, settings: Path) -> None:
    """Make the demo's home: settings of its own when it has none, and nothing of an earlier sandbox.

    Its exchange was a process that is gone: keys, orders and books of it would only contradict the new one.
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
    """What every child gets: unbuffered UTF-8 output, our terminal's colours, and the address we checked."""
    ours = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        SUPERVISED: "1",
        "HOST": address.host,
        "PORT": str(address.port),
    }
    return {**MALLOC_ENV, **environment, **ours, **({"FORCE_COLOR": "1"} if is_coloured else {})}


def demo_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that leads to the user's account, files or network."""
    return {name: value for name, value in environment.items() if not _is_personal(name.upper())}


def _is_personal(name: str) -> bool:
    return name in PERSONAL_VARIABLES or name.startswith("ASTER_") or name.endswith("_PROXY")


if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock on a file; taken again only after every holder has let go or died."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")

    def fileno(self) -> int:
        """The descriptor; a child that inherits it (POSIX) holds the lock too."""
        return self._file.fileno()

    def acquire(self, timeout_ms: int, message: str) -> None:
        """Wait up to ``patience_ms`` for the lock; raises `LaunchError` with ``refusal`` after that."""
        deadline = time.monotonic_ns() + timeout_ms * 1_000_000
        while not self._try_lock():
            if time.monotonic_ns() >= deadline:
                raise LaunchError(message)
            time.sleep(0.05)

    def release(self) -> None:
        """Let go; on POSIX the lock stays with children that inherited it."""
        self._file.close()

    def _try_lock(self) -> bool:
        try:
            if sys.platform == "win32":
                msvcrt.locking(self.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
