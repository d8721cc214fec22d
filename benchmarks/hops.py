"""How many functions of ``src`` run, and how often the file changes, from an event to the order that follows it.

``python -m benchmarks.hops`` prints a table; ``--trace`` lists the calls, one a line.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType

from src.domain.commands import Command, SubmitOrder
from src.domain.enums import OrderRole
from tests.builders import a_liquidation
from tests.core.harness import Harness, role_of

_SRC = str(Path(__file__).parents[1] / "src")
_NOT_FUNCTIONS = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")


@dataclass(frozen=True, slots=True)
class Hops:
    """The calls within ``src`` on the way to one order, in order."""

    path: str
    calls: tuple[str, ...]
    """``file:function``"""

    @property
    def file_changes(self) -> int:
        """How often a call is in another file than the call before it."""
        files = [call.partition(":")[0] for call in self.calls]
        return sum(before != after for before, after in pairwise(files))

    def __str__(self) -> str:
        return f"{self.path:32}{len(self.calls):8}{self.file_changes:8}"


def measure_hops() -> list[Hops]:
    """Count both paths on a trader with a real database file."""
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness(Path(folder) / "bot.db").connect()
        times = {"traded_at": harness.now, "event_at": harness.now, "received_at": harness.now}
        liquidation = a_liquidation(60_000, **times)
        entry = _record("liquidation -> entry order", lambda: harness.feed(liquidation), OrderRole.ENTRY)
        request = harness.last(OrderRole.ENTRY)
        harness.accept(request)
        fill = harness.a_fill(request)
        events = harness.account_after(fill), harness.filled_by(request, fill)
        stop = _record("fill -> stop order", lambda: harness.feed(*events), OrderRole.STOP_LOSS)
        harness.close()
    return [entry, stop]


def _record(path: str, act: Callable[[], list[Command]], expected: OrderRole) -> Hops:
    """Run ``act`` and note each call within ``src``; the order of the expected role must be among its commands."""
    calls: list[str] = []

    def on_event(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_SRC) and code.co_name not in _NOT_FUNCTIONS:
            calls.append(f"{code.co_filename[len(_SRC) + 1 :]}:{code.co_qualname}")

    sys.setprofile(on_event)
    try:
        commands = act()
    finally:
        sys.setprofile(None)
    roles = [role_of(command.request) for command in commands if isinstance(command, SubmitOrder)]
    if expected not in roles:
        raise RuntimeError(f"{path}: no order of role {expected} was submitted")
    return Hops(path, tuple(calls))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hops", description=__doc__)
    parser.add_argument("--trace", action="store_true", help="list every call")
    trace = parser.parse_args().trace
    print(f"{'path':32}{'calls':>8}{'files':>8}")
    for hops in measure_hops():
        print(hops)
        if trace:
            print("\n".join(f"  {call}" for call in hops.calls))


if __name__ == "__main__":
    main()
