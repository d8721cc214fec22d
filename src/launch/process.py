"""One started process: its lines go to the console, its end to a callback."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from src.launch.console import Console
from src.launch.programs import Program


class Child:
    """A running program. Two threads follow it: one copies its lines, one waits for its end."""

    def __init__(
        self, program: Program, command: list[str], folder: Path, console: Console, inherited_fds: tuple[int, ...]
    ) -> None:
        self.program = program
        self.exited = threading.Event()
        self._console = console
        self._process = _start(command, program.environment, folder, inherited_fds)
        self._output_thread = threading.Thread(target=self._copy_lines, name=f"{program.label} lines", daemon=True)
        self._output_thread.start()

    def watch(self, on_exit: Callable[["Child", int], None]) -> None:
        """Call ``on_exit`` with the exit code, once, from a thread of its own."""
        threading.Thread(
            target=self._wait_for_exit, args=(on_exit,), name=f"{self.program.label} end", daemon=True
        ).start()

    def request_stop(self) -> None:
        """Let go of the lifeline, see `src.launch.child`."""
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(OSError):  # it has ended in the meantime
            pipe.write(b"q")
            pipe.close()

    def kill(self) -> None:
        """End the process, and whatever it started, at once."""
        if self.exited.is_set():
            return
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):  # it has ended in the meantime
                os.killpg(self._process.pid, signal.SIGKILL)

    def _copy_lines(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            self._console.write(self.program.label, line.decode("utf-8", "replace").rstrip("\r\n"))

    def _wait_for_exit(self, on_exit: Callable[["Child", int], None]) -> None:
        code = self._process.wait()
        self._output_thread.join(1.0)  # its last words first; a grandchild may hold the pipe open for longer
        self.exited.set()
        on_exit(self, code)


def _start(
    command: list[str], environment: dict[str, str], folder: Path, inherited_fds: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    """Start in a process group of its own: the terminal's Ctrl-C must reach the launcher alone."""
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(
            command, env=environment, cwd=folder, stdin=pipe, stdout=pipe, stderr=merged, creationflags=group
        )
    return subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=pipe,
        stdout=pipe,
        stderr=merged,
        start_new_session=True,
        pass_fds=inherited_fds,
    )
