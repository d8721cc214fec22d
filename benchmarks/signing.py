"""CPU time to sign a request: V1 and V3, with and without the accelerated library, compared with a single HMAC.

The library for V3 is chosen once per process, so each choice is measured in its own process. CPU time depends little on
what else runs on the machine.
"""

import hashlib
import hmac
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from src.domain.enums import Network
from src.utils.auth import Eip712Signer, HmacSigner

BOUND_MS, ACCELERATED_BOUND_MS = 8.0, 1.0
_ACCELERATOR = "coincurve"
_BACKENDS = {False: "eth_keys.backends.NativeECCBackend", True: "eth_keys.backends.CoinCurveECCBackend"}
_ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "positionSide": "BOTH",
    "type": "LIMIT",
    "quantity": "0.01",
    "price": "50000",
    "timeInForce": "GTC",
    "newClientOrderId": "lh-mbv0x1k2abcde-e",
}
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Signing:
    """Medians of one process, in milliseconds."""

    is_accelerated: bool
    hmac_ms: float
    eip712_ms: float
    baseline_ms: float
    """A single HMAC-SHA256 over the same text."""

    @property
    def bound_ms(self) -> float:
        return ACCELERATED_BOUND_MS if self.is_accelerated else BOUND_MS

    @property
    def is_good(self) -> bool:
        return self.eip712_ms < self.bound_ms

    def report(self) -> str:
        method = f"with {_ACCELERATOR}" if self.is_accelerated else "in plain Python"
        return (
            f"signing {method}: API wallet (V3) {self._of(self.eip712_ms)}, bound {self.bound_ms:g} ms; "
            f"API key (V1) {self._of(self.hmac_ms)}"
        )

    def _of(self, duration_ms: float) -> str:
        return f"{duration_ms:.3f} ms, {duration_ms / self.baseline_ms:.0f} × one HMAC"


def measure_signing(count: int) -> list[Signing]:
    """Measure in plain Python, and accelerated if that library is installed."""
    choices = [False, True] if importlib.util.find_spec(_ACCELERATOR) else [False]
    return [_measure_in_process(count, is_accelerated=each) for each in choices]


def _measure_in_process(count: int, *, is_accelerated: bool) -> Signing:
    command = [sys.executable, "-m", "benchmarks.signing", str(count)]
    environment = os.environ | {"ECC_BACKEND_CLASS": _BACKENDS[is_accelerated]}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return Signing(is_accelerated, **json.loads(output))


def _measure(count: int) -> dict[str, float]:
    key = HmacSigner("k" * 64, "s" * 64)
    wallet = Eip712Signer(f"0x{'11' * 20}", f"0x{'42' * 32}", Network.MAINNET.chain_id)
    text, secret = key.sign(_ORDER, 0).encode(), b"s" * 64
    tasks: dict[str, Callable[[int], object]] = {
        "baseline_ms": lambda _: hmac.new(secret, text, hashlib.sha256).hexdigest(),
        "hmac_ms": lambda number: key.sign(_ORDER, number),
        "eip712_ms": lambda number: wallet.sign(_ORDER, number),
    }
    durations: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(count + _WARM_UP):
        for name, task in tasks.items():  # alternating, so that a slow phase affects all of them
            started = time.thread_time()
            task(number)
            durations[name].append((time.thread_time() - started) * 1000)
    return {name: median(each[_WARM_UP:]) for name, each in durations.items()}


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
