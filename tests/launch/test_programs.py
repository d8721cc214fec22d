from pathlib import Path

from src.bot.bot import STOP_SECONDS
from src.launch.child import GRACE_S
from src.launch.programs import (
    BOT_STOP_MS,
    DASHBOARD_MAX_DELAY_MS,
    LOOP_WINDOW_MS,
    MAX_DELAY_MS,
    STABLE_MS,
    RestartPolicy,
    bot,
    dashboard,
)
from src.launch.shutdown import EXIT_CONFIG, EXIT_OPEN_ENTRIES
from src.launch.start import LEFTOVER_WAIT_MS


def delays(policy: RestartPolicy, count: int, *, ran_ms: int = 100) -> list[int]:
    return [policy.record_exit(at, at + ran_ms).delay_ms for at in range(0, count * 10_000, 10_000)]


def test_restart_delay_doubles_up_to_five_seconds() -> None:
    assert delays(RestartPolicy(), 6) == [500, 1000, 2000, 4000, MAX_DELAY_MS, MAX_DELAY_MS]


def test_stable_minute_resets_the_restart_delay() -> None:
    policy = RestartPolicy()
    delays(policy, 4)
    assert policy.record_exit(50_000, 50_000 + STABLE_MS).delay_ms == 500


def test_fifth_crash_in_five_minutes_is_a_crash_loop() -> None:
    policy = RestartPolicy()
    assert [policy.record_exit(at, at + 1).is_crash_loop for at in range(5)] == [False, False, False, False, True]


def test_crashes_far_apart_are_no_crash_loop() -> None:
    policy = RestartPolicy()
    interval = LOOP_WINDOW_MS // 4
    assert not any(policy.record_exit(at, at + 1).is_crash_loop for at in range(0, 10 * interval, interval))


def test_bot_that_leaves_entries_is_not_restarted() -> None:
    program = bot(Path("home"), {})
    assert EXIT_OPEN_ENTRIES in program.final_codes
    assert EXIT_OPEN_ENTRIES not in program.restart_codes


def test_bot_that_finds_another_programs_database_is_not_restarted() -> None:
    """Exit code 2, as for every fault that a person must correct; the message has the commands."""
    assert EXIT_CONFIG in bot(Path("home"), {}).final_codes


def test_dashboard_never_stops_the_bot() -> None:
    program = dashboard(Path("home"), {})
    assert not program.final_codes and EXIT_CONFIG in program.unready_codes
    policy = RestartPolicy()
    pauses = [policy.record_exit(0, 1, program.max_delay_ms).delay_ms for _ in range(9)]
    assert pauses[-1] == DASHBOARD_MAX_DELAY_MS


def test_launcher_waits_longer_than_the_bot_for_its_entries() -> None:
    assert STOP_SECONDS * 1_000 + 5_000 < BOT_STOP_MS <= GRACE_S * 1_000 < LEFTOVER_WAIT_MS
    assert bot(Path("home"), {}).stop_ms == BOT_STOP_MS
