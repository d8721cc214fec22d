"""When enough was lost, by plain values."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.plans.locks import DAY_MS, Lock, LockKind, Results, day_start, drawdown_pct, lock_for, lock_from
from tests.builders import NOW, some_settings

D = Decimal
HOUR_MS = 3_600_000


def results(**changes: Any) -> Results:
    return Results(**{"net_today": D(0), "losses_in_a_row": 0, "equity": D(1000), "peak": D(1000), **changes})


def lock(found: Results, now_ms: int = NOW, **limits: Any) -> Lock | None:
    return lock_for(found, some_settings(limits).globals_, now_ms)


@pytest.mark.parametrize(
    ("limits", "found", "kind"),
    [
        ({"max_daily_loss_usdt": "50"}, {"net_today": D("-49.99999999")}, None),
        ({"max_daily_loss_usdt": "50"}, {"net_today": D(-50)}, LockKind.DAILY_LOSS),
        ({"max_daily_loss_usdt": "50"}, {"net_today": D(50)}, None),
        ({"max_consecutive_stops": 3}, {"losses_in_a_row": 2}, None),
        ({"max_consecutive_stops": 3}, {"losses_in_a_row": 3}, LockKind.STOPS),
        ({"max_drawdown_pct": 10}, {"equity": D("900.01")}, None),
        ({"max_drawdown_pct": 10}, {"equity": D(900)}, LockKind.DRAWDOWN),
        ({"max_drawdown_pct": 10}, {"equity": None}, None),
        ({"max_drawdown_pct": 10}, {"peak": None, "equity": D(1)}, None),
        ({}, {"net_today": D(-900), "losses_in_a_row": 99, "equity": D(1)}, None),
    ],
)
def test_each_limit_locks_at_its_value_and_only_where_it_is_set(
    limits: dict[str, Any], found: dict[str, Any], kind: LockKind | None
) -> None:
    verdict = lock(results(**found), **limits)
    assert (None if verdict is None else verdict.kind) is kind


def test_a_daily_loss_locks_until_midnight_and_for_its_minutes_at_least() -> None:
    lost = results(net_today=D(-60))
    midnight = day_start(NOW) + DAY_MS
    early = lock(lost, max_daily_loss_usdt=50)
    late = lock(lost, midnight - 60_000, max_daily_loss_usdt=50)
    assert early is not None
    assert late is not None
    assert (early.until_ms, late.until_ms) == (midnight, midnight - 60_000 + HOUR_MS)


def test_the_lock_that_lasts_longest_is_told_with_its_end() -> None:
    both = results(net_today=D(-60), losses_in_a_row=3)
    found = lock(both, max_daily_loss_usdt=50, max_consecutive_stops=3)
    assert found is not None
    assert found.sentence == (
        "locked until 2025-06-16 00:00 UTC: 60.00 USDT were lost today, 50.00 are allowed; resume lifts it"
    )


def test_a_lock_is_stored_and_read_back() -> None:
    before = Lock(LockKind.STOPS, "3 exits in a row lost", NOW)
    assert lock_from({"kind": "max_consecutive_stops", "reason": before.reason, "until_ms": NOW}) == before


@given(equity=st.decimals(-1000, 5000, places=8), peak=st.decimals(-1000, 5000, places=8))
def test_a_drawdown_is_never_negative_and_none_at_the_peak(equity: Decimal, peak: Decimal) -> None:
    fall = drawdown_pct(results(equity=equity, peak=peak))
    assert fall >= 0
    assert (fall > 0) == (peak > 0 and equity < peak)
