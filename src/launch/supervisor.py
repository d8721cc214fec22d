"""Starts the programs in order, restarts those that crash, and stops them in order."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.domain import crash_points
from src.domain.clock import SystemClock
from src.domain.crash_points import Point
from src.launch.console import Console
from src.launch.programs import LOOP_COUNT, LOOP_RESET_MS, LOOP_WINDOW_MS, Program, RestartPolicy, Shutdown
from src.launch.shutdown import EXIT_CRASH, EXIT_STOPPED

READY_MS = 60_000
STOP_MS = 3_500  # for all programs but the required one
REQUIRED_STOP_MS = 1_000
POLL_MS = 250  # Windows handles Ctrl-C only between two waits


class Child:
    """A running program. One thread copies its output to the console, another waits for its exit."""

    def __init__(
        self, program: Program, command: list[str], folder: Path, console: Console, inherited_fds: tuple[int, ...]
    ) -> None:
        self.program = program
        self.exited = threading.Event()
        self.code: int | None = None
        """Exit code; None while it runs."""
        self._console = console
        self._process = _popen(command, program.environment, folder, inherited_fds)
        self._output_thread = threading.Thread(target=self._copy_lines, name=f"{program.label} lines", daemon=True)
        self._output_thread.start()

    def watch(self, on_exit: Callable[["Child", int], None]) -> None:
        """Call ``on_exit`` with the exit code, once, from its own thread."""
        threading.Thread(
            target=self._wait_for_exit, args=(on_exit,), name=f"{self.program.label} end", daemon=True
        ).start()

    def request_stop(self) -> None:
        """Write to and close the lifeline, see `src.launch.child`."""
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(OSError):  # it has already exited
            pipe.write(b"q")
            pipe.close()

    def kill(self) -> None:
        """Kill the process; on POSIX also the processes it started."""
        if self.exited.is_set():
            return
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):  # it has already exited
                os.killpg(self._process.pid, signal.SIGKILL)

    def _copy_lines(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            self._console.write(self.program.label, line.decode("utf-8", "replace").rstrip("\r\n"))

    def _wait_for_exit(self, on_exit: Callable[["Child", int], None]) -> None:
        code = self._process.wait()
        self._output_thread.join(1.0)  # print its last lines first; a grandchild may keep the pipe open
        self.code = code
        self.exited.set()
        on_exit(self, code)


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Ctrl-C or a stop signal."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A child process has exited."""

    child: Child
    code: int


@dataclass(slots=True)
class ManagedProcess:
    """A program, its current process, and when its next start is due."""

    program: Program
    restart_policy: RestartPolicy
    child: Child | None = None
    started_ms: int = 0
    due_ms: int | None = None
    is_crash_loop: bool = False


class Supervisor:
    """Runs all programs. Only the main thread uses it; signal handlers and child threads put events into its queue."""

    def __init__(
        self,
        command: Sequence[str],
        programs: Sequence[Program],
        folder: Path,
        console: Console,
        inherited_fds: tuple[int, ...] = (),
    ) -> None:
        self._command = list(command)
        self._processes = {program.label: ManagedProcess(program, RestartPolicy()) for program in programs}
        self._folder = folder
        self._console = console
        self._inherited_fds = inherited_fds
        self._clock = SystemClock()
        self._shutdown: Shutdown | None = None
        # SimpleQueue: its put() may be called from a signal handler.
        self._events: queue.SimpleQueue[StopRequested | Exited] = queue.SimpleQueue()

    def request_stop(self) -> None:
        """Stop everything with exit code 0; safe to call from a signal handler."""
        self._events.put(StopRequested())

    def run(self) -> int:
        """Run until a stop request or a final exit code; stop all processes and return the exit code."""
        try:
            for managed in self._processes.values():
                self._start(managed)
                self._wait_until_ready(managed.program)
            while self._shutdown is None:
                self._handle_next_event()
        finally:
            self._stop_all()
        return self._shutdown.code

    def _start(self, managed: ManagedProcess) -> None:
        if self._shutdown is not None:
            return
        arguments = [*managed.program.arguments, *(managed.program.crash_loop_args if managed.is_crash_loop else ())]
        managed.due_ms, managed.started_ms = None, self._clock.monotonic_ms()
        managed.child = Child(
            managed.program, [*self._command, *arguments], self._folder, self._console, self._inherited_fds
        )
        managed.child.watch(lambda child, code: self._events.put(Exited(child, code)))

    def _wait_until_ready(self, program: Program) -> None:
        deadline_ms = self._clock.monotonic_ms() + READY_MS
        while self._shutdown is None and not program.ready():
            self._handle_next_event(wait_ms=50)
            if self._clock.monotonic_ms() > deadline_ms:
                self._console.say(f"The {program.label} was not ready after {READY_MS // 1000} s: stopping.")
                self._shutdown = Shutdown(EXIT_CRASH)

    def _handle_next_event(self, wait_ms: int = POLL_MS) -> None:
        """Handle the next event, if one arrives in time, and start the programs that are due."""
        try:
            event = self._events.get(timeout=wait_ms / 1000)
        except queue.Empty:
            event = None
        match event:
            case StopRequested():
                self._console.say("Stopping ...")
                self._shutdown = Shutdown(EXIT_STOPPED)
            case Exited():
                self._on_exit(event)
            case None:
                pass
        for managed in self._processes.values():
            if managed.due_ms is not None and managed.due_ms <= self._clock.monotonic_ms():
                self._start(managed)

    def _on_exit(self, event: Exited) -> None:
        managed = self._processes[event.child.program.label]
        program, managed.child = managed.program, None
        if event.code in program.final_codes:
            self._console.say(f"The {program.label} {_describe_exit(event.code)}: stopping the others.")
            self._shutdown = Shutdown(event.code)
        elif program.is_required:
            self._console.say(
                f"The {program.label} {_describe_exit(event.code)} and the others need it: stopping them."
            )
            self._shutdown = Shutdown(EXIT_CRASH)
        elif event.code in program.restart_codes:
            self._console.say(f"The {program.label} restarts as requested.")
            managed.restart_policy, managed.is_crash_loop, managed.due_ms = (
                RestartPolicy(),
                False,
                self._clock.monotonic_ms(),
            )
        else:
            self._plan_restart(managed, event.code)

    def _plan_restart(self, managed: ManagedProcess, code: int) -> None:
        now_ms = self._clock.monotonic_ms()
        restart = managed.restart_policy.record_exit(managed.started_ms, now_ms, managed.program.max_delay_ms)
        managed.due_ms = now_ms + restart.delay_ms
        crash_points.reached(Point.DEATH_NOTICED, managed.program.label)
        label = managed.program.label
        pause = f"{restart.delay_ms / 1000:g} s"
        if code in managed.program.unready_codes:
            self._console.say(
                f"The {label} cannot start; its line above says why. The others run on, it is tried again in {pause}."
            )
        else:
            self._console.say(f"The {label} {_describe_exit(code)}: restarting it in {pause}.")
        if now_ms - managed.started_ms >= LOOP_RESET_MS:
            managed.is_crash_loop = False
        if restart.is_crash_loop and managed.program.crash_loop_args and not managed.is_crash_loop:
            managed.is_crash_loop = True
            self._console.say(
                f"The {label} crashed {LOOP_COUNT} times within {LOOP_WINDOW_MS // 60_000} minutes: it now only "
                "protects open positions, until it has run for an hour or you resume on the dashboard. See its log."
            )

    def _stop_all(self) -> None:
        children = [managed.child for managed in self._processes.values() if managed.child is not None]
        self._stop([child for child in children if not child.program.is_required], STOP_MS)
        self._stop([child for child in children if child.program.is_required], REQUIRED_STOP_MS)
        for child in children:
            self._take_over_code(child)

    def _stop(self, children: Sequence[Child], timeout_ms: int) -> None:
        for child in children:
            child.request_stop()
        requested_ms = self._clock.monotonic_ms()
        for child in sorted(children, key=lambda child: child.program.stop_ms or timeout_ms):
            deadline_ms = requested_ms + (child.program.stop_ms or timeout_ms)
            if not child.exited.wait(max(0, deadline_ms - self._clock.monotonic_ms()) / 1000):
                self._console.say(f"The {child.program.label} did not stop in time: killing it.")
                child.kill()
        for child in children:
            child.exited.wait(1)

    def _take_over_code(self, child: Child) -> None:
        """A final exit code with which a program answers the stop says more than that it was stopped."""
        is_stop = self._shutdown is not None and self._shutdown.code == EXIT_STOPPED
        if is_stop and child.code is not None and child.code in child.program.final_codes - {EXIT_STOPPED}:
            self._console.say(f"The {child.program.label} {_describe_exit(child.code)}.")
            self._shutdown = Shutdown(child.code)


def _describe_exit(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _popen(
    command: list[str], environment: dict[str, str], folder: Path, inherited_fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    """Start in a new process group, so that the terminal's Ctrl-C reaches only the launcher."""
    pipe, stdout = subprocess.PIPE, subprocess.STDOUT
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(
            command, env=environment, cwd=folder, stdin=pipe, stdout=pipe, stderr=stdout, creationflags=group
        )
    return subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=pipe,
        stdout=pipe,
        stderr=stdout,
        start_new_session=True,
        pass_fds=inherited_fds,
    )
