"""When to compare clocks, and which of them is right."""

from src.domain.clock import ManualClock, SteadyClock
from src.exchange.clock_offset import ClockOffset
from tests.builders import NOW


def test_clocks_are_compared_at_once_and_every_ten_minutes() -> None:
    clock = ManualClock(NOW)
    offset = ClockOffset(clock)
    assert (offset.ms, offset.is_due, offset.strayed_ms) == (None, True, 0)
    offset.learn(40, clock.monotonic_ms())
    clock.advance(599_999)
    assert not offset.is_due
    clock.advance(1)
    assert offset.is_due


def test_clocks_that_differ_are_compared_every_ten_seconds() -> None:
    clock = ManualClock(NOW)
    offset = ClockOffset(clock)
    offset.learn(-5_000, clock.monotonic_ms())
    clock.advance(10_000)
    assert offset.is_due


def test_a_machine_that_is_set_wrong_is_not_followed() -> None:
    machine = ManualClock(NOW)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.learn(20, clock.monotonic_ms())
    machine.step(-3_600_000)
    machine.advance(10_000)
    assert offset.is_due
    assert offset.learn(20, clock.monotonic_ms()) == 20
    assert (clock.now_ms(), offset.strayed_ms) == (NOW + 10_000, -3_600_000)


def test_a_machine_that_is_set_right_is_followed() -> None:
    machine = ManualClock(NOW + 5_000)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.learn(-5_000, clock.monotonic_ms())
    machine.step(-5_000)
    assert offset.learn(-4_990, clock.monotonic_ms()) == 10
    assert (clock.now_ms(), offset.ms, offset.strayed_ms) == (NOW, 10, 0)


def test_a_machine_that_slept_is_followed() -> None:
    """The clock of spans stands still meanwhile, and the one we count by with it."""
    machine = ManualClock(NOW)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.learn(0, clock.monotonic_ms())
    machine.step(3_600_000)
    machine.advance(10_000)
    assert offset.is_due
    assert offset.learn(3_600_000, clock.monotonic_ms()) == 0
    assert clock.now_ms() == NOW + 3_610_000
