"""Loss limits: when they lock entries, for how long, and what releases them."""

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.entries.risk import check_risk
from src.core.events import SettingsChanged
from src.core.limits.loss_limits import (
    LockKind,
    TradingLock,
    TradingResults,
    day_start,
    drawdown_pct,
    parse_lock,
    required_lock,
)
from src.core.trading_status import EntryBlock
from src.database.queries.fills import net_since, recent_exits
from src.domain.clock import DAY_MS
from src.domain.commands import OperatorAction
from src.domain.decisions import Gate, Skip
from src.domain.enums import OrderRole, TradingState
from tests.builders import NOW, some_settings
from tests.core.entries.test_risk import a_plan, an_exposure
from tests.core.entries.test_strategy import an_entry_context
from tests.core.harness import Harness

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def results(**changes: Any) -> TradingResults:
    return TradingResults(**{"net_today": D(0), "consecutive_losses": 0, "equity": D(1000), "peak": D(1000), **changes})


def lock(found: TradingResults, now_ms: int = NOW, **limits: Any) -> TradingLock | None:
    return required_lock(found, some_settings(limits).globals_, now_ms)


@pytest.mark.parametrize(
    ("limits", "found", "kind"),
    [
        ({"max_daily_loss_usdt": "50"}, {"net_today": D("-49.99999999")}, None),
        ({"max_daily_loss_usdt": "50"}, {"net_today": D(-50)}, LockKind.DAILY_LOSS),
        ({"max_daily_loss_usdt": "50"}, {"net_today": D(50)}, None),
        ({"max_consecutive_losses": 3}, {"consecutive_losses": 2}, None),
        ({"max_consecutive_losses": 3}, {"consecutive_losses": 3}, LockKind.CONSECUTIVE_LOSSES),
        ({"max_drawdown_pct": 10}, {"equity": D("900.01")}, None),
        ({"max_drawdown_pct": 10}, {"equity": D(900)}, LockKind.DRAWDOWN),
        ({"max_drawdown_pct": 10}, {"equity": None}, None),
        ({"max_drawdown_pct": 10}, {"peak": None, "equity": D(1)}, None),
        ({}, {"net_today": D(-900), "consecutive_losses": 99, "equity": D(1)}, None),
    ],
)
def test_each_limit_locks_at_its_value(limits: dict[str, Any], found: dict[str, Any], kind: LockKind | None) -> None:
    verdict = lock(results(**found), **limits)
    assert (None if verdict is None else verdict.kind) is kind


def test_daily_loss_locks_until_midnight_at_least() -> None:
    lost = results(net_today=D(-60))
    midnight = day_start(NOW) + DAY_MS
    early = lock(lost, max_daily_loss_usdt=50)
    late = lock(lost, midnight - 60_000, max_daily_loss_usdt=50)
    assert early is not None
    assert late is not None
    assert (early.until_ms, late.until_ms) == (midnight, midnight - 60_000 + HOUR_MS)


def test_longest_lock_wins_and_names_its_end() -> None:
    both = results(net_today=D(-60), consecutive_losses=3)
    found = lock(both, max_daily_loss_usdt=50, max_consecutive_losses=3)
    assert found is not None
    assert found.message == (
        "locked until 2025-06-16 00:00 UTC: lost 60.00 USDT today, limit 50.00; resume to release it"
    )


def test_lock_round_trips_through_storage() -> None:
    before = TradingLock(LockKind.CONSECUTIVE_LOSSES, "3 losing exits in a row", NOW)
    assert parse_lock({"kind": "max_consecutive_losses", "reason": before.reason, "until_ms": NOW}) == before


@given(equity=st.decimals(-1000, 5000, places=8), peak=st.decimals(-1000, 5000, places=8))
def test_drawdown_is_zero_at_peak_and_never_negative(equity: Decimal, peak: Decimal) -> None:
    drawdown = drawdown_pct(results(equity=equity, peak=peak))
    assert drawdown >= 0
    assert (drawdown > 0) == (peak > 0 and equity < peak)


def a_harness(path: Path, harnesses: list[Harness], **limits: Any) -> Harness:
    harness = Harness(path, some_settings({"cooldown_sec": 0, "max_open_orders_per_symbol": 5, **limits})).connect()
    harnesses.append(harness)
    return harness


def trade(harness: Harness, pnl: int, role: OrderRole = STOP) -> None:
    """Open a position and close it by an order of this role with this PnL."""
    harness.snapshot()
    harness.open_position()
    harness.clock.advance(10)
    close(harness, pnl, role)


def close(harness: Harness, pnl: int, role: OrderRole) -> None:
    harness.fill(harness.last(role), pnl=pnl)
    for other in (STOP, TAKE):
        if other is not role:
            harness.end_order(harness.last(other))
    harness.clock.advance(600)
    harness.prices()
    harness.audit()


def is_locked(harness: Harness) -> bool:
    return harness.context.trading_status.has(EntryBlock.LOSS_LIMIT)


def pass_time(harness: Harness, span_ms: int) -> None:
    """Advance the clock in one step and run the periodic check once."""
    harness.clock.advance(span_ms)
    harness.prices()
    harness.audit()


def test_consecutive_losses_lock_entries(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=2)
    trade(harness, -10)
    assert not is_locked(harness)
    trade(harness, -10)
    assert is_locked(harness)
    assert harness.context.trading_status.state is TradingState.REDUCE_ONLY
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.TRADING_STATE
    (alert,) = [each for each in harness.journal("alert") if "locked" in each["message"]]
    assert alert["message"].startswith("locked until 2025-06-15 16:")
    assert "2 losing exits in a row" in harness.context.trading_status.reason


def test_winning_exit_resets_the_streak(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=2)
    trade(harness, -10)
    trade(harness, 5, TAKE)
    trade(harness, -10)
    assert not is_locked(harness)


def test_lock_expires_and_resets_its_count(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=1, loss_lock_minutes=2)
    trade(harness, -10)
    pass_time(harness, 2 * MINUTE_MS - 1)
    assert is_locked(harness)
    pass_time(harness, 1)
    assert not is_locked(harness)
    trade(harness, 5, TAKE)
    assert not is_locked(harness)
    trade(harness, -10)
    assert is_locked(harness)


def test_wall_clock_change_keeps_lock_duration(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=1, loss_lock_minutes=2)
    trade(harness, -10)
    harness.clock.step(10 * MINUTE_MS)
    pass_time(harness, MINUTE_MS)
    assert is_locked(harness)
    harness.clock.step(-20 * MINUTE_MS)
    pass_time(harness, MINUTE_MS)
    assert not is_locked(harness)


def test_lock_survives_restart_with_its_end(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=1, loss_lock_minutes=2)
    trade(harness, -10)
    harness.clock.advance(MINUTE_MS)
    again = harness.restart().connect()
    harnesses.append(again)
    assert is_locked(again)
    pass_time(again, MINUTE_MS - 1)
    assert is_locked(again)
    pass_time(again, 1)
    assert not is_locked(again)


def test_lock_saved_by_wrong_clock_is_limited(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=1)
    trade(harness, -10)
    harness.clock.step(-400 * 24 * 60 * MINUTE_MS)  # a machine that boots with an old date
    again = harness.restart()
    harnesses.append(again)
    again.clock.advance(24 * 60 * MINUTE_MS)
    again.audit()
    assert not is_locked(again)


def test_resume_releases_lock_and_resets_its_count(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_daily_loss_usdt=15)
    trade(harness, -20)
    assert is_locked(harness)
    harness.command(OperatorAction.RESUME)
    assert harness.journal("command")[-1]["message"] == (
        "entries resumed; the lock is released: lost 20.20 USDT today, limit 15.00"
    )
    harness.audit()
    assert not is_locked(harness)
    trade(harness, -10)
    assert not is_locked(harness)
    again = harness.restart().connect()
    harnesses.append(again)
    trade(again, -10)
    assert is_locked(again)


def test_daily_loss_includes_fees_and_resets_at_midnight(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_daily_loss_usdt="10.2", loss_lock_minutes=1)
    trade(harness, -10)  # plus 0.1 fee each for entry and stop
    assert is_locked(harness)
    pass_time(harness, 24 * 60 * MINUTE_MS)
    assert not is_locked(harness)
    pass_time(harness, 1000)
    assert not is_locked(harness)


def test_drawdown_counts_open_losses_across_restart(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_drawdown_pct=1)
    harness.open_position()
    again = harness.restart()
    harnesses.append(again)
    again.connect(
        positions=(again.report(),),
        open_orders=(again.update_for(harness.last(STOP)), again.update_for(harness.last(TAKE))),
    )
    again.prices(49_001)  # 9.99 below the peak of 1,000
    again.audit()
    assert not is_locked(again)
    again.prices(48_999)
    again.audit()
    assert is_locked(again)
    assert "1.00 % below its peak" in again.context.trading_status.reason
    again.command(OperatorAction.RESUME)
    again.audit()
    assert not is_locked(again)


def test_peak_is_dropped_without_its_limit(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_drawdown_pct=50)
    harness.feed(SettingsChanged(some_settings()))
    harness.audit()
    assert '"peak": null' in harness.rows("SELECT value FROM bot_state WHERE key = 'loss_lock'")[0]["value"]


def test_lock_cancels_entries_and_keeps_protection(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=1)
    harness.open_position()
    harness.clock.advance(1000)
    harness.prices()
    entry = harness.enter()
    harness.fill(harness.last(STOP), "0.005", pnl=-5)
    harness.audit()
    assert harness.cancelled() == [entry.client_order_id]
    assert len(harness.submitted(STOP)) == 2  # the rest of the position has its stop


def test_paper_and_live_results_are_separate(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_consecutive_losses=5)
    trade(harness, -10)
    with harness.context.store.transaction():
        real, paper = (
            harness.context.store.read(partial(recent_exits, fill_id=0, limit=5, is_simulated=mode))
            for mode in (False, True)
        )
        paper_net = harness.context.store.read(partial(net_since, since_ms=0, is_simulated=True))
    assert (real, paper, paper_net) == ([D(-10)], [], D(0))


def test_entries_per_minute_are_limited_in_burst(path: Path, harnesses: list[Harness]) -> None:
    harness = a_harness(path, harnesses, max_entries_per_minute=2)
    for _ in range(3):
        harness.liquidate()
    assert harness.verdicts() == [None, None, Gate.RATE_BUDGET]
    for request in harness.submitted(OrderRole.ENTRY):
        harness.accept(request)
        harness.end_order(request)
    again = harness.restart().connect()
    harnesses.append(again)
    again.liquidate()
    assert again.verdicts()[-1] == Gate.RATE_BUDGET
    again.wait(MINUTE_MS)
    again.snapshot()
    again.liquidate()
    assert again.verdicts()[-1] is None


def test_entry_rate_reason_names_both_numbers() -> None:
    entry_context = an_entry_context(global_changes={"max_entries_per_minute": 3})
    verdict = check_risk(a_plan(), entry_context, an_exposure(entries_last_minute=3))
    assert isinstance(verdict, Skip)
    assert verdict.reason == "3 entries in the last minute, limit 3"


def test_results_are_queried_only_after_a_change(
    path: Path, harnesses: list[Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    queried: list[str] = []

    def counted(query: Any) -> Any:
        def count(*arguments: Any, **named: Any) -> Any:
            queried.append(query.__name__)
            return query(*arguments, **named)

        return count

    monkeypatch.setattr("src.core.limits.loss_limits.net_since", counted(net_since))
    monkeypatch.setattr("src.core.limits.loss_limits.recent_exits", counted(recent_exits))
    harness = a_harness(path, harnesses, max_daily_loss_usdt=1_000, max_consecutive_losses=50)
    harness.wait(5_000)
    queried.clear()
    harness.wait(10_000)
    assert queried == []
    trade(harness, -1)
    assert {"net_since", "recent_exits"} == set(queried)
