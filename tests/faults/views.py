"""Views of the records of the sandbox exchange and of the bot's database."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from src.core.orders.fills import forced_reason
from src.database.db import open_reader, read_transaction
from src.domain.enums import OrderRole, PositionSide
from src.domain.orders import ClientOrderId, Fill, OrderUpdate
from src.sandbox.account.audit import UnprotectedSpan
from src.sandbox.exchange import SandboxExchange

D = Decimal
SYMBOL = "BTCUSDT"


class ExchangeView:
    """The sandbox's records, which the tests check against."""

    exchange: SandboxExchange

    def received_orders(self, role: OrderRole | None = None) -> dict[str, int]:
        """By client order id: how often each order was received, whatever its result."""
        with self.exchange.lock:
            attempts = dict(self.exchange.account.request_log.attempts)
        return {name: times for name, times in attempts.items() if role in (None, _role(name))}

    def sent_twice(self) -> dict[str, int]:
        """Orders received more than once without a rejected timestamp."""
        with self.exchange.lock:
            return self.exchange.account.request_log.duplicates()

    def orders(self, role: OrderRole | None = None) -> list[OrderUpdate]:
        """The bot's open orders."""
        with self.exchange.lock:
            found = self.exchange.engine.open_orders(SYMBOL)
        return [each for each in found if (own := _role(each.client_order_id)) is not None and role in (None, own)]

    @property
    def position(self) -> Decimal:
        with self.exchange.lock:
            return sum((each.quantity for each in self.exchange.account.open_positions()), D(0))

    def longest_unprotected_ms(self) -> int:
        """Longest time that any position had no stop covering it."""
        with self.exchange.lock:
            return self.exchange.protection.longest_ms(self.exchange.now_ms())

    def unprotected_spans(self, since: int) -> list[UnprotectedSpan]:
        """Times since then at which a position had no stop covering it."""
        with self.exchange.lock:
            spans = self.exchange.protection.spans()
        return [span for span in spans if span.until is None or span.until > since]

    def expected_stop_price(self) -> Decimal:
        """The stop price of the only position: 2 % below its entry price."""
        with self.exchange.lock:
            [held] = self.exchange.account.open_positions()
        return held.position.entry_price * D("0.98")

    def has_correct_stop(self) -> bool:
        stops = self.orders(OrderRole.STOP_LOSS)
        return len(stops) == 1 and abs(stops[0].stop_price - self.expected_stop_price()) < 1

    def fills(self) -> list[Fill]:
        with self.exchange.lock:
            return self.exchange.engine.fills(SYMBOL)

    def own_trades(self) -> set[int]:
        """Trades of the bot's orders, and of those that the exchange forces on its position."""
        names = {fill.trade_id: fill.client_order_id for fill in self.fills()}
        return {trade_id for trade_id, name in names.items() if _role(name) is not None or forced_reason(name)}

    def net(self) -> Decimal:
        """Net result of trading this symbol."""
        with self.exchange.lock:
            incomes = self.exchange.engine.incomes()
        return sum((income.amount for income in incomes if income.symbol == SYMBOL), D(0))

    def flips(self) -> list[Fill]:
        """Fills that reversed a position."""
        held: dict[PositionSide, Decimal] = {}
        flips = []
        for fill in self.fills():
            before = held.get(fill.position_side, D(0))
            after = held[fill.position_side] = before + fill.side.sign * fill.quantity
            if before * after < 0:
                flips.append(fill)
        return flips


def _role(client_order_id: str) -> OrderRole | None:
    known = ClientOrderId.parse(client_order_id)
    return None if known is None else known.role


class BotView:
    """The database of the bot in ``home``."""

    home: Path
    _reader: Engine | None = None

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Read as another process would."""
        if self._reader is None:
            self._reader = open_reader(self.home / "bot.db")
        with read_transaction(self._reader) as connection:
            return list(connection.execute(text(query), values).mappings())

    def state(self, key: str) -> dict[str, Any]:
        found = self.rows("SELECT value FROM bot_state WHERE key = :key", key=key)
        value = found[0]["value"] if found else {}
        return json.loads(value) if isinstance(value, str) else dict(value)

    def trading_status(self) -> tuple[str, str]:
        """State of trading, and the reason for a block."""
        trading = self.state("trading")
        return trading.get("state", ""), trading.get("reason") or ""

    def last_journal_id(self) -> int:
        """Id of the newest journal row."""
        return int(self.rows("SELECT coalesce(max(id), 0) AS id FROM journal")[0]["id"])

    def was_blocked(self, reason: str, since: int = 0) -> bool:
        """Whether a journal row after this one reports the block, which may already be over."""
        rows = self.rows("SELECT payload FROM journal WHERE kind = 'state' AND id > :since", since=since)
        return any(reason in row["payload"] for row in rows)

    def decided_entries(self) -> int:
        """Number of decided entries, sent or not."""
        return len(self.rows("SELECT 1 FROM trades WHERE role = 'ENTRY'"))

    def status(self, client_order_id: str) -> str:
        rows = self.rows("SELECT order_status FROM trades WHERE client_order_id = :name", name=client_order_id)
        return str(rows[0]["order_status"]) if rows else ""

    def alerts(self) -> list[str]:
        rows = self.rows("SELECT payload FROM journal WHERE kind = 'alert' ORDER BY id")
        return [json.loads(row["payload"])["message"] for row in rows]

    def verdicts(self) -> list[str]:
        return [row["reason"] for row in self.rows("SELECT reason FROM decisions ORDER BY liquidation_id")]

    def recorded_net(self) -> Decimal:
        """Realized PnL, less fees, plus funding and results of manual trades, as recorded by the bot."""
        trades = self.rows("SELECT realized_pnl, commission FROM fills")
        funding = self.rows("SELECT amount FROM funding_payments")
        manual = self.rows("SELECT amount FROM external_income WHERE symbol != ''")
        profit = sum((D(row["realized_pnl"]) - D(row["commission"]) for row in trades), D(0))
        return profit + sum((D(row["amount"]) for row in (*funding, *manual)), D(0))

    def recorded_trades(self) -> set[int]:
        return {row["trade_id"] for row in self.rows("SELECT trade_id FROM fills")}

    def recorded_position(self) -> Decimal:
        return sum((D(row["quantity"]) for row in self.rows("SELECT quantity FROM positions")), D(0))
