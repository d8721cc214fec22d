"""The programs the launcher starts, what their exit codes mean, and when they are restarted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from src.launch.options import Options

STOPPED, WRONG_SETTINGS, ALREADY_RUNNING, RESTART_REQUESTED = 0, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and what its end means."""

    label: str
    arguments: tuple[str, ...]
    """``SCRIPT`` or ``-m MODULE``, and its arguments."""
    environment: dict[str, str]
    final_codes: frozenset[int] = frozenset()
    """Exit codes after which it is not started again and everything ends with that code."""
    restart_codes: frozenset[int] = frozenset()
    """Exit codes by which it asks for a new process at once: a person wanted that, it is no crash."""
    is_required: bool = False
    """Others stand on it: it stops last, and they stop when it ends."""
    crash_loop_args: tuple[str, ...] = ()
    """Added when it keeps crashing, to do less."""
    ready: Callable[[], bool] = field(default=lambda: True)
    """Claims that the next program may start."""


def bot(home: Path, environment: dict[str, str], *, accept_live: bool = False) -> Program:
    """The trading process; ``agrees`` to real orders without asking.

    A crash loop leaves it protecting what is open (SAFETY I34).
    """
    return Program(
        "bot",
        ("main.py", "--home", str(home), *(("--yes",) if accept_live else ())),
        environment,
        final_codes=frozenset({STOPPED, WRONG_SETTINGS, ALREADY_RUNNING}),
        restart_codes=frozenset({RESTART_REQUESTED}),
        crash_loop_args=("--protect-only",),
    )


def dashboard(home: Path, environment: dict[str, str]) -> Program:
    """The web page; its crashes never touch the bot."""
    return Program(
        "dashboard", ("src/api/api_server.py", "--home", str(home)), environment, frozenset({WRONG_SETTINGS})
    )


def sandbox(home: Path, environment: dict[str, str], options: Options) -> Program:
    """The local exchange; it is ready when it has written its keys and addresses to ``.env``."""
    replay = {"--replay": options.replay, "--speed": options.speed, "--klines": options.klines}
    chosen = [text for name, value in replay.items() if value is not None for text in (name, str(value))]
    return Program(
        "sandbox",
        ("-m", "src.sandbox.server", "--home", str(home), *chosen),
        environment,
        final_codes=frozenset({STOPPED, WRONG_SETTINGS}),
        is_required=True,
        ready=(home / ".env").exists,
    )


FIRST_DELAY_MS = 500
MAX_DELAY_MS = 5_000  # SAFETY I33: a killed bot is back within five seconds
STABLE_MS = 60_000
LOOP_WINDOW_MS = 300_000
LOOP_COUNT = 5
LOOP_RESET_MS = 3_600_000  # a crash after so long is no part of the loop before it


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the program again after a pause; ``is_loop`` claims that it keeps crashing."""

    delay_ms: int
    is_crash_loop: bool


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop everything and leave with this exit code."""

    code: int


@dataclass(slots=True)
class RestartPolicy:
    """The recent endings of one program, on a clock that never jumps."""

    consecutive: int = 0
    recent: list[int] = field(default_factory=list)

    def record_exit(self, started_ms: int, ended_ms: int) -> Restart:
        """Count one more ending. The pause doubles each time and falls back after a stable minute."""
        self.consecutive = 1 if ended_ms - started_ms >= STABLE_MS else self.consecutive + 1
        self.recent = [at for at in self.recent if ended_ms - at < LOOP_WINDOW_MS] + [ended_ms]
        delay_ms = min(FIRST_DELAY_MS * 2 ** min(self.consecutive - 1, 16), MAX_DELAY_MS)
        return Restart(delay_ms, len(self.recent) >= LOOP_COUNT)
