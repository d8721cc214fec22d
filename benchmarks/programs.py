"""Starts what a benchmark needs: the exchange, the floor program and the bot, each as a process of its own."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from benchmarks.exchange import TRADED, WATCHED
from src.credentials.credentials import CREDENTIAL_NAMES
from src.database.db import open_reader, read_transaction
from src.database.models import StateRow
from src.domain.enums import Network
from src.utils.auth import ApiVersion, Eip712Signer, HmacSigner, Signer

ROOT = Path(__file__).parents[1]
_START_SECONDS = 60
_STOP_SECONDS = 20
_FIRST_PRICES_SECONDS = 1.5
_KEY, _SECRET = "k" * 64, "s" * 64
_USER, _PRIVATE_KEY = f"0x{'11' * 20}", f"0x{'42' * 32}"
_EXCLUDED = (*CREDENTIAL_NAMES, "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL", "DB_PATH", "HUNTER_HOME")
_SYMBOL = {
    "volume_threshold": 1,
    "leverage": 5,
    "margin_type": "CROSSED",
    "trade_value_usdt": 40,
    "max_position_usdt": 50_000,
    "take_profit_pct": 5,
    "stop_loss_pct": 5,
}
_GLOBALS = {
    "simulate_only": False,
    "db_path": "bot.db",
    "volume_window_sec": 60,
    "cooldown_sec": 0,
    "hedge_mode": False,
    "order_ttl_seconds": 3600,
    "max_open_orders_per_symbol": 199,
    "max_total_exposure_usdt": 100_000,
}


def settings_document() -> dict[str, Any]:
    """Ten configured symbols: a liquidation of one half always leads to an entry, of the other half never."""
    watched = {symbol: {**_SYMBOL, "volume_threshold": 1_000_000_000} for symbol in WATCHED}
    return {"globals": _GLOBALS, "symbols": {**dict.fromkeys(TRADED, _SYMBOL), **watched}}


def signer_of(version: ApiVersion) -> Signer:
    """The signer of both programs; the exchange of the benchmarks does not check signatures."""
    if version is ApiVersion.V1:
        return HmacSigner(_KEY, _SECRET)
    return Eip712Signer(_USER, _PRIVATE_KEY, Network.MAINNET.chain_id)


class ExchangeControl:
    """The exchange's process, and the connection that controls it."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def run(self, action: str, **arguments: object) -> Any:
        """Run one step and return its result. Raises RuntimeError if an expected order did not arrive."""
        self._connection.request("POST", "/control", json.dumps({"do": action, **arguments}))
        result = json.loads(self._connection.getresponse().read())
        if isinstance(result, dict) and "error" in result:
            raise RuntimeError(f"{action} {arguments}: {result['error']}")
        return result


@contextmanager
def exchange() -> Iterator[ExchangeControl]:
    process = _start("-m", "benchmarks.exchange", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield ExchangeControl(int(_read_line(process)))
    finally:
        _stop(process)


@contextmanager
def floor(control: ExchangeControl, version: ApiVersion) -> Iterator[None]:
    process = _start("-m", "benchmarks.floor", control.address, version, stdout=subprocess.PIPE)
    try:
        _read_line(process)
        yield
    finally:
        _stop(process)


@contextmanager
def bot(control: ExchangeControl, version: ApiVersion, home: Path) -> Iterator[int]:
    """The bot with the settings above, trading; yields its process id."""
    (home / "settings.json").write_text(json.dumps(settings_document()), encoding="utf-8")
    keys = {"API_KEY": _KEY, "API_SECRET": _SECRET}
    if version is ApiVersion.V3:
        keys = {"ASTER_USER_ADDRESS": _USER, "ASTER_SIGNER_PRIVATE_KEY": _PRIVATE_KEY}
    base_url, ws_url = f"http://{control.address}", f"ws://{control.address}"
    addresses = {"ASTER_NETWORK": "sandbox", "ASTER_BASE_URL": base_url, "ASTER_WS_URL": ws_url}
    command = ["main.py", "--home", str(home), "--yes"]
    with (home / "bot.out").open("w", encoding="utf-8") as output:
        process = _start(*command, stdout=output, stderr=output, **keys, **addresses)
        try:
            _wait_until_trading(home, process)
            yield process.pid
        finally:
            _stop(process)


def _start(*command: str, stdin: Any = None, stdout: Any = None, stderr: Any = None, **variables: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if name not in _EXCLUDED} | variables
    return subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, text=True
    )


def _stop(process: Any) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read_line(process: Any) -> str:
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended before it was ready")
    return str(line)


def _wait_until_trading(home: Path, process: Any) -> None:
    deadline = time.monotonic() + _START_SECONDS
    engine = open_reader(home / "bot.db")
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
        try:
            with read_transaction(engine) as connection:
                row = connection.execute(StateRow.__table__.select().where(StateRow.key == "trading")).first()
        except OperationalError:
            continue
        if row is not None and row.value["state"] == "ACTIVE":
            time.sleep(_FIRST_PRICES_SECONDS)
            return
    raise RuntimeError(f"the bot did not start trading; its output:\n{(home / 'bot.out').read_text(encoding='utf-8')}")
