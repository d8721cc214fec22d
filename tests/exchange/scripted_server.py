"""A real HTTP server on loopback that answers what a test has written down, and remembers what it was asked."""

import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from src.utils.auth import ApiVersion


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived."""

    method: str
    path: str
    signed_text: str
    headers: Mapping[str, str]
    port: int
    """Of the client: the same for requests on one connection."""

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.signed_text))


@dataclass(frozen=True, slots=True)
class Reply:
    body: object = field(default_factory=dict)
    """JSON, or bytes as they are."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is torn down after the request was read."""


_V3_NAMES = {"account": "accountWithJoinMargin"}


class ScriptedServer:
    """Answers each (method, path) with its script, the last line of it for ever; 404 without one.

    One that speaks V3 is told of V1's paths too, and means their twins.
    """

    def __init__(self, scheme: ApiVersion = ApiVersion.V1) -> None:
        self._scheme = scheme
        self.received: list[ReceivedRequest] = []
        self._scripts: dict[tuple[str, str], list[Reply | Reset]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def script(self, method: str, path: str, *answers: Reply | Reset) -> None:
        self._scripts[method, self._path(path)] = list(answers)

    def received_at(self, path: str) -> list[ReceivedRequest]:
        return [each for each in self.received if each.path == self._path(path)]

    def _path(self, path: str) -> str:
        if self._scheme is ApiVersion.V1:
            return path
        _, host, _, name = path.split("/", 3)
        return f"/{host}/v3/{_V3_NAMES.get(name, name)}"

    @contextmanager
    def running(self) -> Iterator["ScriptedServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def next_reply(self, asked: ReceivedRequest) -> Reply | Reset:
        with self._lock:
            self.received.append(asked)
            script = self._scripts[asked.method, asked.path]
            if not script:
                return Reply(b"<html>not found</html>", 404)
            return script.pop(0) if len(script) > 1 else script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                address = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                port = self.client_address[1]
                answer = scripted.next_reply(
                    ReceivedRequest(self.command, address.path, address.query + body, dict(self.headers), port)
                )
                if isinstance(answer, Reset):
                    self._tear_down()
                else:
                    self._send(answer)

            def _send(self, answer: Reply) -> None:
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _tear_down(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

            do_GET = do_POST = do_PUT = do_DELETE = _answer

        return Handler
