"""A dashboard on a real socket, and readers of its event stream."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from src.api.api_server import serve, streams_of
from src.api.sse import Streams
from tests.api.rig import Rig
from tests.ports import free_port

PATIENCE_SECONDS = 20.0


def eventually(claim: Callable[[], bool]) -> bool:
    """Wait until a claim holds; False where it did not in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    tick = threading.Event()
    while not claim():
        if time.monotonic() > deadline:
            return False
        tick.wait(0.01)
    return True


class Served:
    """A running dashboard."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.url = f"http://127.0.0.1:{rig.port}"
        self.stop = threading.Event()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def streams(self) -> Streams:
        return streams_of(self.rig.app)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=PATIENCE_SECONDS)

    def raw(self, request: str) -> str:
        """What is answered to these very bytes."""
        with socket.create_connection(("127.0.0.1", self.rig.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(request.replace("\n", "\r\n").encode())
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        return answer.decode()

    def end(self) -> None:
        self.stop.set()
        self._thread.join(PATIENCE_SECONDS)

    def start(self) -> None:
        self._thread.start()
        assert eventually(self._answers)

    def _serve(self) -> None:
        self.code = serve(self.rig.app, self.rig.environment, self.stop)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.rig.port), timeout=1).close()
        except OSError:
            return False
        return self.streams.is_alive


@contextmanager
def served(rig: Rig) -> Iterator[Served]:
    rig.port = free_port()
    running = Served(rig)
    running.start()
    try:
        yield running
    finally:
        running.end()


class Page:
    """One open event stream, read event by event."""

    def __init__(self, running: Served, path: str = "/api/stream", **headers: str) -> None:
        self.response = requests.get(running.url + path, headers=headers, stream=True, timeout=PATIENCE_SECONDS)
        assert self.response.status_code == 200, self.response.text
        self._lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()

    def next(self) -> dict[str, Any]:
        """The next event: ``kind``, ``id`` and its ``data``; a comment has the kind ``comment``."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                return {"kind": "comment"}
            if line == "" and "data" in fields:
                return {"kind": fields["event"], "id": int(fields["id"]), "data": json.loads(fields["data"])}
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError("the stream ended")

    def ids(self, count: int) -> list[int]:
        return [self.next()["id"] for _ in range(count)]
