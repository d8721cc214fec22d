"""Sets up, checks what can be checked beforehand, and runs the programs under a supervisor."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.launch.announce import announce
from src.launch.console import Console, utf8_output
from src.launch.environment import prepare
from src.launch.errors import LaunchError
from src.launch.home import (
    Address,
    child_environment,
    dashboard_address,
    demo_environment,
    prepare_demo,
    read_env_file,
    require_free,
)
from src.launch.locks import FileLock
from src.launch.options import Options, parse_options
from src.launch.programs import Program, bot, dashboard, sandbox
from src.launch.supervisor import Supervisor

LEFTOVERS_MS = 7_000  # children of a killed launcher end within five seconds
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Place:
    """Where this run lives."""

    root: Path
    home: Path
    address: Address

    @property
    def locks(self) -> Path:
        """The directory of our lock files, one for each home."""
        return self.home if self.home.parent == self.root / "data" else self.home / "data"


def main(root: Path, arguments: Sequence[str]) -> int:
    """Run the launcher for the project at ``root``; returns the exit code."""
    options = parse_options(arguments)
    console = Console(utf8_output())
    try:
        return _launch(_place(root, options), options, console)
    except LaunchError as error:
        console.say(str(error))
        return 2
    except KeyboardInterrupt:
        console.say("Interrupted; the next start goes on from here.")
        return INTERRUPTED


def _place(root: Path, options: Options) -> Place:
    if options.demo:
        return Place(root, root / "data" / "demo", dashboard_address(os.environ, {}))
    home = Path(os.environ.get("HUNTER_HOME") or root).resolve()
    return Place(root, home, dashboard_address(os.environ, read_env_file(home / ".env")))


def _launch(place: Place, options: Options, console: Console) -> int:
    launchers, children = FileLock(place.locks / "launcher.lock"), FileLock(place.locks / "children.lock")
    launchers.take(0, f"Another launcher is running in {place.home}: use its dashboard, or stop it first with Ctrl-C.")
    children.take(
        LEFTOVERS_MS, f"Processes of an earlier launcher still run in {place.home}: end them, then start again."
    )
    require_free(place.address)
    python = prepare(place.root, place.root / "requirements.txt", console.say, install=options.install)
    programs = _programs(place, options, console)
    command = [str(python), "-m", "src.launch.child"]
    supervisor = Supervisor(command, programs, place.root, console, held=(children.fileno(),))
    _stop_on_signals(supervisor)
    announce(place.address, console, is_demo=options.demo)
    return supervisor.run()


def _programs(place: Place, options: Options, console: Console) -> list[Program]:
    environment = child_environment(os.environ, place.address, is_coloured=console.is_coloured)
    if not options.demo:
        return [bot(place.home, environment, agrees=options.yes), dashboard(place.home, environment)]
    prepare_demo(place.home, place.root / "src" / "sandbox" / "demo_settings.json")
    environment = demo_environment(environment)
    foundation = sandbox(place.home, environment, options)
    return [foundation, bot(place.home, environment), dashboard(place.home, environment)]


def _stop_on_signals(supervisor: Supervisor) -> None:
    """Ctrl-C, a service manager's stop and a closed terminal all end everything in order."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # nohup means: stay
        signal.signal(number, lambda _number, _frame: supervisor.ask_to_stop())
