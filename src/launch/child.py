"""Runs one of our programs so that it stops when the launcher requests it or dies.

``python -m src.launch.child SCRIPT | -m MODULE [ARGUMENTS]``. Standard input is a pipe from the launcher, the lifeline.
One byte means "please stop"; end of file without it means that the launcher was killed. On every platform both become a
SIGTERM inside this process, and the program shuts down as after Ctrl-C: the bot cancels entries and leaves protective
orders open.
"""

import _thread
import os
import runpy
import signal
import sys
import threading
from types import FrameType

GRACE_S = 22.0
"""Longer than the longest stop: the bot waits for the exchange to confirm that its entries are cancelled."""


def main(arguments: list[str]) -> None:
    """Run the program named by ``arguments`` as ``__main__`` of this process."""
    signal.signal(signal.SIGTERM, _exit_on_signal)  # until the program installs its own handler
    threading.Thread(target=_watch_lifeline, name="lifeline", daemon=True).start()
    is_module = arguments[0] == "-m"
    sys.argv = arguments[is_module:]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def _exit_on_signal(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _watch_lifeline() -> None:
    is_stop_requested = _read_lifeline() != b""
    if not is_stop_requested:
        _discard_output()
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGTERM)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    os._exit(1)  # the program did not shut down in time


def _read_lifeline() -> bytes:
    try:
        return os.read(0, 1)  # not sys.stdin: its lock would block the exit of the interpreter
    except OSError:
        return b""


def _discard_output() -> None:
    """Redirect our output to the null device: without a reader a broken pipe would disturb the shutdown."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


if __name__ == "__main__":
    main(sys.argv[1:])
