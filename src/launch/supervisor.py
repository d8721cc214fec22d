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
from src.launch.programs import Program
from src.launch.restarts import FORGIVEN_MS, LOOP_CRASHES, LOOP_SPAN_MS, Crashes, Finish

READY_MS = 60_000
STOP_MS = 3_500  # for everything but the foundation
FOUNDATION_STOP_MS = 1_000
TURN_MS = 250  # how long Windows may sit on a Ctrl-C


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Ctrl-C, or its equal."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A child has ended."""

    child: Child
    code: int


@dataclass(slots=True)
class Post:
    """One program's place: who fills it now, since when, and when the next one is due."""

    program: Program
    crashes: Crashes
    child: Child | None = None
    started_ms: int = 0
    due_ms: int | None = None
    is_loop: bool = False


class Supervisor:
    """Owned by the main thread; signals and child threads only put events into its inbox."""

    def __init__(
        self,
        command: Sequence[str],
        programs: Sequence[Program],
        folder: Path,
        console: Console,
        held: tuple[int, ...] = (),
    ) -> None:
        self._command = list(command)
        self._posts = {program.label: Post(program, Crashes()) for program in programs}
        self._folder = folder
        self._console = console
        self._held = held
        self._clock = SystemClock()
        self._finish: Finish | None = None
        # The one queue whose put() may be called from a signal handler.
        self._inbox: queue.SimpleQueue[StopAsked | Exited] = queue.SimpleQueue()

    def ask_to_stop(self) -> None:
        """End everything with exit code 0; safe to call from a signal handler."""
        self._inbox.put(StopAsked())

    def run(self) -> int:
        """Run until asked to stop or until a program's end is final; returns the exit code. No process is left."""
        try:
            for post in self._posts.values():
                self._start(post)
                self._wait_until_ready(post.program)
            while self._finish is None:
                self._turn()
            return self._finish.code
        finally:
            self._stop_all()

    def _start(self, post: Post) -> None:
        if self._finish is not None:
            return
        arguments = [*post.program.arguments, *(post.program.loop_arguments if post.is_loop else ())]
        post.due_ms, post.started_ms = None, self._clock.monotonic_ms()
        post.child = Child(post.program, [*self._command, *arguments], self._folder, self._console, self._held)
        post.child.follow(lambda child, code: self._inbox.put(Exited(child, code)))

    def _wait_until_ready(self, program: Program) -> None:
        deadline_ms = self._clock.monotonic_ms() + READY_MS
        while self._finish is None and not program.ready():
            self._turn(wait_ms=50)
            if self._clock.monotonic_ms() > deadline_ms:
                self._console.say(f"The {program.label} was not ready after {READY_MS // 1000} s: giving up.")
                self._finish = Finish(1)

    def _turn(self, wait_ms: int = TURN_MS) -> None:
        """Take one event, or none when it is quiet, and start whoever is due."""
        try:
            event = self._inbox.get(timeout=wait_ms / 1000)
        except queue.Empty:
            event = None
        match event:
            case StopAsked():
                self._console.say("Stopping ...")
                self._finish = Finish(0)
            case Exited():
                self._after(event)
            case None:
                pass
        for post in self._posts.values():
            if post.due_ms is not None and post.due_ms <= self._clock.monotonic_ms():
                self._start(post)

    def _after(self, event: Exited) -> None:
        post = self._posts[event.child.program.label]
        program, post.child = post.program, None
        if event.code in program.final_codes:
            self._console.say(f"The {program.label} {_ending(event.code)}: stopping the others.")
            self._finish = Finish(event.code)
        elif program.is_foundation:
            self._console.say(
                f"The {program.label} {_ending(event.code)}, nothing works without it: stopping the others."
            )
            self._finish = Finish(1)
        elif event.code in program.anew_codes:
            self._console.say(f"The {program.label} is started anew, as was asked.")
            post.crashes, post.is_loop, post.due_ms = Crashes(), False, self._clock.monotonic_ms()
        else:
            self._plan_restart(post, event.code)

    def _plan_restart(self, post: Post, code: int) -> None:
        now_ms = self._clock.monotonic_ms()
        restart = post.crashes.note(post.started_ms, now_ms)
        post.due_ms = now_ms + restart.delay_ms
        crash_points.reached(Point.DEATH_NOTICED, post.program.label)
        label = post.program.label
        self._console.say(f"The {label} {_ending(code)}: starting it again in {restart.delay_ms / 1000:g} s.")
        if now_ms - post.started_ms >= FORGIVEN_MS:
            post.is_loop = False
        if restart.is_loop and post.program.loop_arguments and not post.is_loop:
            post.is_loop = True
            self._console.say(
                f"The {label} ended {LOOP_CRASHES} times within {LOOP_SPAN_MS // 60_000} minutes: from now on it only "
                "protects open positions and opens none, until it has run for an hour or you resume on its page. "
                "Its log says why."
            )

    def _stop_all(self) -> None:
        children = [post.child for post in self._posts.values() if post.child is not None]
        self._stop([child for child in children if not child.program.is_foundation], STOP_MS)
        self._stop([child for child in children if child.program.is_foundation], FOUNDATION_STOP_MS)

    def _stop(self, children: Sequence[Child], patience_ms: int) -> None:
        for child in children:
            child.ask_to_stop()
        deadline_ms = self._clock.monotonic_ms() + patience_ms
        for child in children:
            if not child.ended.wait(max(0, deadline_ms - self._clock.monotonic_ms()) / 1000):
                self._console.say(f"The {child.program.label} did not stop in time: ending it.")
                child.kill()
        for child in children:
            child.ended.wait(1)


def _ending(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
