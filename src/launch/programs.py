"""The programs we start, and what the end of each one means."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from src.launch.options import Options

STOPPED, WRONG_SETTINGS, ALREADY_RUNNING, START_ANEW = 0, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and what its end means."""

    label: str
    arguments: tuple[str, ...]
    """``SCRIPT`` or ``-m MODULE``, and its arguments."""
    environment: dict[str, str]
    final_codes: frozenset[int] = frozenset()
    """Exit codes after which it is not started again and everything ends with that code."""
    anew_codes: frozenset[int] = frozenset()
    """Exit codes by which it asks for a new process at once: a person wanted that, it is no crash."""
    is_foundation: bool = False
    """Others stand on it: it stops last, and they stop when it ends."""
    loop_arguments: tuple[str, ...] = ()
    """Added when it keeps crashing, to do less."""
    ready: Callable[[], bool] = field(default=lambda: True)
    """Claims that the next program may start."""


def bot(home: Path, environment: dict[str, str], *, agrees: bool = False) -> Program:
    """The trading process; ``agrees`` to real orders without asking.

    A crash loop leaves it protecting what is open (SAFETY I34).
    """
    return Program(
        "bot",
        ("main.py", "--home", str(home), *(("--yes",) if agrees else ())),
        environment,
        final_codes=frozenset({STOPPED, WRONG_SETTINGS, ALREADY_RUNNING}),
        anew_codes=frozenset({START_ANEW}),
        loop_arguments=("--protect-only",),
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
        is_foundation=True,
        ready=(home / ".env").exists,
    )
