"""Locks of a living trader: they begin with what was lost, hold entries back, outlive restarts, and end on time."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.core.operator.settings_changed import SettingsChanged
from src.core.plans.risk import review
from src.core.standing import Obstacle
from src.database.queries.results import exits_after, net_since
from src.domain.decisions import Gate, Skip
from src.domain.enums import OrderRole, TradingState
from src.domain.messages import OperatorAction
from tests.builders import some_settings
from tests.core.rig import Rig
from tests.core.test_risk import a_plan, an_exposure
from tests.core.test_strategy import a_situation

D = Decimal
STOP, TAKE, CLOSE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
MINUTE_MS = 60_000


@pytest.fixture
def rigs() -> Iterator[list[Rig]]:
    opened: list[Rig] = []
    yield opened
    for rig in opened:
        rig.close()


def a_rig(path: Path, rigs: list[Rig], **limits: Any) -> Rig:
    rig = Rig(path, some_settings({"cooldown_sec": 0, "max_open_orders_per_symbol": 5, **limits})).connect()
    rigs.append(rig)
    return rig


def trade(rig: Rig, pnl: int, role: OrderRole = STOP) -> None:
    """A position opened, and left by an order of that role with that result."""
    rig.snapshot()
    rig.open_position()
    rig.clock.advance(10)
    leave(rig, pnl, role)


def leave(rig: Rig, pnl: int, role: OrderRole) -> None:
    rig.fill(rig.last(role), pnl=pnl)
    for other in (STOP, TAKE):
        if other is not role:
            rig.ended(rig.last(other))
    rig.clock.advance(600)
    rig.prices()
    rig.audit()


def is_locked(rig: Rig) -> bool:
    return rig.desk.standing.has(Obstacle.LOCK)


def pass_time(rig: Rig, span_ms: int) -> None:
    """A long while in one step: what the minute's audits would find is found by the last."""
    rig.clock.advance(span_ms)
    rig.prices()
    rig.audit()


def test_losses_in_a_row_lock_and_say_until_when(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=2)
    trade(rig, -10)
    assert not is_locked(rig)
    trade(rig, -10)
    assert is_locked(rig)
    assert rig.desk.standing.state is TradingState.REDUCE_ONLY
    rig.liquidate()
    assert rig.verdicts()[-1] == Gate.TRADING_STATE
    (alert,) = [each for each in rig.journal("alert") if "locked" in each["message"]]
    assert alert["message"].startswith("locked until 2025-06-15 16:")
    assert "2 exits in a row lost" in rig.desk.standing.reason


def test_a_winner_begins_the_row_anew(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=2)
    trade(rig, -10)
    trade(rig, 5, TAKE)
    trade(rig, -10)
    assert not is_locked(rig)


def test_a_lock_ends_after_its_minutes_and_counts_anew(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=1, lock_minutes=2)
    trade(rig, -10)
    pass_time(rig, 2 * MINUTE_MS - 1)
    assert is_locked(rig)
    pass_time(rig, 1)
    assert not is_locked(rig)
    trade(rig, 5, TAKE)
    assert not is_locked(rig)
    trade(rig, -10)
    assert is_locked(rig)


def test_the_wall_clock_moves_no_end(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=1, lock_minutes=2)
    trade(rig, -10)
    rig.clock.step(10 * MINUTE_MS)
    pass_time(rig, MINUTE_MS)
    assert is_locked(rig)
    rig.clock.step(-20 * MINUTE_MS)
    pass_time(rig, MINUTE_MS)
    assert not is_locked(rig)


def test_a_lock_outlives_a_restart_with_its_end(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=1, lock_minutes=2)
    trade(rig, -10)
    rig.clock.advance(MINUTE_MS)
    again = rig.restart().connect()
    rigs.append(again)
    assert is_locked(again)
    pass_time(again, MINUTE_MS - 1)
    assert is_locked(again)
    pass_time(again, 1)
    assert not is_locked(again)


def test_what_a_wrong_clock_wrote_is_cut_to_the_longest_lock(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=1)
    trade(rig, -10)
    rig.clock.step(-400 * 24 * 60 * MINUTE_MS)  # a machine that starts with its clock at an old date
    again = rig.restart()
    rigs.append(again)
    again.clock.advance(24 * 60 * MINUTE_MS)
    again.audit()
    assert not is_locked(again)


def test_resume_lifts_it_says_so_and_counts_anew(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_daily_loss_usdt=15)
    trade(rig, -20)
    assert is_locked(rig)
    rig.command(OperatorAction.RESUME)
    assert rig.journal("command")[-1]["message"] == (
        "entries are made again; the lock is lifted: 20.20 USDT were lost today, 15.00 are allowed"
    )
    rig.audit()
    assert not is_locked(rig)
    trade(rig, -10)
    assert not is_locked(rig)
    again = rig.restart().connect()
    rigs.append(again)
    trade(again, -10)
    assert is_locked(again)


def test_the_day_counts_fees_and_ends_at_midnight(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_daily_loss_usdt="10.2", lock_minutes=1)
    trade(rig, -10)  # 0.1 for the entry, 0.1 for the stop
    assert is_locked(rig)
    pass_time(rig, 24 * 60 * MINUTE_MS)
    assert not is_locked(rig)
    pass_time(rig, 1000)
    assert not is_locked(rig)


def test_a_drawdown_locks_by_open_losses_and_its_peak_outlives_a_restart(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_drawdown_pct=1)
    rig.open_position()
    again = rig.restart()
    rigs.append(again)
    again.connect(positions=(again.report(),), open_orders=(again.told(rig.last(STOP)), again.told(rig.last(TAKE))))
    again.prices(49_001)  # 0.010 BTC: 9.99 below a peak of 1,000
    again.audit()
    assert not is_locked(again)
    again.prices(48_999)
    again.audit()
    assert is_locked(again)
    assert "1.00 % below its peak" in again.desk.standing.reason
    again.command(OperatorAction.RESUME)
    again.audit()
    assert not is_locked(again)


def test_without_its_limit_no_peak_is_kept(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_drawdown_pct=50)
    rig.feed(SettingsChanged(some_settings()))
    rig.audit()
    assert '"peak": null' in rig.rows("SELECT value FROM state WHERE key = 'lock'")[0]["value"]


def test_a_lock_cancels_entries_and_leaves_protection(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=1)
    rig.open_position()
    rig.clock.advance(1000)
    rig.prices()
    entry = rig.enter()
    rig.fill(rig.last(STOP), "0.005", pnl=-5)
    rig.audit()
    assert rig.cancelled() == [entry.client_order_id]
    assert len(rig.submitted(STOP)) == 2  # what is left of the position has its stop


def test_results_of_paper_and_of_real_orders_never_mix(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_consecutive_stops=5)
    trade(rig, -10)
    with rig.desk.store.transaction():
        real, paper = (
            rig.desk.store.read(partial(exits_after, fill=0, most=5, is_simulated=mode)) for mode in (False, True)
        )
        earned_on_paper = rig.desk.store.read(partial(net_since, since_ms=0, is_simulated=True))
    assert (real, paper, earned_on_paper) == ([D(-10)], [], D(0))


def test_only_so_many_entries_are_made_within_a_minute_even_in_a_burst(path: Path, rigs: list[Rig]) -> None:
    rig = a_rig(path, rigs, max_entries_per_minute=2)
    for _ in range(3):
        rig.liquidate()
    assert rig.verdicts() == [None, None, Gate.RATE_BUDGET]
    for request in rig.submitted(OrderRole.ENTRY):
        rig.accept(request)
        rig.ended(request)
    again = rig.restart().connect()
    rigs.append(again)
    again.liquidate()
    assert again.verdicts()[-1] == Gate.RATE_BUDGET
    again.wait(MINUTE_MS)
    again.snapshot()
    again.liquidate()
    assert again.verdicts()[-1] is None


def test_the_refusal_names_both_numbers() -> None:
    situation = a_situation(global_changes={"max_entries_per_minute": 3})
    verdict = review(a_plan(), situation, an_exposure(entries_last_minute=3))
    assert isinstance(verdict, Skip)
    assert verdict.reason == "3 entries were made in the last minute, 3 are allowed"


def test_results_are_added_up_when_something_was_booked_not_each_second(
    path: Path, rigs: list[Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(query: Any) -> Any:
        def count(*arguments: Any, **named: Any) -> Any:
            asked.append(query.__name__)
            return query(*arguments, **named)

        return count

    monkeypatch.setattr("src.core.desks.lock_desk.net_since", counted(net_since))
    monkeypatch.setattr("src.core.desks.lock_desk.exits_after", counted(exits_after))
    rig = a_rig(path, rigs, max_daily_loss_usdt=1_000, max_consecutive_stops=50)
    rig.wait(5_000)
    asked.clear()
    rig.wait(10_000)
    assert asked == []
    trade(rig, -1)
    assert {"net_since", "exits_after"} == set(asked)
