from src.launch.programs import LOOP_WINDOW_MS, MAX_DELAY_MS, STABLE_MS, RestartPolicy


def delays(crashes: RestartPolicy, count: int, *, lived_ms: int = 100) -> list[int]:
    return [crashes.record_exit(at, at + lived_ms).delay_ms for at in range(0, count * 10_000, 10_000)]


def test_the_pause_doubles_up_to_five_seconds() -> None:
    assert delays(RestartPolicy(), 6) == [500, 1000, 2000, 4000, MAX_DELAY_MS, MAX_DELAY_MS]


def test_a_stable_minute_takes_the_pause_back() -> None:
    crashes = RestartPolicy()
    delays(crashes, 4)
    assert crashes.record_exit(50_000, 50_000 + STABLE_MS).delay_ms == 500


def test_the_fifth_crash_in_five_minutes_is_a_loop() -> None:
    crashes = RestartPolicy()
    assert [crashes.record_exit(at, at + 1).is_crash_loop for at in range(5)] == [False, False, False, False, True]


def test_crashes_far_apart_are_no_loop() -> None:
    crashes = RestartPolicy()
    apart = LOOP_WINDOW_MS // 4
    assert not any(crashes.record_exit(at, at + 1).is_crash_loop for at in range(0, 10 * apart, apart))
