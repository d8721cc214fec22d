"""What signing a request costs: V1 and V3, with and without the accelerated library, against one bare HMAC.

The library for V3 is chosen once in a process, so each choice is measured in a process of its own. Measured is the time
of the processor, which what else runs on this machine does not lengthen much.
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
    """Medians of one process, ms."""

    is_accelerated: bool
    hmac_ms: float
    eip712_ms: float
    floor_ms: float
    """One HMAC-SHA256 over the same text, and nothing else."""

    @property
    def bound_ms(self) -> float:
        return ACCELERATED_BOUND_MS if self.is_accelerated else BOUND_MS

    @property
    def is_good(self) -> bool:
        return self.eip712_ms < self.bound_ms

    def told(self) -> str:
        how = f"with {_ACCELERATOR}" if self.is_accelerated else "in plain Python"
        return (
            f"signing {how}: API wallet (V3) {self._of(self.eip712_ms)}, bound {self.bound_ms:g} ms; "
            f"API key (V1) {self._of(self.hmac_ms)}"
        )

    def _of(self, span_ms: float) -> str:
        return f"{span_ms:.3f} ms, {span_ms / self.floor_ms:.0f} × one HMAC"


def measure_signing(count: int) -> list[Signing]:
    """In plain Python, and accelerated where that library is installed."""
    choices = [False, True] if importlib.util.find_spec(_ACCELERATOR) else [False]
    return [_measured_apart(count, is_accelerated=each) for each in choices]


def _measured_apart(count: int, *, is_accelerated: bool) -> Signing:
    command = [sys.executable, "-m", "benchmarks.signing", str(count)]
    surroundings = os.environ | {"ECC_BACKEND_CLASS": _BACKENDS[is_accelerated]}
    answer = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout
    return Signing(is_accelerated, **json.loads(answer))


def _measure(count: int) -> dict[str, float]:
    key = HmacSigner("k" * 64, "s" * 64)
    wallet = Eip712Signer(f"0x{'11' * 20}", f"0x{'42' * 32}")
    text, secret = key.sign(_ORDER, 0).encode(), b"s" * 64
    deeds: dict[str, Callable[[int], object]] = {
        "floor_ms": lambda _: hmac.new(secret, text, hashlib.sha256).hexdigest(),
        "hmac_ms": lambda number: key.sign(_ORDER, number),
        "eip712_ms": lambda number: wallet.sign(_ORDER, number),
    }
    spans: dict[str, list[float]] = {name: [] for name in deeds}
    for number in range(count + _WARM_UP):
        for name, deed in deeds.items():  # in turn: what slows this machine down slows all of them
            started = time.thread_time()
            deed(number)
            spans[name].append((time.thread_time() - started) * 1000)
    return {name: median(each[_WARM_UP:]) for name, each in spans.items()}


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
