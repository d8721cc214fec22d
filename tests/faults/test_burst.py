"""More liquidations than anybody can use (F26)."""

import time
from decimal import Decimal

import pytest

from src.domain.enums import OrderRole, Side
from tests.faults.conftest import MakeRig
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

SECONDS, PER_SECOND = 6, 200
"""A tenth of the minute: what is judged keeps no queue, so that a longer one looks the same."""


def burst(rig: Rig, seconds: float) -> tuple[int, list[int]]:
    """Liquidations of a configured symbol, evenly: how many; how long our own events waited meanwhile, as told."""
    began_at, sent, lags = time.monotonic(), 0, []
    while (passed := time.monotonic() - began_at) < seconds:
        while sent < passed * PER_SECOND:
            rig.exchange.liquidate(SYMBOL, Side.SELL, Decimal("0.1"))
            sent += 1
        lags.append(rig.state("inbox").get("lag_ms", 0))
        time.sleep(0.02)
    return sent, lags


def test_f26_in_a_flood_of_liquidations_a_fill_is_protected_at_once_and_none_is_lost(make_rig: MakeRig) -> None:
    rig = make_rig({"cooldown_sec": 120}).start()
    rig.hunt()
    before = len(rig.rows("SELECT id FROM liquidations"))
    sent, lags = burst(rig, SECONDS / 2)
    rig.fill()
    rig.wait_protected()
    more, later = burst(rig, SECONDS / 2)
    lags += later
    rig.measured["events of ours waited"] = max(lags)
    assert max(lags) <= 1_000
    assert sent + more > SECONDS * PER_SECOND // 2
    wait_until(lambda: len(rig.rows("SELECT id FROM liquidations")) - before >= sent + more, 30, "all are stored")
    assert rig.state("inbox")["dropped"] == 0
    assert len(rig.arrived(OrderRole.ENTRY)) == 1
    rig.check_books(naked_ms=2_000)
