"""The supervisor with real processes: small scripts that behave like the bot, the dashboard and the sandbox."""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from src.launch import programs, supervisor
from src.launch.console import Console
from src.launch.programs import Program
from src.launch.supervisor import Supervisor

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parents[2]
RUNS = "import signal, sys, threading\nstop = threading.Event()\nsignal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
WAITS = "while not stop.wait(0.05):\n    pass\n"  # Windows handles a signal only between two waits
DEADLINE_S = 30.0
TOTAL_STOP_MS = supervisor.STOP_MS + supervisor.REQUIRED_STOP_MS


@dataclass
class Harness:
    """A folder of fake programs, and a supervisor that runs them in a thread."""

    folder: Path
    out: io.StringIO = field(default_factory=io.StringIO)
    codes: list[int] = field(default_factory=list)
    supervisor: Supervisor | None = None
    thread: threading.Thread | None = None

    def program(self, label: str, script: str, **options: object) -> Program:
        file = self.folder / f"{label}.py"
        file.write_text(script, encoding="utf-8")
        environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        return Program(label, (str(file), str(self.folder)), environment, **options)  # type: ignore[arg-type]

    def start(self, *started: Program) -> None:
        command = [sys.executable, "-m", "src.launch.child"]
        self.supervisor = supervisor = Supervisor(command, started, ROOT, Console(self.out))
        self.thread = threading.Thread(target=lambda: self.codes.append(supervisor.run()))
        self.thread.start()

    def stop(self) -> None:
        assert self.supervisor is not None
        self.supervisor.request_stop()

    def code(self) -> int:
        """Wait for the end; returns the exit code."""
        assert self.thread is not None
        self.thread.join(DEADLINE_S)
        return self.codes[0]

    def has_printed(self, text: str) -> bool:
        return text in self.out.getvalue()

    def children(self) -> list[psutil.Process]:
        """The fake programs that are still running."""
        return [child for child in psutil.Process().children(recursive=True) if self._owns(child)]

    def _owns(self, child: psutil.Process) -> bool:
        try:
            return str(self.folder) in " ".join(child.cmdline())
        except psutil.Error:  # it has already exited
            return False


def leads_its_process_group(child: psutil.Process) -> bool:
    return sys.platform == "win32" or bool(os.getpgid(child.pid) == child.pid)


def wait_for(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setattr(programs, "FIRST_DELAY_MS", 10)
    for name in ("STOP_MS", "REQUIRED_STOP_MS"):  # a clean exit can be slow on a busy machine
        monkeypatch.setattr(supervisor, name, int(DEADLINE_S * 1_000))
    harness = Harness(tmp_path)
    yield harness
    if harness.thread is not None and harness.thread.is_alive():
        harness.stop()
        harness.thread.join(DEADLINE_S)


def test_lines_are_labelled_and_stop_leaves_no_process(harness: Harness) -> None:
    script = RUNS + "print('hello 币安人生USDT')\n" + WAITS + "print('goodbye')\n"
    harness.start(harness.program("bot", script), harness.program("dashboard", script))
    wait_for(lambda: harness.has_printed("[bot]       hello 币安人生USDT") and harness.has_printed("[dashboard] hello"))
    assert len(harness.children()) == 2
    assert all(leads_its_process_group(child) for child in harness.children()), (
        "Ctrl-C in the terminal must not reach the children"
    )

    harness.stop()
    assert harness.code() == 0
    assert not harness.has_printed("did not stop in time")
    assert harness.has_printed("[bot]       goodbye")
    assert harness.children() == []


def test_required_program_starts_first_and_stops_last(harness: Harness) -> None:
    ready = harness.folder / "ready"
    slow = "import pathlib, time\ntime.sleep(0.3)\npathlib.Path(sys.argv[1], 'ready').touch()\nprint('ready')\n"
    sandbox = RUNS + slow + WAITS + "print('sandbox ends')\n"
    bot = RUNS + "print('bot starts')\n" + WAITS + "print('bot ends')\n"
    harness.start(
        harness.program("sandbox", sandbox, is_required=True, ready=ready.exists),
        harness.program("bot", bot),
    )
    wait_for(lambda: harness.has_printed("bot starts"))
    harness.stop()
    assert harness.code() == 0
    printed = ("ready", "bot starts", "bot ends", "sandbox ends")
    positions = [harness.out.getvalue().index(text) for text in printed]
    assert positions == sorted(positions)


def test_killed_program_is_restarted(harness: Harness) -> None:
    harness.start(harness.program("bot", RUNS + "print('up')\n" + WAITS))
    wait_for(lambda: harness.has_printed("up"))
    harness.children()[0].kill()
    wait_for(lambda: harness.out.getvalue().count("[bot]       up") == 2)
    assert harness.has_printed("restarting it in 0.01 s")


@pytest.mark.parametrize("code", [2, 3])
def test_final_exit_code_stops_everything(harness: Harness, code: int) -> None:
    harness.start(
        harness.program("dashboard", RUNS + WAITS),
        harness.program("bot", f"raise SystemExit({code})", final_codes=frozenset({2, 3})),
    )
    assert harness.code() == code
    assert harness.has_printed(f"The bot ended with exit code {code}: stopping the others.")
    assert not harness.has_printed("restarting")
    assert harness.children() == []


def test_dashboard_that_cannot_start_is_named_and_tried_again(harness: Harness) -> None:
    ready = "import pathlib, sys\nif not pathlib.Path(sys.argv[1], 'free').exists():\n    raise SystemExit(2)\n"
    options = {"unready_codes": frozenset({2}), "max_delay_ms": 50}
    harness.start(
        harness.program("bot", RUNS + "print('up')\n" + WAITS),
        harness.program("dashboard", ready + RUNS + "print('serving')\n" + WAITS, **options),
    )
    wait_for(lambda: harness.has_printed("The dashboard cannot start; its line above says why. The others run on,"))
    (harness.folder / "free").touch()
    wait_for(lambda: harness.has_printed("[dashboard] serving"))
    assert harness.out.getvalue().count("[bot]       up") == 1
    harness.stop()
    assert harness.code() == 0


def test_final_code_of_a_program_that_is_stopped_is_the_launchers(harness: Harness) -> None:
    script = RUNS + "print('up')\n" + WAITS + "raise SystemExit(5)\n"
    harness.start(
        harness.program("bot", script, final_codes=frozenset({0, 5})),
        harness.program("dashboard", RUNS + WAITS + "raise SystemExit(1)\n", final_codes=frozenset({2})),
    )
    wait_for(lambda: harness.has_printed("up"))
    harness.stop()
    assert harness.code() == 5
    assert harness.has_printed("The bot ended with exit code 5.")


def test_program_with_a_longer_time_to_stop_is_not_killed(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_MS", 1)
    slow = RUNS + "print('up')\n" + WAITS + "stop.clear()\nstop.wait(0.5)\nprint('goodbye')\n"
    harness.start(harness.program("bot", slow, stop_ms=int(DEADLINE_S * 1_000)))
    wait_for(lambda: harness.has_printed("up"))
    harness.stop()
    assert harness.code() == 0
    assert harness.has_printed("goodbye")


def test_end_of_the_required_program_stops_everything(harness: Harness) -> None:
    harness.start(
        harness.program("sandbox", "raise SystemExit(7)", is_required=True),
        harness.program("bot", RUNS + WAITS),
    )
    assert harness.code() == 1
    assert harness.has_printed("The sandbox ended with exit code 7 and the others need it")
    assert harness.children() == []


def test_nothing_starts_if_the_required_program_never_gets_ready(harness: Harness) -> None:
    harness.start(
        harness.program(
            "sandbox", "raise SystemExit(2)", is_required=True, final_codes=frozenset({2}), ready=lambda: False
        ),
        harness.program("bot", "print('bot starts')"),
    )
    assert harness.code() == 2
    assert not harness.has_printed("bot starts")


def test_crash_loop_leaves_the_bot_protecting_positions(harness: Harness) -> None:
    script = RUNS + "if '--protect-only' not in sys.argv:\n    raise SystemExit(1)\nprint('protecting')\n" + WAITS
    harness.start(harness.program("bot", script, crash_loop_args=("--protect-only",)))
    wait_for(lambda: harness.has_printed("[bot]       protecting"))
    assert harness.has_printed("crashed 5 times within 5 minutes: it now only protects open positions")
    assert harness.out.getvalue().count("restarting it") == 5


def test_program_that_ignores_the_stop_is_killed(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOTAL_STOP_MS < 5_000
    for name in ("STOP_MS", "REQUIRED_STOP_MS"):
        monkeypatch.setattr(supervisor, name, 200)
    ignoring = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ignores')\ntime.sleep(600)\n"
    harness.start(harness.program("sandbox", ignoring, is_required=True), harness.program("bot", ignoring))
    wait_for(lambda: harness.out.getvalue().count("ignores") == 2)
    harness.stop()
    assert harness.code() == 0
    assert harness.has_printed("The bot did not stop in time: killing it.")
    assert harness.has_printed("The sandbox did not stop in time: killing it.")
    assert harness.children() == []


def test_requested_restart_is_immediate_and_no_crash(harness: Harness) -> None:
    script = (
        "import sys\nfrom pathlib import Path\ncounter = Path(sys.argv[1]) / 'starts'\n"
        "starts = len(counter.read_text()) if counter.exists() else 0\ncounter.write_text('x' * (starts + 1))\n"
        f"if starts < {programs.LOOP_COUNT + 2}:\n    raise SystemExit(4)\n{RUNS}{WAITS}"
    )
    harness.start(harness.program("bot", script, restart_codes=frozenset({4}), crash_loop_args=("--protect-only",)))
    wait_for(lambda: harness.out.getvalue().count("restarts as requested") == programs.LOOP_COUNT + 2)
    assert not harness.has_printed("only protects")
    harness.stop()
    assert harness.code() == 0
