"""The programs the launcher starts, what their exit codes mean, and when they are restarted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from src.launch.options import Options
from src.launch.shutdown import EXIT_CONFIG, EXIT_LOCKED, EXIT_OPEN_ENTRIES, EXIT_RESTART, EXIT_STOPPED

FIRST_DELAY_MS = 500
MAX_DELAY_MS = 5_000  # I33: a killed bot restarts within five seconds
DASHBOARD_MAX_DELAY_MS = 30_000  # what keeps it from starting, such as a taken port, can last for hours
STABLE_MS = 60_000  # running this long resets the delay
LOOP_WINDOW_MS = 300_000
LOOP_COUNT = 5  # exits within LOOP_WINDOW_MS that make a crash loop
LOOP_RESET_MS = 3_600_000  # running this long ends a crash loop
BOT_STOP_MS = 22_000  # it waits for the exchange to confirm that its entries are cancelled, see src/bot


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run, and the meaning of its exit codes."""

    label: str
    arguments: tuple[str, ...]
    """``SCRIPT`` or ``-m MODULE``, followed by its arguments."""
    environment: dict[str, str]
    final_codes: frozenset[int] = frozenset()
    """Exit codes after which the launcher stops everything and exits with the same code."""
    unready_codes: frozenset[int] = frozenset()
    """Exit codes that say that it cannot start at present: it is tried again, and the others run on."""
    max_delay_ms: int = MAX_DELAY_MS
    """The longest pause before it is started again."""
    restart_codes: frozenset[int] = frozenset()
    """Exit codes that request an immediate restart, for example from the dashboard; not counted as crashes."""
    is_required: bool = False
    """Whether the others depend on it: it stops last, and its end stops the others."""
    crash_loop_args: tuple[str, ...] = ()
    """Arguments added while it is in a crash loop."""
    stop_ms: int | None = None
    """How long it may take to stop before it is killed; None for the usual time."""
    ready: Callable[[], bool] = field(default=lambda: True)
    """Whether the next program may start."""


def bot(home: Path, environment: dict[str, str], *, accept_live: bool = False) -> Program:
    """The trading process; with ``accept_live`` it confirms live trading without asking.

    In a crash loop it only protects open positions (I34).
    """
    return Program(
        "bot",
        ("main.py", "--home", str(home), *(("--yes",) if accept_live else ())),
        environment,
        final_codes=frozenset({EXIT_STOPPED, EXIT_CONFIG, EXIT_LOCKED, EXIT_OPEN_ENTRIES}),
        restart_codes=frozenset({EXIT_RESTART}),
        crash_loop_args=("--protect-only",),
        stop_ms=BOT_STOP_MS,
    )


def dashboard(home: Path, environment: dict[str, str]) -> Program:
    """The dashboard; neither its crashes nor a port that is taken affect the bot."""
    return Program(
        "dashboard",
        ("src/api/api_server.py", "--home", str(home)),
        environment,
        unready_codes=frozenset({EXIT_CONFIG}),
        max_delay_ms=DASHBOARD_MAX_DELAY_MS,
    )


def sandbox(home: Path, environment: dict[str, str], options: Options) -> Program:
    """The local exchange; ready once it has written its keys and addresses to ``.env``."""
    replay = {"--replay": options.replay, "--speed": options.speed, "--klines": options.klines}
    chosen = [text for name, value in replay.items() if value is not None for text in (name, str(value))]
    return Program(
        "sandbox",
        ("-m", "src.sandbox.server", "--home", str(home), *chosen),
        environment,
        final_codes=frozenset({EXIT_STOPPED, EXIT_CONFIG}),
        is_required=True,
        ready=(home / ".env").exists,
    )


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the program after a delay."""

    delay_ms: int
    is_crash_loop: bool


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop everything and exit with this code."""

    code: int


@dataclass(slots=True)
class RestartPolicy:
    """Decides how soon one program restarts, from its recent exits on the monotonic clock."""

    consecutive: int = 0
    recent: list[int] = field(default_factory=list)

    def record_exit(self, started_ms: int, ended_ms: int, max_delay_ms: int = MAX_DELAY_MS) -> Restart:
        """Record an exit. The delay doubles each time, up to the maximum, and falls back after a stable minute."""
        self.consecutive = 1 if ended_ms - started_ms >= STABLE_MS else self.consecutive + 1
        self.recent = [at for at in self.recent if ended_ms - at < LOOP_WINDOW_MS] + [ended_ms]
        delay_ms = min(FIRST_DELAY_MS * 2 ** min(self.consecutive - 1, 16), max_delay_ms)
        return Restart(delay_ms, len(self.recent) >= LOOP_COUNT)
