"""Bursts: fifty signals within a second (F48), many threads with one signer (F46), many liquidations (F26)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

import pytest

from src.domain.clock import SystemClock
from src.domain.enums import Network, OrderRole, Side
from src.domain.errors import AuthError, RateLimited
from src.exchange import endpoints
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.utils.auth import ApiVersion
from tests.faults.conftest import MakeHarness
from tests.faults.harness import SYMBOL, D, FaultHarness, wait_until
from tests.sandbox.credentials import credentials_of

pytestmark = pytest.mark.recovery

ENTRY = OrderRole.ENTRY
_BURST = 50
_ATTEMPTS = 3
_THREADS, _REQUESTS = 8, 20


def burst(harness: FaultHarness) -> None:
    """Fifty liquidations at once, alternating between the sides; each one alone exceeds the threshold."""
    harness.move(harness.mid_price)
    before = len(harness.verdicts())
    for number in range(_BURST):
        harness.exchange.liquidate(SYMBOL, Side.SELL if number % 2 else Side.BUY, D("1.5"))
    harness.measure("fifty signals evaluated", lambda: len(harness.verdicts()) == before + _BURST, 20)


def margins(harness: FaultHarness) -> dict[str, Decimal]:
    """Margin of each decided entry."""
    leverage = harness.settings.symbols[SYMBOL].leverage
    rows = harness.rows("SELECT client_order_id, price, quantity FROM trades WHERE role = 'ENTRY'")
    return {row["client_order_id"]: D(row["price"]) * D(row["quantity"]) / leverage for row in rows}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_open_orders_per_symbol": 3}, 3),
        ({"max_open_orders_per_symbol": 50, "max_entries_per_minute": 2}, 2),
        ({"max_open_orders_per_symbol": 50, "max_total_exposure_usdt": 120}, 2),
    ],
    ids=["orders", "per minute", "exposure"],
)
def test_f48_fifty_signals_at_once_exceed_no_limit(
    make_harness: MakeHarness, limits: dict[str, int], expected: int
) -> None:
    """One thread decides and reserves in one step, without waiting for the exchange."""
    harness = make_harness({"hedge_mode": True, **limits}, max_position_usdt=1_000).start()
    for _ in range(_ATTEMPTS):
        if len(margins(harness)) < expected:  # on a slow machine the quote may already be stale
            burst(harness)
    wait_until(lambda: len(harness.received_orders(ENTRY)) == expected, 15, "all decided entries are sent")
    decided = margins(harness)
    assert set(harness.received_orders(ENTRY)) == set(decided)
    assert len(decided) == expected
    assert sum(decided.values()) <= harness.settings.globals_.max_total_exposure_usdt
    burst(harness)
    assert len(harness.received_orders(ENTRY)) == expected
    harness.check_consistency(unprotected_ms=0)


class DriftingClock(SystemClock):
    """A wall clock that is now and then set back a little, as NTP does."""

    def __init__(self) -> None:
        self._reads = 0

    def now_ms(self) -> int:
        self._reads += 1
        return super().now_ms() - (800 if self._reads % 3 == 0 else 0)


def test_f46_concurrent_signing_is_never_rejected(make_harness: MakeHarness) -> None:
    """The sandbox keeps the last hundred nonces and rejects a nonce not greater than all of them, as V3 requires."""
    harness = make_harness()
    signer = credentials_of(harness.server, ApiVersion.V3).make_signer(Network.SANDBOX)
    client = AsterClient(
        harness.server.base_url, DriftingClock(), RateLimits(SystemClock(), weight_limit=10**6), signer
    )
    rejected: list[AuthError] = []
    barrier = threading.Barrier(_THREADS)

    def send_requests(_: int) -> int:
        barrier.wait()
        answered = 0
        for _request in range(_REQUESTS):
            with suppress(RateLimited):
                try:
                    client.request(endpoints.POSITIONS, essential=True)
                    answered += 1
                except AuthError as error:
                    rejected.append(error)
        return answered

    with ThreadPoolExecutor(_THREADS) as threads:
        answered = sum(threads.map(send_requests, range(_THREADS)))
    assert rejected == []
    assert answered == _THREADS * _REQUESTS


SECONDS, PER_SECOND = 6, 200
"""A tenth of a minute: events are not queued, so a longer burst looks the same."""


def send_events(harness: FaultHarness, seconds: float) -> tuple[int, list[int]]:
    """Send liquidations at a constant rate; returns their number and the reported delays of own events, in ms."""
    started_at, sent, lags = time.monotonic(), 0, []
    while (passed := time.monotonic() - started_at) < seconds:
        while sent < passed * PER_SECOND:
            harness.exchange.liquidate(SYMBOL, Side.SELL, Decimal("0.1"))
            sent += 1
        lags.append(harness.state("event_queue").get("lag_ms", 0))
        time.sleep(0.02)
    return sent, lags


def test_f26_fill_is_protected_during_a_liquidation_burst(make_harness: MakeHarness) -> None:
    harness = make_harness({"cooldown_sec": 120}).start()
    harness.trigger_entry()
    before = len(harness.rows("SELECT id FROM liquidations"))
    sent, lags = send_events(harness, SECONDS / 2)
    harness.fill()
    harness.wait_protected()
    more, later_lags = send_events(harness, SECONDS / 2)
    lags += later_lags
    harness.measured["delay of own events"] = max(lags)
    assert max(lags) <= 1_000
    assert sent + more > SECONDS * PER_SECOND // 2
    wait_until(lambda: len(harness.rows("SELECT id FROM liquidations")) - before >= sent + more, 30, "all are stored")
    assert harness.state("event_queue")["dropped"] == 0
    assert len(harness.received_orders(OrderRole.ENTRY)) == 1
    harness.check_consistency(unprotected_ms=2_000)
