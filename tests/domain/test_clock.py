from src.domain.clock import ManualClock, SteadyClock, SystemClock


def test_system_clock_runs_forward() -> None:
    clock = SystemClock()
    earlier = clock.monotonic_ms()
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic_ms() >= earlier


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
