"""Prepares the environment, checks the preconditions, and runs the programs under a supervisor."""

import http.client
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.launch.console import Console, utf8_output
from src.launch.environment import ensure_venv
from src.launch.errors import LaunchError
from src.launch.home import (
    Address,
    FileLock,
    child_environment,
    dashboard_address,
    demo_environment,
    prepare_demo,
    read_host_and_port,
    require_free_port,
    without_keys,
)
from src.launch.options import Options, parse_options
from src.launch.programs import Program, bot, dashboard, sandbox
from src.launch.shutdown import EXIT_CONFIG, EXIT_INTERRUPTED, stop_on_signals
from src.launch.supervisor import Supervisor

LEFTOVER_WAIT_MS = 24_000  # children of a killed launcher end within 22 seconds, usually in two
ANNOUNCE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class LaunchPaths:
    """Directories of this run."""

    root: Path
    home: Path
    is_demo: bool

    @property
    def lock_directory(self) -> Path:
        """The directory of the launcher's lock files; each home has its own."""
        return self.home if self.home.parent == self.root / "data" else self.home / "data"


def main(root: Path, arguments: Sequence[str]) -> int:
    """Run the launcher for the project at ``root``; returns the exit code."""
    options = parse_options(arguments)
    console = Console(utf8_output())
    try:
        return _launch(_launch_paths(root, options), options, console)
    except LaunchError as error:
        console.say(str(error))
        return EXIT_CONFIG
    except KeyboardInterrupt:
        console.say("Interrupted: the next start continues from here.")
        return EXIT_INTERRUPTED


def _launch_paths(root: Path, options: Options) -> LaunchPaths:
    if options.demo:
        return LaunchPaths(root, root / "data" / "demo", is_demo=True)
    return LaunchPaths(root, Path(os.environ.get("HUNTER_HOME") or root).resolve(), is_demo=False)


def _launch(paths: LaunchPaths, options: Options, console: Console) -> int:
    launchers, children = (
        FileLock(paths.lock_directory / "launcher.lock"),
        FileLock(paths.lock_directory / "children.lock"),
    )
    launchers.acquire(
        0, f"Another launcher is running in {paths.home}: use its dashboard, or stop it with Ctrl-C first."
    )
    children.acquire(
        LEFTOVER_WAIT_MS,
        f"Processes of an earlier launcher are still running in {paths.home}: end them, then start again.",
    )
    python = ensure_venv(paths.root, paths.root / "requirements.txt", console, install=options.install)
    in_file = {} if paths.is_demo else read_host_and_port(python, paths.root, paths.home / ".env")
    address = dashboard_address(os.environ, in_file)
    is_port_free = _check_port(address, console, is_demo=paths.is_demo)
    programs = _programs(paths, address, options, console)
    command = [str(python), "-m", "src.launch.child"]
    supervisor = Supervisor(command, programs, paths.root, console, inherited_fds=(children.fileno(),))
    stop_on_signals(supervisor.request_stop)
    if is_port_free:  # otherwise another program would answer
        announce(address, console, is_demo=options.demo)
    return supervisor.run()


def _check_port(address: Address, console: Console, *, is_demo: bool) -> bool:
    """Whether the dashboard can listen. Without it the bot still starts, as it may have positions to protect; the
    demo has none and ends with `LaunchError`."""
    try:
        require_free_port(address)
    except LaunchError as error:
        if is_demo:
            raise
        console.say(f"{error} The bot starts without its dashboard, which is tried again.")
        return False
    return True


def _programs(paths: LaunchPaths, address: Address, options: Options, console: Console) -> list[Program]:
    environment = child_environment(os.environ, address, is_coloured=console.is_coloured)
    if not options.demo:
        trading = bot(paths.home, environment, accept_live=options.yes)
        return [trading, dashboard(paths.home, without_keys(environment))]
    prepare_demo(paths.home, paths.root / "src" / "sandbox" / "demo_settings.json")
    environment = demo_environment(environment)
    sandbox_program = sandbox(paths.home, environment, options)
    return [sandbox_program, bot(paths.home, environment), dashboard(paths.home, environment)]


def announce(address: Address, console: Console, *, is_demo: bool) -> None:
    """Wait in the background for a response of ``GET /api/health``, then print the URL."""
    arguments = (address, console, is_demo)
    threading.Thread(target=_announce, args=arguments, name="announce", daemon=True).start()


def _announce(address: Address, console: Console, is_demo: bool) -> None:
    never = threading.Event()
    for _ in range(int(ANNOUNCE_TIMEOUT_S * 10)):
        mode = health_mode(address)
        if mode is not None:
            name = "SANDBOX" if is_demo else mode.upper()
            console.plain(f"\nDashboard: {address.url}{f'  ({name})' if name else ''}\nCtrl-C stops everything.\n")
            return
        never.wait(0.1)
    console.say(f"The dashboard does not respond on {address.url} yet: see its lines above.")


def health_mode(address: Address) -> str | None:
    """The mode reported by the dashboard, empty if it reports none; ``None`` while it does not respond."""
    connection = http.client.HTTPConnection(address.browser_host, address.port, timeout=2)
    try:
        connection.request("GET", "/api/health")
        health = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    mode = health.get("mode") if isinstance(health, dict) else None
    return mode if isinstance(mode, str) else ""
