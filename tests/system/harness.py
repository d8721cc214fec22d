"""A real bot process on a sandbox over real sockets, and the records of both."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from src.credentials.credentials import CREDENTIAL_NAMES
from src.database.db import open_reader, read_transaction
from src.database.models import FillRow, FundingPaymentRow, LiquidationRow, PositionRow, StateRow, TradeRow
from src.sandbox.server import SandboxServer

ROOT = Path(__file__).parents[2]
TRADING_WITHIN_SECONDS = 90
STOPPED_WITHIN_SECONDS = 20
_KILLED_WITHIN_SECONDS = 20
_PERSONAL_VARIABLES = (*CREDENTIAL_NAMES, "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_HOME")


def wait_until(condition: Callable[[], bool], seconds: float, description: str) -> None:
    """Poll until the condition holds; AssertionError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {description}"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class BotTotals:
    """Totals of the bot's records."""

    realized_pnl: Decimal
    commission: Decimal
    funding: Decimal
    positions: dict[tuple[str, str], Decimal]
    liquidations: int
    undecided: int
    """Liquidations of configured symbols without a decision."""

    @property
    def net(self) -> Decimal:
        return self.realized_pnl - self.commission + self.funding


class BotProcess:
    """``main.py`` as a process, with its own home directory."""

    def __init__(self, home: Path, settings: dict[str, Any]) -> None:
        self.home = home
        (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        self._symbols = list(settings["symbols"])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **variables: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _PERSONAL_VARIABLES} | variables
        with (self.home / "bot.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "main.py", "--home", str(self.home), *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the process without a shutdown."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_KILLED_WITHIN_SECONDS)

    def stop(self) -> int:
        """Stop the bot cleanly; returns the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOPPED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def wait(self, seconds: float) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def output(self) -> str:
        return (self.home / "bot.out").read_text(encoding="utf-8")

    def wait_until_trading(self) -> None:
        """Wait until this process, not an earlier one, reports that it trades."""

        def is_trading() -> bool:
            is_alive = self.state("bot").get("pid") == self.pid
            return is_alive and self.state("trading").get("state") == "ACTIVE"

        wait_until(is_trading, TRADING_WITHIN_SECONDS, self.output)

    def state(self, key: str) -> dict[str, Any]:
        """A value of the bot's state; empty before it is written."""
        try:
            with read_transaction(self._database()) as connection:
                found = connection.scalar(select(StateRow.value).where(StateRow.key == key))
        except OperationalError:
            return {}
        return found or {}

    def totals(self) -> BotTotals:
        """Read the totals of everything recorded."""
        with read_transaction(self._database()) as connection:
            fills = connection.execute(select(FillRow.realized_pnl, FillRow.commission)).all()
            funding = connection.scalars(select(FundingPaymentRow.amount)).all()
            positions = connection.execute(select(PositionRow.symbol, PositionRow.position_side, PositionRow.quantity))
            liquidations = connection.execute(select(LiquidationRow.id, LiquidationRow.symbol)).all()
            decided = set(connection.exec_driver_sql("SELECT liquidation_id FROM decisions").scalars())
            return BotTotals(
                realized_pnl=sum((row.realized_pnl for row in fills), Decimal(0)),
                commission=sum((row.commission for row in fills), Decimal(0)),
                funding=sum(funding, Decimal(0)),
                positions={(row.symbol, row.position_side): row.quantity for row in positions},
                liquidations=len(liquidations),
                undecided=sum(row.symbol in self._symbols and row.id not in decided for row in liquidations),
            )

    def orders(self, role: str) -> list[str]:
        """Client order ids of one role."""
        with read_transaction(self._database()) as connection:
            return list(connection.scalars(select(TradeRow.client_order_id).where(TradeRow.role == role)))

    def _database(self) -> Engine:
        return open_reader(self.home / "bot.db")


def sandbox_net(server: SandboxServer) -> Decimal:
    """Net trading result in the sandbox's wallet: all changes except transfers."""
    with server.exchange.lock:
        incomes = server.exchange.engine.incomes()
    return sum((income.amount for income in incomes if income.type != "TRANSFER"), Decimal(0))


def sandbox_positions(server: SandboxServer) -> dict[tuple[str, str], Decimal]:
    with server.exchange.lock:
        reports = server.exchange.engine.positions()
    return {(each.symbol, each.position_side.value): each.quantity for each in reports if each.quantity}


def demo_settings(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> dict[str, Any]:
    """The demo's settings, with changes."""
    document: dict[str, Any] = json.loads((ROOT / "src/sandbox/demo_settings.json").read_text(encoding="utf-8"))
    for symbol in document["symbols"].values():
        symbol.update(symbol_changes)
    document["globals"].update(global_changes or {})
    return document
