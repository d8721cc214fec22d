"""A dashboard over a real home: settings.json, a database written by the Store, and an HTTP client."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from sqlalchemy import Engine

from src.api.api_server import create_app, event_hub_of, serve
from src.api.security import TOKEN_HEADER
from src.api.sse import EventHub
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import ManualClock
from src.domain.decisions import Decision
from src.domain.enums import OrderRole, OrderStatus, Side
from src.domain.errors import Unreachable
from src.domain.instrument import Instrument
from src.domain.market import Liquidation
from src.domain.orders import ClientOrderId, Fill, Order
from src.domain.positions import PositionRecord
from src.exchange.port import CredentialCheck, MarketReader
from src.settings.config import Environment, load_environment
from tests.builders import NOW, D, a_fill, a_request, an_instrument, an_order, settings_document
from tests.helpers import free_port

PORT = 5000
ORIGIN = f"http://127.0.0.1:{PORT}"
CANDLE = (NOW, D("1.5"), D("2.0"), D("1.0"), D("1.75"), D("100"))


class FakeMarket:
    """The exchange's public API with fixed data; counts requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.error: Exception | None = None

    def server_time(self) -> int:
        return NOW

    def instruments(self) -> dict[str, Instrument]:
        self._request()
        return {"BTCUSDT": an_instrument()}

    def klines(
        self, symbol: str, interval: str, limit: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        self._request()
        return [CANDLE][:limit] if (symbol, interval) != ("", "") else []

    def _request(self) -> None:
        self.requests += 1
        if self.error is not None:
            raise self.error


class UnreachableMarket(FakeMarket):
    def __init__(self) -> None:
        super().__init__()
        self.error = Unreachable("connection refused")


@dataclass
class ApiHarness:
    home: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    market: MarketReader | None = None
    checker: CredentialCheck | None = None
    port: int = PORT
    env_overrides: Mapping[str, str] = field(default_factory=dict)
    _engine: Engine | None = None
    _app: Flask | None = None

    def __post_init__(self) -> None:
        self.write_settings(settings_document())
        self.write_env("HUNTER_SETUP=paper\n")  # not a first run

    @property
    def environment(self) -> Environment:
        return load_environment(self.home, {"PORT": str(self.port), **self.env_overrides})

    @property
    def settings_file(self) -> Path:
        return self.home / "settings.json"

    @property
    def app(self) -> Flask:
        if self._app is None:
            self._app = create_app(self.environment, clock=self.clock, market=self.market, checker=self.checker)
        return self._app

    @property
    def token(self) -> str:
        assert self.app.name
        return (self.home / "data" / "dashboard.token").read_text(encoding="utf-8")

    @property
    def client(self) -> Any:
        """Flask's test client, untyped: a response without JSON fails its test anyway."""
        return self.app.test_client()

    @property
    def store(self) -> Store:
        """The Store of a live bot; the database is created at first use."""
        return self._store(is_simulated=False)

    def _store(self, *, is_simulated: bool) -> Store:
        if self._engine is None:
            self._engine = open_database(self.home / "data" / "bot.db", NOW).engine
        return Store(self._engine, self.clock, is_simulated=is_simulated)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def write_env(self, text: str) -> None:
        file = self.home / ".env"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)

    def write_settings(self, document: object) -> None:
        self.settings_file.write_text(json.dumps(document), encoding="utf-8")

    def saved_settings(self) -> Any:
        return json.loads(self.settings_file.read_text(encoding="utf-8"))

    def get(self, path: str) -> Any:
        return self.client.get(path, base_url=ORIGIN)

    def json(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json

    def post(self, path: str, body: object, **headers: str) -> Any:
        own = {"Origin": ORIGIN, TOKEN_HEADER: self.token, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.client.post(path, json=body, headers=own, base_url=ORIGIN)

    # What the bot writes

    def heartbeat(self, **bot: object) -> None:
        """Write the heartbeat of a bot on the sandbox."""
        store = self.store
        with store.transaction():
            identity = {"network": "sandbox", "is_simulated": False, "pid": 7, "started_at": NOW, "version": "0.1.0"}
            store.set_state("bot", {**identity, "heartbeat_at": self.clock.now_ms(), **bot})

    def set_state(self, key: str, **value: object) -> None:
        store = self.store
        with store.transaction():
            store.set_state(key, value)

    def journal(self, kind: str, payload: dict[str, object] | None = None, symbol: str | None = None) -> None:
        store = self.store
        with store.transaction():
            store.journal(kind, payload or {}, symbol)

    def add_liquidation(self, liquidation: Liquidation, decision: Decision | None = None) -> int:
        store = self.store
        with store.transaction():
            (row_id,) = store.insert_liquidations([liquidation])
            if decision is not None:
                store.record_decisions([(row_id, decision)])
        return row_id

    def add_position(self, record: PositionRecord) -> None:
        store = self.store
        with store.transaction():
            store.save_position(record)

    def add_orders(self, *orders: Order, simulated: bool = False) -> None:
        store = self.store
        with store.transaction():
            for order in orders:
                store.record_order(order, simulated=simulated)

    def add_fills(self, *fills: Fill, simulated: bool = False) -> None:
        store = self._store(is_simulated=simulated)
        with store.transaction():
            for fill in fills:
                assert store.record_fill(fill)

    def add_round_trip(self, trip: "Trip", *, simulated: bool = False) -> None:
        """Write a filled entry and the order that closed it."""
        self.add_orders(*trip.orders, simulated=simulated)
        self.add_fills(*trip.fills, simulated=simulated)


_FIVE, _TENTH = D(5), D("0.1")


@dataclass(frozen=True)
class Trip:
    """A LONG of 0.01 BTC at 50,000, closed by its take profit."""

    entry: str = "mbv0x1k2abcde"
    opened_at: int = NOW - 60_000
    closed_at: int = NOW - 30_000
    exit_role: OrderRole = OrderRole.TAKE_PROFIT
    realized_pnl: Decimal = _FIVE
    commission: Decimal = _TENTH
    """The commission of each of the two fills."""
    symbol: str = "BTCUSDT"
    number: int = 1

    @property
    def entry_id(self) -> str:
        return str(ClientOrderId(self.entry, OrderRole.ENTRY))

    @property
    def exit_id(self) -> str:
        return str(ClientOrderId(self.entry, self.exit_role, 1))

    @property
    def orders(self) -> Iterable[Order]:
        done: dict[str, Any] = {"status": OrderStatus.FILLED, "filled_quantity": D("0.01"), "average_price": D(50_000)}
        entry = {"client_order_id": self.entry_id, "symbol": self.symbol}
        leave = {"client_order_id": self.exit_id, "symbol": self.symbol, "side": Side.SELL}
        numbers = self.number * 10
        return (
            an_order(request=entry, created_at=self.opened_at, order_id=numbers, **done),
            an_order(
                self.exit_role,
                request=leave,
                created_at=self.opened_at + 1_000,
                entry_client_order_id=self.entry_id,
                order_id=numbers + 1,
                **done,
            ),
        )

    @property
    def fills(self) -> Iterable[Fill]:
        shared = {"symbol": self.symbol, "quantity": D("0.01"), "commission": self.commission}
        numbers = self.number * 10
        return (
            a_fill(
                a_request(client_order_id=self.entry_id),
                trade_id=numbers,
                order_id=numbers,
                traded_at=self.opened_at,
                price=D(50_000),
                **shared,
            ),
            a_fill(
                a_request(self.exit_role, client_order_id=self.exit_id),
                trade_id=numbers + 1,
                order_id=numbers + 1,
                side=Side.SELL,
                traded_at=self.closed_at,
                price=D(50_500),
                realized_pnl=self.realized_pnl,
                **shared,
            ),
        )


TIMEOUT_SECONDS = 20.0


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until the condition is true; False on timeout."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    tick = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        tick.wait(0.01)
    return True


class RunningDashboard:
    """A running dashboard."""

    def __init__(self, harness: ApiHarness) -> None:
        self.harness = harness
        self.url = f"http://127.0.0.1:{harness.port}"
        self.stop = threading.Event()
        self.code: int | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def streams(self) -> EventHub:
        return event_hub_of(self.harness.app)

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=TIMEOUT_SECONDS)

    def raw(self, request: str) -> str:
        """The raw response to a raw request."""
        with socket.create_connection(("127.0.0.1", self.harness.port), timeout=TIMEOUT_SECONDS) as connection:
            connection.sendall(request.replace("\n", "\r\n").encode())
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        return answer.decode()

    def stop_serving(self) -> None:
        self.stop.set()
        self._thread.join(TIMEOUT_SECONDS)

    def start(self) -> None:
        self._thread.start()
        assert eventually(self._answers)

    def _serve(self) -> None:
        self.code = serve(self.harness.app, self.harness.environment, self.stop)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.harness.port), timeout=1).close()
        except OSError:
            return False
        return self.streams.is_alive


@contextmanager
def served(harness: ApiHarness) -> Iterator[RunningDashboard]:
    harness.port = free_port()
    running = RunningDashboard(harness)
    running.start()
    try:
        yield running
    finally:
        running.stop_serving()


class EventStream:
    """One open event stream, read event by event."""

    def __init__(self, running: RunningDashboard, path: str = "/api/stream", **headers: str) -> None:
        self.response = requests.get(running.url + path, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
        assert self.response.status_code == 200, self.response.text
        self._lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)

    def __enter__(self) -> "EventStream":
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
