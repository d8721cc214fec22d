"""A port for a program that is about to start."""

import secrets
import socket

_LOWEST, _COUNT = 20_000, 12_000


def free_port() -> int:
    """Free, and below those that the system hands out: no test beside this one is given it before it is bound."""
    while True:
        port = _LOWEST + secrets.randbelow(_COUNT)
        with socket.socket() as door:
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
