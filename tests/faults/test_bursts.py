"""Much at once: fifty signals within a second (F48), many threads at one signer (F46)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

import pytest

from src.domain.clock import SystemClock
from src.domain.enums import OrderRole, Side
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
_TRIES = 3
_THREADS, _QUESTIONS = 8, 20


def burst(harness: FaultHarness) -> None:
    """Each liquidation alone passes the threshold; all come at once, from both sides in turn."""
    harness.move(harness.mid_price)
    before = len(harness.verdicts())
    for number in range(_BURST):
        harness.exchange.liquidate(SYMBOL, Side.SELL if number % 2 else Side.BUY, D("1.5"))
    harness.measure("fifty signals evaluated", lambda: len(harness.verdicts()) == before + _BURST, 20)


def margins(harness: FaultHarness) -> dict[str, Decimal]:
    """Of every entry that was decided."""
    leverage = harness.settings.symbols[SYMBOL].leverage
    rows = harness.rows("SELECT client_order_id, price, quantity FROM trades WHERE role = 'ENTRY'")
    return {row["client_order_id"]: D(row["price"]) * D(row["quantity"]) / leverage for row in rows}


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"max_open_orders_per_symbol": 3}, 3),
        ({"max_open_orders_per_symbol": 50, "max_entries_per_minute": 2}, 2),
        ({"max_open_orders_per_symbol": 50, "max_total_exposure_usdt": 120}, 2),
    ],
    ids=["orders", "per minute", "exposure"],
)
def test_f48_fifty_signals_at_once_pass_no_cap(make_harness: MakeHarness, limits: dict[str, int], most: int) -> None:
    """One thread decides and reserves in one step: no answer of the exchange is waited for."""
    harness = make_harness({"hedge_mode": True, **limits}, max_position_usdt=1_000).start()
    for _ in range(_TRIES):
        if len(margins(harness)) < most:  # on a busy machine the quote may have grown old first
            burst(harness)
    wait_until(lambda: len(harness.received_orders(ENTRY)) == most, 15, "all that was decided has left")
    decided = margins(harness)
    assert set(harness.received_orders(ENTRY)) == set(decided)
    assert len(decided) == most
    assert sum(decided.values()) <= harness.settings.globals_.max_total_exposure_usdt
    burst(harness)
    assert len(harness.received_orders(ENTRY)) == most
    harness.check_consistency(unprotected_ms=0)


class DriftingClock(SystemClock):
    """A wall clock that is set back a little now and then, as a time server does."""

    def __init__(self) -> None:
        self._asked = 0

    def now_ms(self) -> int:
        self._asked += 1
        return super().now_ms() - (800 if self._asked % 3 == 0 else 0)


def test_f46_of_many_threads_that_sign_at_once_none_is_refused(make_harness: MakeHarness) -> None:
    """The sandbox keeps the last hundred nonces and refuses what is no greater than all of them, as V3 says."""
    harness = make_harness()
    signer = credentials_of(harness.server, ApiVersion.V3).make_signer()
    client = AsterClient(
        harness.server.base_url, DriftingClock(), RateLimits(SystemClock(), weight_limit=10**6), signer
    )
    refused: list[AuthError] = []
    together = threading.Barrier(_THREADS)

    def ask(_: int) -> int:
        together.wait()
        answered = 0
        for _question in range(_QUESTIONS):
            with suppress(RateLimited):
                try:
                    client.request(endpoints.POSITIONS, essential=True)
                    answered += 1
                except AuthError as error:
                    refused.append(error)
        return answered

    with ThreadPoolExecutor(_THREADS) as threads:
        answered = sum(threads.map(ask, range(_THREADS)))
    assert refused == []
    assert answered == _THREADS * _QUESTIONS


SECONDS, PER_SECOND = 6, 200
"""A tenth of the minute: what is judged keeps no queue, so that a longer one looks the same."""


def send_events(harness: FaultHarness, seconds: float) -> tuple[int, list[int]]:
    """Liquidations of a configured symbol, evenly: how many; how long our own events waited meanwhile, as told."""
    began_at, sent, lags = time.monotonic(), 0, []
    while (passed := time.monotonic() - began_at) < seconds:
        while sent < passed * PER_SECOND:
            harness.exchange.liquidate(SYMBOL, Side.SELL, Decimal("0.1"))
            sent += 1
        lags.append(harness.state("inbox").get("lag_ms", 0))
        time.sleep(0.02)
    return sent, lags


def test_f26_in_a_flood_of_liquidations_a_fill_is_protected_at_once_and_none_is_lost(make_harness: MakeHarness) -> None:
    harness = make_harness({"cooldown_sec": 120}).start()
    harness.trigger_entry()
    before = len(harness.rows("SELECT id FROM liquidations"))
    sent, lags = send_events(harness, SECONDS / 2)
    harness.fill()
    harness.wait_protected()
    more, later = send_events(harness, SECONDS / 2)
    lags += later
    harness.measured["delay of own events"] = max(lags)
    assert max(lags) <= 1_000
    assert sent + more > SECONDS * PER_SECOND // 2
    wait_until(lambda: len(harness.rows("SELECT id FROM liquidations")) - before >= sent + more, 30, "all are stored")
    assert harness.state("inbox")["dropped"] == 0
    assert len(harness.received_orders(OrderRole.ENTRY)) == 1
    harness.check_consistency(unprotected_ms=2_000)
