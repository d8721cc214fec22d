"""What a bot has written of itself, read as another process reads it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from src.database.db import open_reader, reading

D = Decimal


class BotBooks:
    """The ledger of the bot that lives in ``home``."""

    home: Path
    _reader: Engine | None = None

    def rows(self, query: str, **values: Any) -> list[Any]:
        """What another process would read."""
        if self._reader is None:
            self._reader = open_reader(self.home / "bot.db")
        with reading(self._reader) as connection:
            return list(connection.execute(text(query), values).mappings())

    def state(self, key: str) -> dict[str, Any]:
        found = self.rows("SELECT value FROM state WHERE key = :key", key=key)
        value = found[0]["value"] if found else {}
        return json.loads(value) if isinstance(value, str) else dict(value)

    def trading(self) -> tuple[str, str]:
        """Whether it may trade, and why not."""
        told = self.state("trading")
        return told.get("state", ""), told.get("reason") or ""

    def last_told(self) -> int:
        """The number of the journal's newest row."""
        return int(self.rows("SELECT coalesce(max(id), 0) AS id FROM journal")[0]["id"])

    def was_held_back(self, why: str, since: int = 0) -> bool:
        """At some instant, told after this row of the journal: what is mended at once may be over before we look."""
        told = self.rows("SELECT payload FROM journal WHERE kind = 'state' AND id > :since", since=since)
        return any(why in row["payload"] for row in told)

    def decided(self) -> int:
        """How many entries were decided, whether they have left yet or not."""
        return len(self.rows("SELECT 1 FROM trades WHERE role = 'ENTRY'"))

    def status(self, client_order_id: str) -> str:
        rows = self.rows("SELECT order_status FROM trades WHERE client_order_id = :name", name=client_order_id)
        return str(rows[0]["order_status"]) if rows else ""

    def alerts(self) -> list[str]:
        rows = self.rows("SELECT payload FROM journal WHERE kind = 'alert' ORDER BY id")
        return [json.loads(row["payload"])["message"] for row in rows]

    def verdicts(self) -> list[str]:
        return [row["reason"] for row in self.rows("SELECT reason FROM decisions ORDER BY liquidation_id")]

    def booked_net(self) -> Decimal:
        """Realised, less fees, plus funding, as the bot tells it."""
        trades = self.rows("SELECT realized_pnl, commission FROM fills")
        paid = self.rows("SELECT amount FROM funding")
        profit = sum((D(row["realized_pnl"]) - D(row["commission"]) for row in trades), D(0))
        return profit + sum((D(row["amount"]) for row in paid), D(0))

    def booked_position(self) -> Decimal:
        return sum((D(row["quantity"]) for row in self.rows("SELECT quantity FROM positions")), D(0))
