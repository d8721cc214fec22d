"""Runs one program of ours so that it ends when the launcher asks for it, or is gone.

``python -m src.launch.child SCRIPT | -m MODULE [ARGUMENTS]``. Standard input is the lifeline, its other end is the
launcher's. One byte means "please stop"; end of file without it means that the launcher was killed. Both become a
SIGTERM inside this process, on every platform, and the program ends as it does at Ctrl-C: entries go, protective
orders stay with the exchange.
"""

import _thread
import os
import runpy
import signal
import sys
import threading
from types import FrameType

GRACE_S = 5.0


def main(arguments: list[str]) -> None:
    """Run the program named by ``arguments`` as ``__main__`` of this process."""
    signal.signal(signal.SIGTERM, _exit_on_signal)  # until the program sets its own
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
    was_asked = _read_lifeline() != b""
    if not was_asked:
        _discard_output()
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGTERM)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    os._exit(1)  # still here: stuck


def _read_lifeline() -> bytes:
    try:
        return os.read(0, 1)  # not sys.stdin: its lock would be held when the interpreter ends
    except OSError:
        return b""


def _discard_output() -> None:
    """Nobody reads our output any more; a broken pipe must not disturb the orderly end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


if __name__ == "__main__":
    main(sys.argv[1:])
