from src.launch.restarts import LONGEST_DELAY_MS, LOOP_SPAN_MS, STABLE_MS, Crashes


def delays(crashes: Crashes, count: int, *, lived_ms: int = 100) -> list[int]:
    return [crashes.note(at, at + lived_ms).delay_ms for at in range(0, count * 10_000, 10_000)]


def test_the_pause_doubles_up_to_five_seconds() -> None:
    assert delays(Crashes(), 6) == [500, 1000, 2000, 4000, LONGEST_DELAY_MS, LONGEST_DELAY_MS]


def test_a_stable_minute_takes_the_pause_back() -> None:
    crashes = Crashes()
    delays(crashes, 4)
    assert crashes.note(50_000, 50_000 + STABLE_MS).delay_ms == 500


def test_the_fifth_crash_in_five_minutes_is_a_loop() -> None:
    crashes = Crashes()
    assert [crashes.note(at, at + 1).is_loop for at in range(5)] == [False, False, False, False, True]


def test_crashes_far_apart_are_no_loop() -> None:
    crashes = Crashes()
    apart = LOOP_SPAN_MS // 4
    assert not any(crashes.note(at, at + 1).is_loop for at in range(0, 10 * apart, apart))
