"""From a frame to the order that follows: the bot beside the floor program, in turn, on the same exchange."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import programs
from benchmarks.exchange import FLOOR, TRADED
from benchmarks.programs import ExchangeControl
from benchmarks.report import Figures, Row
from src.utils.auth import ApiVersion

ROUNDS = 3
_PAUSE_SECONDS = 0.02
_QUIET_SECONDS = 0.01
_BURST_RATE = 4_000
"""Liquidations a second around the measured one."""
_WARM_UP = 10

Measure = Callable[[ExchangeControl, int], None]
Say = Callable[[str], None]


@dataclass(slots=True)
class _Samples:
    """Milliseconds of one figure, by round."""

    floor: list[list[float]] = field(default_factory=list)
    bot: list[list[float]] = field(default_factory=list)
    other_requests: int = 0
    """Requests besides orders between an event and its order."""

    def begin_round(self) -> None:
        self.floor.append([])
        self.bot.append([])

    def row(self, name: str, max_ratio: float, max_tail_ratio: float | None = None) -> Row:
        return Row(name, Figures(self.floor), Figures(self.bot), max_ratio, max_tail_ratio, self.other_requests)


def measure_latency(version: ApiVersion, delay_ms: int, events: int, folder: Path, say: Say) -> list[Row]:
    """All figures for one way to sign and one round trip; ``events`` in each of three rounds.

    The bot's database is in a directory of its own within ``folder``.
    """
    with _programs(version, folder) as control:
        control.run("delay", ms=delay_ms)
        trial = _Trial(control)
        trial.run_round(_WARM_UP)
        trial.clear()
        for number in range(ROUNDS):
            say(f"event → order, {version}, round trip {delay_ms} ms: round {number + 1} of {ROUNDS}")
            trial.begin_round()
            trial.run_round(events)
    name = f"{version}, {delay_ms} ms"
    rows = [
        trial.spaced.row(f"event → order ({name})", 2.0, 3.5),
        trial.filled.row(f"fill → stop ({name})", 2.5),
    ]
    if delay_ms == 0:
        rows.append(trial.in_burst.row(f"event → order among {_BURST_RATE} a second ({name})", 3.0))
    rows.append(trial.together.row(f"five symbols at once, last order ({name})", 3.0))
    return rows


@contextmanager
def _programs(version: ApiVersion, parent: Path) -> Iterator[ExchangeControl]:
    with (
        tempfile.TemporaryDirectory(dir=parent) as folder,
        programs.exchange() as control,
        programs.floor(control, version),
        programs.bot(control, version, Path(folder)),
    ):
        yield control


class _Trial:
    """Alternates between floor and bot, so that a slow moment of the machine affects both."""

    def __init__(self, control: ExchangeControl) -> None:
        self._control = control
        self.clear()

    def clear(self) -> None:
        self.spaced, self.filled, self.in_burst, self.together = (_Samples() for _ in range(4))
        self._all = (self.spaced, self.filled, self.in_burst, self.together)
        self.begin_round()

    def begin_round(self) -> None:
        for samples in self._all:
            samples.begin_round()

    def run_round(self, events: int) -> None:
        for number in range(events):
            symbol = TRADED[number % len(TRADED)]
            self._measure(self.spaced, "signal", symbols=[FLOOR[0]], rival=[symbol])
            if number % 4 == 0:
                time.sleep(_QUIET_SECONDS)
                self._measure(self.filled, "fill", prefix=_prefix(FLOOR[0]), rival=symbol)
            self._settle()
            if number % 5 == 1:
                self._measure(self.in_burst, "signal", symbols=[FLOOR[0]], rival=[symbol], burst=_BURST_RATE)
                self._settle()
            if number % 10 == 2:
                self._measure(self.together, "signal", symbols=list(FLOOR), rival=list(TRADED))
                self._settle()

    def _measure(self, samples: _Samples, action: str, rival: object, **arguments: object) -> None:
        """Measure the floor with ``arguments``, then the bot with its own symbols instead."""
        samples.floor[-1].append(max(self._control.run(action, **arguments)["ms"]))
        time.sleep(_QUIET_SECONDS)
        key = "symbols" if action == "signal" else "prefix"
        mine = rival if action == "signal" else str(rival)
        result = self._control.run(action, **{**arguments, key: mine})
        samples.bot[-1].append(max(result["ms"]))
        samples.other_requests += result["other_requests"]

    def _settle(self) -> None:
        if left := self._control.run("settle"):
            raise RuntimeError(f"{left} orders are still open after the positions were closed")
        time.sleep(_PAUSE_SECONDS)


def _prefix(symbol: str) -> str:
    return symbol.removesuffix("0USDT")
