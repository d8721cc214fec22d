"""A real HTTP server on loopback with scripted replies, which records the requests it receives."""

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
    """One received request."""

    method: str
    path: str
    signed_text: str
    headers: Mapping[str, str]
    port: int
    """The client's port: the same for requests on one connection."""

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.signed_text))


@dataclass(frozen=True, slots=True)
class Reply:
    body: object = field(default_factory=dict)
    """A JSON value, or bytes to send unchanged."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection after the request was read."""


_V3_NAMES = {"account": "accountWithJoinMargin"}


class ScriptedServer:
    """Sends the scripted replies for each (method, path) in turn, the last one repeatedly; 404 without a script.

    Tests always use V1 paths; with V3 they are mapped to the V3 paths.
    """

    def __init__(self, scheme: ApiVersion = ApiVersion.V1) -> None:
        self._scheme = scheme
        self.received: list[ReceivedRequest] = []
        self._scripts: dict[tuple[str, str], list[Reply | Reset]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def script(self, method: str, path: str, *replies: Reply | Reset) -> None:
        self._scripts[method, self._path(path)] = list(replies)

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

    def next_reply(self, request: ReceivedRequest) -> Reply | Reset:
        with self._lock:
            self.received.append(request)
            script = self._scripts[request.method, request.path]
            if not script:
                return Reply(b"<html>not found</html>", 404)
            return script.pop(0) if len(script) > 1 else script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _reply(self) -> None:
                address = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                port = self.client_address[1]
                reply = scripted.next_reply(
                    ReceivedRequest(self.command, address.path, address.query + body, dict(self.headers), port)
                )
                if isinstance(reply, Reset):
                    self._reset()
                else:
                    self._send(reply)

            def _send(self, reply: Reply) -> None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _reset(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

            do_GET = do_POST = do_PUT = do_DELETE = _reply

        return Handler
