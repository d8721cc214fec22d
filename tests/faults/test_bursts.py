"""Much at once: fifty signals within a second (F48), many threads at one signer (F46)."""

import threading
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
from src.utils.auth import Scheme
from tests.faults.conftest import MakeRig
from tests.faults.rig import SYMBOL, D, Rig, wait_until
from tests.sandbox.credentials import credentials_of

pytestmark = pytest.mark.recovery

ENTRY = OrderRole.ENTRY
_BURST = 50
_TRIES = 3
_THREADS, _QUESTIONS = 8, 20


def burst(rig: Rig) -> None:
    """Each liquidation alone passes the threshold; all come at once, from both sides in turn."""
    rig.move(rig.middle)
    before = len(rig.verdicts())
    for number in range(_BURST):
        rig.exchange.liquidate(SYMBOL, Side.SELL if number % 2 else Side.BUY, D("1.5"))
    rig.measure("fifty judged", lambda: len(rig.verdicts()) == before + _BURST, 20)


def margins(rig: Rig) -> dict[str, Decimal]:
    """Of every entry that was decided."""
    leverage = rig.settings.symbols[SYMBOL].leverage
    rows = rig.rows("SELECT client_order_id, price, quantity FROM trades WHERE role = 'ENTRY'")
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
def test_f48_fifty_signals_at_once_pass_no_cap(make_rig: MakeRig, limits: dict[str, int], most: int) -> None:
    """One thread decides and reserves in one step: no answer of the exchange is waited for."""
    rig = make_rig({"hedge_mode": True, **limits}, max_position_usdt=1_000).start()
    for _ in range(_TRIES):
        if len(margins(rig)) < most:  # on a busy machine the quote may have grown old first
            burst(rig)
    wait_until(lambda: len(rig.arrived(ENTRY)) == most, 15, "all that was decided has left")
    decided = margins(rig)
    assert set(rig.arrived(ENTRY)) == set(decided)
    assert len(decided) == most
    assert sum(decided.values()) <= rig.settings.globals_.max_total_exposure_usdt
    burst(rig)
    assert len(rig.arrived(ENTRY)) == most
    rig.check_books(naked_ms=0)


class Wandering(SystemClock):
    """A wall clock that is set back a little now and then, as a time server does."""

    def __init__(self) -> None:
        self._asked = 0

    def now_ms(self) -> int:
        self._asked += 1
        return super().now_ms() - (800 if self._asked % 3 == 0 else 0)


def test_f46_of_many_threads_that_sign_at_once_none_is_refused(make_rig: MakeRig) -> None:
    """The sandbox keeps the last hundred nonces and refuses what is no greater than all of them, as V3 says."""
    rig = make_rig()
    signer = credentials_of(rig.server, Scheme.V3).make_signer()
    client = AsterClient(rig.server.base_url, Wandering(), RateLimits(SystemClock(), weight_limit=10**6), signer)
    refused: list[AuthError] = []
    together = threading.Barrier(_THREADS)

    def ask(_: int) -> int:
        together.wait()
        answered = 0
        for _question in range(_QUESTIONS):
            with suppress(RateLimited):
                try:
                    client.ask(endpoints.POSITIONS, essential=True)
                    answered += 1
                except AuthError as error:
                    refused.append(error)
        return answered

    with ThreadPoolExecutor(_THREADS) as threads:
        answered = sum(threads.map(ask, range(_THREADS)))
    assert refused == []
    assert answered == _THREADS * _QUESTIONS
