"""A clock with an offset, suspended processes, and free ports."""

import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from src.domain.clock import SystemClock


class MachineClock:
    """The system clock, ahead by an offset that a test may change."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic_ms(self) -> int:
        return SystemClock().monotonic_ms()


@contextmanager
def suspended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Stop a process during this block, as on a sleeping computer; what is sent to it waits in its sockets.

    Not on Windows. At the end the process continues, with everything that waits for it: the sandbox keeps 5,000 frames
    for a connection and waits 15 minutes for a pong, so that a block may last for minutes.
    """
    process.send_signal(signal.SIGSTOP)
    try:
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(_STOP_POLL_S)
        yield
    finally:
        process.send_signal(signal.SIGCONT)


_STOP_POLL_S = 0.001
_FIRST_PORT, _PORT_COUNT = 20_000, 12_000


def free_port() -> int:
    """A free port below the ephemeral range, so that the system assigns it to no other test before it is bound."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORT_COUNT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
