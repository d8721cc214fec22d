"""Real processes: small scripts that behave as the bot, the dashboard and the sandbox do."""

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

from src.launch import programs as restarts
from src.launch import supervisor
from src.launch.console import Console
from src.launch.programs import Program
from src.launch.supervisor import Supervisor

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parents[2]
RUNS = "import signal, sys, threading\nstop = threading.Event()\nsignal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
WAITS = "while not stop.wait(0.05):\n    pass\n"  # Windows notices a signal only between two waits
DEADLINE_S = 30.0
WHOLE_PATIENCE_MS = supervisor.STOP_MS + supervisor.REQUIRED_STOP_MS


@dataclass
class Stage:
    """A folder of fake programs, and a supervisor that runs them in a thread of the test."""

    folder: Path
    out: io.StringIO = field(default_factory=io.StringIO)
    codes: list[int] = field(default_factory=list)
    supervisor: Supervisor | None = None
    thread: threading.Thread | None = None

    def program(self, label: str, script: str, **rules: object) -> Program:
        file = self.folder / f"{label}.py"
        file.write_text(script, encoding="utf-8")
        environment = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
        return Program(label, (str(file), str(self.folder)), environment, **rules)  # type: ignore[arg-type]

    def start(self, *programs: Program) -> None:
        command = [sys.executable, "-m", "src.launch.child"]
        self.supervisor = supervisor = Supervisor(command, programs, ROOT, Console(self.out))
        self.thread = threading.Thread(target=lambda: self.codes.append(supervisor.run()))
        self.thread.start()

    def stop(self) -> None:
        assert self.supervisor is not None
        self.supervisor.request_stop()

    def code(self) -> int:
        """The exit code, once everything has ended."""
        assert self.thread is not None
        self.thread.join(DEADLINE_S)
        return self.codes[0]

    def said(self, text: str) -> bool:
        return text in self.out.getvalue()

    def children(self) -> list[psutil.Process]:
        """Our fake programs that still run."""
        return [child for child in psutil.Process().children(recursive=True) if self._owns(child)]

    def _owns(self, child: psutil.Process) -> bool:
        try:
            return str(self.folder) in " ".join(child.cmdline())
        except psutil.Error:  # it has ended in the meantime
            return False


def is_alone_in_its_group(child: psutil.Process) -> bool:
    return sys.platform == "win32" or bool(os.getpgid(child.pid) == child.pid)


def wait_for(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(restarts, "FIRST_DELAY_MS", 10)
    for patience in ("STOP_MS", "REQUIRED_STOP_MS"):  # on a busy machine an end in order takes its time
        monkeypatch.setattr(supervisor, patience, int(DEADLINE_S * 1_000))
    stage = Stage(tmp_path)
    yield stage
    if stage.thread is not None and stage.thread.is_alive():
        stage.stop()
        stage.thread.join(DEADLINE_S)


def test_lines_are_labelled_and_stop_leaves_no_process(stage: Stage) -> None:
    script = RUNS + "print('hello 币安人生USDT')\n" + WAITS + "print('goodbye')\n"
    stage.start(stage.program("bot", script), stage.program("dashboard", script))
    wait_for(lambda: stage.said("[bot]       hello 币安人生USDT") and stage.said("[dashboard] hello"))
    assert len(stage.children()) == 2
    assert all(is_alone_in_its_group(child) for child in stage.children()), (
        "Ctrl-C would reach it from the terminal too"
    )

    stage.stop()
    assert stage.code() == 0
    assert not stage.said("did not stop in time")
    assert stage.said("[bot]       goodbye")
    assert stage.children() == []


def test_the_foundation_starts_first_and_stops_last(stage: Stage) -> None:
    ready = stage.folder / "ready"
    slow = "import pathlib, time\ntime.sleep(0.3)\npathlib.Path(sys.argv[1], 'ready').touch()\nprint('ready')\n"
    sandbox = RUNS + slow + WAITS + "print('sandbox ends')\n"
    bot = RUNS + "print('bot starts')\n" + WAITS + "print('bot ends')\n"
    stage.start(
        stage.program("sandbox", sandbox, is_required=True, ready=ready.exists),
        stage.program("bot", bot),
    )
    wait_for(lambda: stage.said("bot starts"))
    stage.stop()
    assert stage.code() == 0
    words = ("ready", "bot starts", "bot ends", "sandbox ends")
    places = [stage.out.getvalue().index(word) for word in words]
    assert places == sorted(places)


def test_a_killed_program_is_started_again(stage: Stage) -> None:
    stage.start(stage.program("bot", RUNS + "print('up')\n" + WAITS))
    wait_for(lambda: stage.said("up"))
    stage.children()[0].kill()
    wait_for(lambda: stage.out.getvalue().count("[bot]       up") == 2)
    assert stage.said("starting it again in 0.01 s")


@pytest.mark.parametrize("code", [2, 3])
def test_a_final_exit_code_ends_everything_without_a_loop(stage: Stage, code: int) -> None:
    stage.start(
        stage.program("dashboard", RUNS + WAITS),
        stage.program("bot", f"raise SystemExit({code})", final_codes=frozenset({2, 3})),
    )
    assert stage.code() == code
    assert stage.said(f"The bot ended with exit code {code}: stopping the others.")
    assert not stage.said("again")
    assert stage.children() == []


def test_the_end_of_the_foundation_ends_everything(stage: Stage) -> None:
    stage.start(
        stage.program("sandbox", "raise SystemExit(7)", is_required=True),
        stage.program("bot", RUNS + WAITS),
    )
    assert stage.code() == 1
    assert stage.said("The sandbox ended with exit code 7, nothing works without it")
    assert stage.children() == []


def test_a_foundation_that_ends_before_it_is_ready_starts_nobody(stage: Stage) -> None:
    stage.start(
        stage.program(
            "sandbox", "raise SystemExit(2)", is_required=True, final_codes=frozenset({2}), ready=lambda: False
        ),
        stage.program("bot", "print('bot starts')"),
    )
    assert stage.code() == 2
    assert not stage.said("bot starts")


def test_a_crash_loop_leaves_the_bot_protecting(stage: Stage) -> None:
    script = RUNS + "if '--protect-only' not in sys.argv:\n    raise SystemExit(1)\nprint('protecting')\n" + WAITS
    stage.start(stage.program("bot", script, crash_loop_args=("--protect-only",)))
    wait_for(lambda: stage.said("[bot]       protecting"))
    assert stage.said("ended 5 times within 5 minutes: from now on it only protects open positions")
    assert stage.out.getvalue().count("starting it again") == 5


def test_a_deaf_program_is_killed_when_the_patience_with_it_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WHOLE_PATIENCE_MS < 5_000
    for patience in ("STOP_MS", "REQUIRED_STOP_MS"):
        monkeypatch.setattr(supervisor, patience, 200)
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(600)\n"
    stage.start(stage.program("sandbox", deaf, is_required=True), stage.program("bot", deaf))
    wait_for(lambda: stage.out.getvalue().count("deaf") == 2)
    stage.stop()
    assert stage.code() == 0
    assert stage.said("The bot did not stop in time: ending it.")
    assert stage.said("The sandbox did not stop in time: ending it.")
    assert stage.children() == []


def test_requested_restart_is_immediate_and_no_crash(stage: Stage) -> None:
    again = (
        "import sys\nfrom pathlib import Path\nnote = Path(sys.argv[1]) / 'starts'\n"
        "starts = len(note.read_text()) if note.exists() else 0\nnote.write_text('x' * (starts + 1))\n"
        f"if starts < {restarts.LOOP_COUNT + 2}:\n    raise SystemExit(4)\n{RUNS}{WAITS}"
    )
    stage.start(stage.program("bot", again, restart_codes=frozenset({4}), crash_loop_args=("--protect-only",)))
    wait_for(lambda: stage.out.getvalue().count("restarts as requested") == restarts.LOOP_COUNT + 2)
    assert not stage.said("only protects")
    stage.stop()
    assert stage.code() == 0
