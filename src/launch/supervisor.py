"""Starts the programs in order, starts again what crashes, and stops them all in order."""

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.domain import crash_points
from src.domain.clock import SystemClock
from src.domain.crash_points import Point
from src.launch.console import Console
from src.launch.process import Child
from src.launch.programs import LOOP_COUNT, LOOP_RESET_MS, LOOP_WINDOW_MS, Program, RestartPolicy, Shutdown

READY_MS = 60_000
STOP_MS = 3_500  # for everything but the foundation
REQUIRED_STOP_MS = 1_000
POLL_MS = 250  # how long Windows may sit on a Ctrl-C


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Ctrl-C, or its equal."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A child has ended."""

    child: Child
    code: int


@dataclass(slots=True)
class ManagedProcess:
    """One program's place: who fills it now, since when, and when the next one is due."""

    program: Program
    restart_policy: RestartPolicy
    child: Child | None = None
    started_ms: int = 0
    due_ms: int | None = None
    is_crash_loop: bool = False


class Supervisor:
    """Owned by the main thread; signals and child threads only put events into its inbox."""

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
        # The one queue whose put() may be called from a signal handler.
        self._events: queue.SimpleQueue[StopRequested | Exited] = queue.SimpleQueue()

    def request_stop(self) -> None:
        """End everything with exit code 0; safe to call from a signal handler."""
        self._events.put(StopRequested())

    def run(self) -> int:
        """Run until asked to stop or until a program's end is final; returns the exit code. No process is left."""
        try:
            for managed in self._processes.values():
                self._start(managed)
                self._wait_until_ready(managed.program)
            while self._shutdown is None:
                self._handle_next_event()
            return self._shutdown.code
        finally:
            self._stop_all()

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
                self._console.say(f"The {program.label} was not ready after {READY_MS // 1000} s: giving up.")
                self._shutdown = Shutdown(1)

    def _handle_next_event(self, wait_ms: int = POLL_MS) -> None:
        """Take one event, or none when it is quiet, and start whoever is due."""
        try:
            event = self._events.get(timeout=wait_ms / 1000)
        except queue.Empty:
            event = None
        match event:
            case StopRequested():
                self._console.say("Stopping ...")
                self._shutdown = Shutdown(0)
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
                f"The {program.label} {_describe_exit(event.code)}, nothing works without it: stopping the others."
            )
            self._shutdown = Shutdown(1)
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
        restart = managed.restart_policy.record_exit(managed.started_ms, now_ms)
        managed.due_ms = now_ms + restart.delay_ms
        crash_points.reached(Point.DEATH_NOTICED, managed.program.label)
        label = managed.program.label
        self._console.say(f"The {label} {_describe_exit(code)}: starting it again in {restart.delay_ms / 1000:g} s.")
        if now_ms - managed.started_ms >= LOOP_RESET_MS:
            managed.is_crash_loop = False
        if restart.is_crash_loop and managed.program.crash_loop_args and not managed.is_crash_loop:
            managed.is_crash_loop = True
            self._console.say(
                f"The {label} ended {LOOP_COUNT} times within {LOOP_WINDOW_MS // 60_000} minutes: from now on it only "
                "protects open positions and opens none, until it has run for an hour or you resume on its page. "
                "Its log says why."
            )

    def _stop_all(self) -> None:
        children = [managed.child for managed in self._processes.values() if managed.child is not None]
        self._stop([child for child in children if not child.program.is_required], STOP_MS)
        self._stop([child for child in children if child.program.is_required], REQUIRED_STOP_MS)

    def _stop(self, children: Sequence[Child], patience_ms: int) -> None:
        for child in children:
            child.request_stop()
        deadline_ms = self._clock.monotonic_ms() + patience_ms
        for child in children:
            if not child.exited.wait(max(0, deadline_ms - self._clock.monotonic_ms()) / 1000):
                self._console.say(f"The {child.program.label} did not stop in time: ending it.")
                child.kill()
        for child in children:
            child.exited.wait(1)


def _describe_exit(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
