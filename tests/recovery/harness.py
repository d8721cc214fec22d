"""Bots as real processes that crash or are killed, alone or with their launcher, on V1 (API key) or V3 (API wallet)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from src.credentials.credentials import CREDENTIAL_NAMES
from src.domain.crash_points import Point
from src.domain.enums import OrderRole, OrderStatus, Side
from src.sandbox.account.audit import UnprotectedSpan
from src.sandbox.account.keys import write_key_file
from src.utils.auth import ApiVersion
from tests.faults.harness import SYMBOL, D, FaultHarness, wait_until
from tests.helpers import free_port

_SCHEMES = tuple(ApiVersion)


@dataclass(frozen=True, slots=True)
class ProcessSetup:
    """How the bot is started."""

    with_launcher: bool
    """Whether it runs under the launcher, with the dashboard; both are killed with it."""
    scheme: ApiVersion

    def __str__(self) -> str:
        return f"{'all' if self.with_launcher else 'bot'}-{self.scheme}"


PROCESS_SETUPS = (
    ProcessSetup(with_launcher=False, scheme=ApiVersion.V1),
    ProcessSetup(with_launcher=True, scheme=ApiVersion.V3),
)


def each_setup(
    name: str, cases: Mapping[str, object], variants: Sequence[bool] = (False, True)
) -> pytest.MarkDecorator:
    """Run each case with each of these setups, alternating between the API versions."""
    parts = [
        pytest.param(case, process_setup, id=f"{title}-{process_setup}")
        for number, (title, case) in enumerate(cases.items())
        for process_setup in (
            ProcessSetup(with_launcher, _SCHEMES[(number + with_launcher) % 2]) for with_launcher in variants
        )
    ]
    return pytest.mark.parametrize((name, "process_setup"), parts)


def with_setup(*, with_launcher: bool, scheme: ApiVersion) -> pytest.MarkDecorator:
    """Run the test with this setup only."""
    return pytest.mark.parametrize("process_setup", [ProcessSetup(with_launcher, scheme)], ids=str)


ROOT = Path(__file__).parents[2]
CRASH_HOOK = Path(__file__).parent / "crash_hook"
PROTECTED_WITHIN_MS = 20_000  # I33
_PERSONAL_VARIABLES = (*CREDENTIAL_NAMES, "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_HOME")
_STARTED_WITHIN_SECONDS = 90
_CRASHED_WITHIN_SECONDS = 120
_KILLED_WITHIN_SECONDS = 20
_CONSISTENT_WITHIN_SECONDS = 45
_CLOSED_STATUSES = tuple(status.value for status in OrderStatus if status.is_terminal)
_numbers = count()


@dataclass(frozen=True, slots=True)
class Crash:
    """A crash point at which a process is killed when it gets there for the n-th time."""

    point: Point | str
    subject: str = ""
    """Any subject if empty."""
    passing: int = 1
    after_ms: float | None = None
    """If set, the kill happens this long after the crash point."""
    number: int = field(default_factory=_numbers.__next__)

    def __str__(self) -> str:
        return "-".join(filter(None, (self.point, self.subject, "" if self.passing == 1 else str(self.passing))))


REQUEST_WRITTEN = "request written"
"""Crash point between the last byte of a request and its response, set by ``crash_hook``."""


class BotHarness(FaultHarness):
    """A sandbox, and a bot on it as a process: ``main.py`` alone, or with launcher and dashboard."""

    def __init__(self, home: Path, process_setup: ProcessSetup, **changes: Any) -> None:
        global_changes = {"cooldown_sec": 3_600, "db_path": "bot.db", **changes.pop("globals", {})}
        super().__init__(home, process_setup.scheme, global_changes, **changes)
        write_key_file(home, self.server.exchange.keys, process_setup.scheme, self.server.base_url, self.server.ws_url)
        self.with_launcher = process_setup.with_launcher
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.kill_times: list[int] = []
        """Times of all kills and crashes, on the sandbox's clock."""
        self._launched_at = 0
        self._process_tree: list[psutil.Process] = []

    # Starts

    def launch(self, *, protect_only: bool = False) -> None:
        arguments = ["--protect-only"] if protect_only else []
        program = ["launcher.py", "--no-install"] if self.with_launcher else ["main.py", "--home", str(self.home)]
        self._launched_at = self.exchange.now_ms()
        self.process = self._spawn(*program, *arguments)

    def _spawn(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a program of the project, with the crash hook in it and in its children."""
        inherited = {name: value for name, value in os.environ.items() if name not in _PERSONAL_VARIABLES}
        added = {
            "HUNTER_HOME": str(self.home),
            "HUNTER_CRASH": str(self.home / "crash"),
            "PYTHONPATH": str(CRASH_HOOK),
            "PORT": str(self.port),
            "NO_COLOR": "1",
        }
        with (self.home / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=inherited | added, stdout=output, stderr=output
            )

    def call(self, *arguments: str) -> int:
        """Run a program to its end; returns the exit code."""
        return self._spawn(*arguments).wait(_STARTED_WITHIN_SECONDS)

    def start(self) -> "BotHarness":
        """Start the bot and wait until it trades."""
        self.launch()
        self.wait_trading()
        return self

    def wait_trading(self) -> None:
        self._wait_for(self._is_trading, _STARTED_WITHIN_SECONDS, "the bot trades")
        self._process_tree = self._processes() if self.with_launcher else []

    def _wait_for(self, condition: Callable[[], bool], seconds: float, description: str) -> None:
        try:
            wait_until(condition, seconds, description)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.output[-3_000:]}") from error

    @property
    def is_alive(self) -> bool:
        """Whether the running process has written its state."""
        with suppress(OperationalError):  # before its tables exist
            return self.state("bot").get("pid") in [each.pid for each in self._processes()]
        return False

    def _is_trading(self) -> bool:
        return self.is_alive and self.trading_status()[0] == "ACTIVE"

    def _processes(self) -> list[psutil.Process]:
        """The started process and its descendants."""
        if self.process is None or self.process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        return []

    @property
    def output(self) -> str:
        file = self.home / "output.txt"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    # Crashes and kills

    def arm(self, crash: Crash, *, with_launcher: bool = True) -> None:
        """Kill the next process that reaches this crash point, and its launcher if there is one."""
        (self.home / "crashed").unlink(missing_ok=True)
        instruction = asdict(crash) | {"point": str(crash.point), "launcher": self.with_launcher and with_launcher}
        temporary = self.home / "crash.new"
        temporary.write_text(json.dumps(instruction), encoding="utf-8")
        temporary.rename(self.home / "crash")

    @property
    def has_crashed(self) -> bool:
        return (self.home / "crashed").exists()

    def wait_exited(self) -> None:
        """Wait until the crash has happened and all processes have ended."""
        self.wait_crashed()
        assert self.process is not None
        self.process.wait(_CRASHED_WITHIN_SECONDS)
        self._kill_process_tree()

    def wait_crashed(self) -> None:
        self._wait_for(lambda: self.has_crashed, _CRASHED_WITHIN_SECONDS, "the crash point is reached")
        self.kill_times.append(self.exchange.now_ms())

    def _kill_process_tree(self) -> None:
        for each in self._process_tree:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(self._process_tree, timeout=_KILLED_WITHIN_SECONDS)
        self._process_tree = []

    def kill(self) -> None:
        """Kill all processes now. The launcher is suspended first and killed last: running it would restart the others,
        and after its death the bot would shut down cleanly and cancel its entries."""
        self.kill_times.append(self.exchange.now_ms())
        for launcher in self._processes()[:1]:
            with suppress(psutil.NoSuchProcess):
                launcher.suspend()
        processes = self._processes()
        for each in reversed(processes):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(processes, timeout=_KILLED_WITHIN_SECONDS)
        if self.process is not None:
            self.process.wait(_KILLED_WITHIN_SECONDS)
        self._kill_process_tree()

    def request_stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        self.kill()
        self.server.stop()

    # The market

    def trigger_crash(self) -> None:
        """Liquidate longs until the crash has happened."""
        for _ in range(100):
            self.move(self.mid_price)
            self.liquidate()
            with suppress(AssertionError):
                wait_until(lambda: self.has_crashed, 0.3)
                return
        raise AssertionError(f"crash point not reached: {self.verdicts()[-3:]} {self.output[-3_000:]}")

    def fill_partly(self, quantity: str) -> None:
        """Fill a part of the open entry."""
        [entry] = self.orders(OrderRole.ENTRY)
        self.exchange.trade(SYMBOL, Side.SELL, D(quantity), entry.price)

    # Final checks

    def check_recovered(self, *, entries: int = 1) -> None:
        """After a restart: protected in time, no order sent twice, no entry repeated, records equal."""
        wait_until(self._is_protected, 30, "every position is protected")
        assert len(self.received_orders(OrderRole.ENTRY)) <= entries, self.received_orders()
        wait_until(self._has_same_orders, _CONSISTENT_WITHIN_SECONDS, "the same open orders")
        late = startup_delay_ms(self._launched_at, self.state("bot")["started_at"])
        self.check_consistency(unprotected_ms=PROTECTED_WITHIN_MS + late)

    def longest_unprotected_ms(self) -> int:
        with self.exchange.lock:
            return max_unprotected_ms(self.exchange.protection.spans(), self.kill_times, self.exchange.now_ms())

    def _is_protected(self) -> bool:
        return not self.position or len(self.orders(OrderRole.STOP_LOSS)) == 1

    def _has_same_orders(self) -> bool:
        closed = ", ".join(f"'{status}'" for status in _CLOSED_STATUSES)
        rows = self.rows(f"SELECT client_order_id FROM trades WHERE order_status NOT IN ({closed})")
        return {row["client_order_id"] for row in rows} == {each.client_order_id for each in self.orders()}


def startup_delay_ms(launched_at: int, started_at: int) -> int:
    """Time beyond the 5 s of I33 that the start took, because the machine is busy with other tests."""
    return max(0, started_at - launched_at - 5_000)


def max_unprotected_ms(spans: Iterable[UnprotectedSpan], kill_times: Iterable[int], now_ms: int) -> int:
    """Longest time a position was unprotected; a kill restarts the count, as I33 counts from the last kill."""
    intervals = [(span.since, now_ms if span.until is None else span.until) for span in spans]
    counted = (until - max([since, *(at for at in kill_times if at < until)]) for since, until in intervals)
    return max(counted, default=0)
