"""The dashboard over a real home: settings.json, a database written by the Store, and a client of its own page."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine

from src.api.api_server import create_app
from src.api.security import TOKEN_HEADER
from src.database.ledger import open_ledger
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
from src.utils.config import Environment, load_environment
from tests.builders import NOW, D, a_fill, a_request, an_instrument, an_order, settings_document

PORT = 5000
ORIGIN = f"http://127.0.0.1:{PORT}"
CANDLE = (NOW, D("1.5"), D("2.0"), D("1.0"), D("1.75"), D("100"))


class FakeMarket:
    """The exchange's public side as a value; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.fault: Exception | None = None

    def server_time(self) -> int:
        return NOW

    def instruments(self) -> dict[str, Instrument]:
        self._ask()
        return {"BTCUSDT": an_instrument()}

    def klines(
        self, symbol: str, interval: str, limit: int
    ) -> list[tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]]:
        self._ask()
        return [CANDLE][:limit] if (symbol, interval) != ("", "") else []

    def _ask(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault


class SilentMarket(FakeMarket):
    def __init__(self) -> None:
        super().__init__()
        self.fault = Unreachable("connection refused")


@dataclass
class Rig:
    home: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    market: MarketReader | None = None
    checker: CredentialCheck | None = None
    port: int = PORT
    outside: Mapping[str, str] = field(default_factory=dict)
    _engine: Engine | None = None
    _app: Flask | None = None

    def __post_init__(self) -> None:
        self.write_settings(settings_document())
        self.write_env("HUNTER_SETUP=paper\n")  # the first run's question has been answered

    @property
    def environment(self) -> Environment:
        return load_environment(self.home, {"PORT": str(self.port), **self.outside})

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
        """Flask's own client; untyped, since an answer without JSON fails its test anyway."""
        return self.app.test_client()

    @property
    def store(self) -> Store:
        """The side of a bot with real orders; the database is made at first use."""
        return self._store(is_simulated=False)

    def _store(self, *, is_simulated: bool) -> Store:
        if self._engine is None:
            self._engine = open_ledger(self.home / "data" / "bot.db", NOW).engine
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

    def beat(self, **bot: object) -> None:
        """A heartbeat of a bot that trades on the sandbox."""
        store = self.store
        with store.transaction():
            identity = {"network": "sandbox", "is_simulated": False, "pid": 7, "started_at": NOW, "version": "0.1.0"}
            store.set_state("bot", {**identity, "heartbeat_at": self.clock.now_ms(), **bot})

    def say(self, key: str, **value: object) -> None:
        store = self.store
        with store.transaction():
            store.set_state(key, value)

    def tell(self, kind: str, payload: dict[str, object] | None = None, symbol: str | None = None) -> None:
        store = self.store
        with store.transaction():
            store.journal(kind, payload or {}, symbol)

    def see(self, liquidation: Liquidation, decision: Decision | None = None) -> int:
        store = self.store
        with store.transaction():
            (row_id,) = store.insert_liquidations([liquidation])
            if decision is not None:
                store.record_decisions([(row_id, decision)])
        return row_id

    def hold(self, record: PositionRecord) -> None:
        store = self.store
        with store.transaction():
            store.save_position(record)

    def record(self, *orders: Order, simulated: bool = False) -> None:
        store = self.store
        with store.transaction():
            for order in orders:
                store.record_order(order, simulated=simulated)

    def book(self, *fills: Fill, simulated: bool = False) -> None:
        store = self._store(is_simulated=simulated)
        with store.transaction():
            for fill in fills:
                assert store.record_fill(fill)

    def round_trip(self, trip: "Trip", *, simulated: bool = False) -> None:
        """An entry that filled, and the order that closed it."""
        self.record(*trip.orders, simulated=simulated)
        self.book(*trip.fills, simulated=simulated)


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
    """Of each of the two fills."""
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
                parent=self.entry_id,
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
