"""Days and minutes are those of UTC, whatever zone the machine is in: pure code, with the time frozen."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from freezegun import freeze_time

from src.api.pnl_tracker import day_of, first_day
from src.core.limits.loss_limits import TradingResults, day_start, required_lock
from src.domain.clock import SteadyClock, SystemClock
from src.domain.errors import RateLimited
from src.exchange.limits import RateLimits
from tests.builders import some_settings

ZONES = ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kathmandu"]


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The zone of the machine, where it can be set."""
    monkeypatch.setenv("TZ", request.param)
    if hasattr(time, "tzset"):
        time.tzset()
    yield request.param
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2024-02-28T23:59:59.999", "2024-02-28"),
        ("2024-02-29T00:00:00", "2024-02-29"),
        ("2025-02-28T23:59:59.999", "2025-02-28"),
        ("2025-12-31T23:59:59.999", "2025-12-31"),
        ("2026-01-01T00:00:00", "2026-01-01"),
        ("2026-03-29T01:30:00", "2026-03-29"),
        ("2026-10-25T01:30:00", "2026-10-25"),
        ("2026-11-01T09:30:00", "2026-11-01"),
    ],
)
def test_the_day_of_an_instant(instant: str, day: str) -> None:
    with freeze_time(instant):
        now_ms = SystemClock().now_ms()
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)

    assert day_of(now_ms) == day
    assert day_start(now_ms) == first_day(1, now_ms) == int(midnight.timestamp() * 1000)
    assert first_day(30, now_ms) == int((midnight - timedelta(days=29)).timestamp() * 1000)


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("instant", "until"),
    [
        ("2024-02-29T12:00:00", "2024-03-01 00:00"),
        ("2025-12-31T00:00:00", "2026-01-01 00:00"),
        ("2025-12-31T23:30:00", "2026-01-01 00:30"),
        ("2026-03-28T23:00:00", "2026-03-29 00:00"),
    ],
)
def test_a_daily_loss_locks_until_midnight_of_utc_and_an_hour_at_least(instant: str, until: str) -> None:
    results = TradingResults(net_today=Decimal(-60), consecutive_losses=0, equity=None, peak=None)
    settings = some_settings({"max_daily_loss_usdt": "50", "loss_lock_minutes": 60}).globals_
    with freeze_time(instant):
        lock = required_lock(results, settings, SystemClock().now_ms())

    assert lock is not None
    assert lock.message.startswith(f"locked until {until} UTC:")


def test_the_budget_of_a_minute_is_new_with_the_next_one() -> None:
    with freeze_time("2026-03-29T00:59:59.900") as frozen:
        limits = RateLimits(SystemClock(), weight_limit=100)
        limits.acquire(90, essential=True)
        with pytest.raises(RateLimited) as refused:
            limits.acquire(20, essential=True)
        assert refused.value.retry_at == int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp() * 1000)
        frozen.tick(timedelta(milliseconds=100))
        limits.acquire(20, essential=True)
        assert limits.weight_used == 20


def test_a_clock_that_is_set_does_not_move_what_is_measured() -> None:
    with freeze_time("2026-10-25T00:59:00") as frozen:
        steady = SteadyClock(SystemClock())
        before = steady.now_ms()
        frozen.tick(timedelta(minutes=2))
        assert steady.now_ms() == before + 120_000
        assert steady.drift_ms == 0
