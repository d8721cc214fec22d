"""The bot's database as another process sees it, over a read-only connection."""

import json
import sqlite3
from decimal import Decimal
from pathlib import Path

from src.domain.enums import PositionSide

_OPEN = ("PENDING_NEW", "NEW", "PARTIALLY_FILLED", "PENDING_CANCEL")


class DatabaseView:
    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def close(self) -> None:
        self._connection.close()

    def status(self, client_order_id: str) -> str:
        query = "SELECT order_status FROM trades WHERE client_order_id = ?"
        rows = self._connection.execute(query, (client_order_id,)).fetchall()
        return str(rows[0][0]) if rows else ""

    def open_orders(self) -> set[str]:
        marks = ", ".join("?" * len(_OPEN))
        query = f"SELECT client_order_id FROM trades WHERE order_status IN ({marks})"
        return {str(name) for (name,) in self._connection.execute(query, _OPEN)}

    def trade_ids(self) -> list[int]:
        return [int(trade_id) for (trade_id,) in self._connection.execute("SELECT trade_id FROM fills")]

    def positions(self) -> dict[str, Decimal]:
        rows = self._connection.execute("SELECT position_side, quantity FROM positions")
        return {side: quantity for side, text in rows if (quantity := Decimal(text))}

    def owners(self) -> dict[PositionSide, bool]:
        """Whether each open position is the bot's."""
        rows = self._connection.execute("SELECT position_side, quantity, entry_client_order_id FROM positions")
        return {PositionSide(side): entry is not None for side, text, entry in rows if Decimal(text)}

    def questions(self) -> set[PositionSide]:
        """The positions whose owner a person is asked for."""
        query = "SELECT value FROM bot_state WHERE key = 'position_questions'"
        rows = self._connection.execute(query).fetchall()
        return {PositionSide(each["position_side"]) for (text,) in rows for each in json.loads(text)["items"]}

    def closing(self) -> list[str]:
        """Position keys that are being closed, each as symbol and position side."""
        rows = self._connection.execute("SELECT value FROM bot_state WHERE key = 'pending_closes'").fetchall()
        return list(json.loads(rows[0][0])) if rows else []

    def open_exits(self, position_side: str) -> list[str]:
        """Client order ids of open orders that protect or close the position of this side."""
        marks = ", ".join("?" * len(_OPEN))
        query = f"SELECT client_order_id FROM trades WHERE order_status IN ({marks}) AND role != 'ENTRY'"
        rows = self._connection.execute(f"{query} AND position_side = ?", (*_OPEN, position_side))
        return [str(name) for (name,) in rows]

    def net(self) -> Decimal:
        rows = self._connection.execute("SELECT realized_pnl, commission FROM fills")
        return sum((Decimal(profit) - Decimal(fee) for profit, fee in rows), Decimal(0))
