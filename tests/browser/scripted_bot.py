"""Writes the bot's data through its real Store, in place of a running bot."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from src.core.limits.risk_terms import RiskTerms
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.clock import SystemClock
from src.domain.decisions import Decision, Gate
from src.domain.enums import MarginType, OrderRole, OrderStatus, PositionSide
from src.domain.market import Liquidation
from src.domain.orders import Order
from src.domain.positions import Position, PositionRecord, Protection
from tests.builders import ENTRY_ID, a_fill, a_liquidation, an_instrument, an_order

D = Decimal
AHEAD_MS = 120_000
"""Heartbeats and prices are dated this far ahead, so that they do not become stale in a slow test."""


class ScriptedBot:
    """The bot of a dashboard test: a Store over a real database file."""

    def __init__(self, database: Path) -> None:
        self.clock = SystemClock()
        self._engine = open_database(database, self.clock.now_ms()).engine
        self.store = Store(self._engine, self.clock)

    def close(self) -> None:
        self._engine.dispose()

    def heartbeat(self, *, ago_ms: int = 0, state: str = "ACTIVE", reason: str = "", **more: object) -> None:
        """Write a heartbeat and all status values that the bot publishes each second."""
        at = self.clock.now_ms() - ago_ms if ago_ms else self.clock.now_ms() + AHEAD_MS
        identity = {"version": "0.1.0", "pid": 1, "started_at": at - 60_000, "network": "sandbox"}
        with self.store.transaction():
            self.store.set_state("bot", {**identity, "is_simulated": False, "heartbeat_at": at, **more})
            self.store.set_state("rate_limits", {"weight_used": 118, "weight_limit": 2400, "orders_used": 3})
            self.store.set_state("clock", {"offset_ms": 3})
            self.store.set_state("unreadable_messages", {"count": 0, "last_problem": None, "last_at": None})
            self.store.set_state("market_stream", {"state": "up", "last_event_at": at})
            self.store.set_state("user_stream", {"state": "up", "last_event_at": at})
            self.store.set_state("trading", {"state": state, "reason": reason})
            self.store.set_state("exposure", {"margin": D("61.24"), "notional": D("306.2"), "cap": D(200)})
            self.store.set_state("external_orders", {"items": []})
            self.store.set_state("account", _account(at))

    def publish_symbol_facts(self) -> None:
        """Publish what the page checks unsaved settings of BTCUSDT with."""
        bracket = {"notional_cap": "10000", "max_leverage": 100, "maintenance_ratio": "0.005"}
        facts = {"price": "50000", "balance": "1000", "collateral": "1000", "brackets": [bracket]}
        with self.store.transaction():
            self.store.save_instruments([an_instrument()])
            self.store.set_state("symbol_checks", {"symbols": {"BTCUSDT": facts}})

    def ask_about(self, *symbols: str, side: str = "LONG", held: str = "1.5", own: str = "1.0") -> None:
        """Publish an open question about a position of each symbol, asked twelve minutes ago."""
        numbers = {"position_side": side, "quantity": held, "own_quantity": own}
        asked_at = self.clock.now_ms() - 725_000
        items = [{"symbol": symbol, "asked_at": asked_at, **numbers} for symbol in symbols or ("BTCUSDT",)]
        with self.store.transaction():
            self.store.set_state("position_questions", {"items": items})
            self.store.journal("alert", {"message": "is this position the bot's or yours?"})

    def answer_question(self, command_id: int, action: str, message: str) -> None:
        """Acknowledge the answer: no question is open any more."""
        with self.store.transaction():
            self.store.set_state("position_questions", {"items": []})
            self.store.journal("command", {"id": command_id, "action": action, "message": message})

    def await_consent(self, terms: RiskTerms, *risk_increases: str) -> None:
        """Write terms of live trading that await confirmation."""
        state = {"terms": terms.to_json(), "fingerprint": terms.fingerprint, "risk_increases": list(risk_increases)}
        with self.store.transaction():
            self.store.set_state("live_consent_pending", state)
            self.store.journal("state", {"state": "REDUCE_ONLY", "reason": "live trading needs your confirmation"})

    def clear_pending_consent(self) -> None:
        with self.store.transaction():
            self.store.set_state("live_consent_pending", {})
            self.store.journal("state", {"state": "ACTIVE", "reason": ""})

    def add_position(self, symbol: str = "BTCUSDT", **changes: Any) -> None:
        """Write an open position of 0.002 at 96,000 with a stop loss."""
        now = self.clock.now_ms()
        record = {
            "mark_price": D(96_500),
            "leverage": 5,
            "margin_type": MarginType.ISOLATED,
            "liquidation_price": D(78_000),
            "take_profit_price": D("96960.5"),
            "stop_loss_price": D("94080.5"),
            "protection": Protection.OK,
            "opened_at": now - 720_000,
            "as_of": now + AHEAD_MS,
            "entry_client_order_id": ENTRY_ID,
        }
        position = Position(symbol, PositionSide.LONG, D("0.002"), D(96_000))
        with self.store.transaction():
            self.store.save_position(PositionRecord(position=position, **{**record, **changes}))
            self.store.journal("position", {}, symbol)

    def add_liquidation(
        self, liquidation: Liquidation | None = None, gate: Gate | None = Gate.THRESHOLD, **changes: Any
    ) -> None:
        """Write a liquidation and its verdict."""
        event = liquidation or a_liquidation(traded_at=self.clock.now_ms(), **changes)
        decision = Decision(
            symbol=event.symbol,
            liquidation_side=event.side,
            decided_at=self.clock.now_ms(),
            gate=gate,
            reason="bought 0.002 at 96,000" if gate is None else "the window holds 60,000 of 100,000 USDT",
            numbers={"window": event.notional},
            window_volume=event.notional,
            threshold=D(100_000),
            client_order_id=ENTRY_ID if gate is None else None,
        )
        with self.store.transaction():
            (row_id,) = self.store.insert_liquidations([event])
            self.store.record_decisions([(row_id, decision)])
            self.store.journal("liquidation", {"count": 1, "items": []})

    def add_journal_entry(self, kind: str, payload: Mapping[str, object], symbol: str | None = None) -> None:
        """Write an entry of the journal."""
        with self.store.transaction():
            self.store.journal(kind, payload, symbol)

    def add_order(self, role: OrderRole = OrderRole.ENTRY) -> None:
        """Write an open order."""
        self._record(an_order(role, created_at=self.clock.now_ms(), order_id=1001))

    def add_fill(self) -> None:
        """Write a filled entry."""
        request, now = an_order().request, self.clock.now_ms()
        fill = a_fill(request, traded_at=now)
        filled: dict[str, Any] = {
            "filled_quantity": fill.quantity,
            "average_price": fill.price,
            "order_id": fill.order_id,
        }
        self._record(an_order(status=OrderStatus.FILLED, created_at=now, **filled))
        with self.store.transaction():
            self.store.record_fill(fill)

    def _record(self, order: Order) -> None:
        with self.store.transaction():
            self.store.record_order(order, simulated=False)
            self.store.update_order(order, "stream")
            self.store.journal("order", {}, order.symbol)


def _account(at: int) -> dict[str, object]:
    return {
        "wallet_balance": D("1012.97"),
        "unrealized_pnl": D("1.00"),
        "margin_balance": D("1013.97"),
        "available_balance": D("951.73"),
        "initial_margin": D("61.24"),
        "maintenance_margin": D("2.44"),
        "at": at,
    }
