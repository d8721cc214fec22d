import pytest

from src.domain.clock import ManualClock, SteadyClock, SystemClock, _Suspension


def test_system_clock_runs_forward() -> None:
    clock = SystemClock()
    earlier = clock.monotonic_ms()
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic_ms() >= earlier


def test_monotonic_clock_counts_the_time_of_a_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    suspended_ns = 0
    monkeypatch.setattr("src.domain.clock._suspension", suspension := _Suspension())
    suspension._clocks = (1, 2)
    monkeypatch.setattr("time.clock_gettime_ns", lambda which: 5_000 + (suspended_ns if which == 1 else 0))
    monkeypatch.setattr("time.monotonic_ns", lambda: 5_000_000)
    clock = SystemClock()
    assert clock.monotonic_ms() == 5
    suspended_ns = 8 * 3_600_000 * 1_000_000
    assert clock.monotonic_ms() == 5 + 8 * 3_600_000
    suspended_ns -= 10  # the two readings are not taken at the same moment
    assert clock.monotonic_ms() == 5 + 8 * 3_600_000


def test_manual_clock_moves_only_when_advanced() -> None:
    clock = ManualClock(1000)
    clock.advance(5)
    clock.advance_to(2000)
    clock.advance_to(1500)
    assert (clock.now_ms(), clock.monotonic_ms()) == (2000, 1000)


def test_wall_clock_step_keeps_monotonic_time() -> None:
    clock = ManualClock(10_000)
    clock.step(-3_600)
    assert (clock.now_ms(), clock.monotonic_ms()) == (6_400, 0)


def test_steady_clock_ignores_system_clock_changes() -> None:
    machine = ManualClock(1_000_000)
    clock = SteadyClock(machine)
    machine.step(-3_600_000)
    machine.advance(5)
    assert (clock.now_ms(), clock.monotonic_ms(), clock.drift_ms) == (1_000_005, 5, -3_600_000)


def test_steady_clock_resyncs_with_system_time() -> None:
    machine = ManualClock(1_000_000)
    clock = SteadyClock(machine)
    machine.step(5_000)
    clock.resync()
    assert (clock.now_ms(), clock.drift_ms) == (1_005_000, 0)
