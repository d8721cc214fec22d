"""A small test client with its own V1 signatures, independent of the code under test."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

import requests
from websockets.sync.client import ClientConnection, connect

from src.sandbox.server import SandboxServer

TIMEOUT_S = 20
Answer = Any
"""Parsed JSON."""


@dataclass
class Client:
    """REST client with V1 signatures over one keep-alive session."""

    server: SandboxServer
    session: requests.Session = field(default_factory=requests.Session)

    def public(self, path: str, **parameters: object) -> requests.Response:
        return self.session.get(f"{self.server.base_url}{path}", params=texts(parameters), timeout=TIMEOUT_S)

    def market_data(self, path: str, **parameters: object) -> requests.Response:
        """Send a request with the key only (MARKET_DATA)."""
        return self.raw("GET", path, urlencode(texts(parameters)))

    def signed(self, method: str, path: str, **parameters: object) -> requests.Response:
        query = urlencode({**texts(parameters), "timestamp": self.timestamp()})
        return self.raw(method, path, f"{query}&signature={self.signature(query)}")

    def raw(self, method: str, path: str, query: str, body: str = "", key: str | None = None) -> requests.Response:
        return self.session.request(
            method,
            f"{self.server.base_url}{path}?{query}",
            data=body or None,
            headers={"X-MBX-APIKEY": self.server.api_key if key is None else key}
            | ({"Content-Type": "application/x-www-form-urlencoded"} if body else {}),
            timeout=TIMEOUT_S,
        )

    def signature(self, text: str) -> str:
        return hmac.new(self.server.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def timestamp(self) -> int:
        return self.server.exchange.now_ms()

    def get(self, path: str, **parameters: object) -> Answer:
        return done(self.signed("GET", path, **parameters))

    def post(self, path: str, **parameters: object) -> Answer:
        return done(self.signed("POST", path, **parameters))

    def delete(self, path: str, **parameters: object) -> Answer:
        return done(self.signed("DELETE", path, **parameters))

    def order(self, **parameters: object) -> Answer:
        """Place an order, by default a market buy of 0.01 BTC."""
        defaults = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        return self.post("/fapi/v1/order", **{**defaults, **parameters})

    def rejected(self, method: str, path: str, **parameters: object) -> int:
        """Send a request that is rejected; return the code."""
        return code(self.signed(method, path, **parameters))

    def listen_key(self) -> str:
        return str(done(self.raw("POST", "/fapi/v1/listenKey", ""))["listenKey"])


def done(response: requests.Response) -> Answer:
    assert response.status_code == 200, response.text
    return response.json()


def code(response: requests.Response) -> int:
    assert response.status_code >= 400, response.text
    return int(response.json()["code"])


def texts(parameters: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items() if value is not None}


class Subscriber:
    """A stream connection that returns parsed messages."""

    def __init__(self, server: SandboxServer, path: str) -> None:
        self._opening = connect(f"{server.ws_url}{path}", open_timeout=TIMEOUT_S)
        self._socket: ClientConnection

    def __enter__(self) -> Self:
        self._socket = self._opening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._opening.__exit__(None, None, None)

    def next(self, timeout: float = TIMEOUT_S) -> Answer:
        return json.loads(self._socket.recv(timeout))

    def until(self, event: str, timeout: float = TIMEOUT_S) -> Answer:
        """Return the next event of this kind."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.next(deadline - time.monotonic())
            if isinstance(message, dict) and message.get("data", message).get("e") == event:
                return message

    def request(self, **body: object) -> Answer:
        """Send a request and return its reply; skips events in between."""
        self.send(json.dumps(body))
        while True:
            message = self.next()
            if "result" in message or "error" in message:
                return message

    def send(self, text: str) -> None:
        self._socket.send(text)
