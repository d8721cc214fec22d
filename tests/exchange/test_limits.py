import threading
from contextlib import suppress

import pytest

from src.domain.clock import ManualClock
from src.domain.errors import RateLimited
from src.exchange.limits import MINUTE_MS, RateLimits

STARTED_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(STARTED_MS)


@pytest.fixture
def limits(clock: ManualClock) -> RateLimits:
    return RateLimits(clock, weight_limit=100, order_limit=10)


def refused(limits: RateLimits, weight: int = 1, *, essential: bool = False, orders: int = 0) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        limits.admit(weight, essential=essential, orders=orders)
    return caught.value


def test_the_reserve_is_kept_for_what_is_essential(limits: RateLimits) -> None:
    limits.admit(70, essential=False)

    assert refused(limits).retry_at == STARTED_MS + MINUTE_MS
    limits.admit(30, essential=True)
    assert not refused(limits, essential=True).banned
    assert limits.used == 100


def test_reading_never_uses_up_what_a_stop_needs(limits: RateLimits) -> None:
    limits.admit(90, essential=True, is_read=True)

    with pytest.raises(RateLimited):
        limits.admit(1, essential=True, is_read=True)
    limits.admit(1, essential=True, orders=1)


def test_what_was_refused_is_not_counted(limits: RateLimits) -> None:
    refused(limits, 71)

    limits.admit(70, essential=False)

    assert limits.used == 70


def test_orders_have_a_budget_of_their_own(limits: RateLimits) -> None:
    for _ in range(5):
        limits.admit(1, essential=False, orders=1)

    refused(limits, orders=1)
    limits.admit(1, essential=False)
    limits.admit(1, essential=True, orders=1)

    assert limits.used == 7
    assert limits.orders_used == 6


def test_no_setting_makes_the_reserve_smaller_than_it_must_be(clock: ManualClock) -> None:
    limits = RateLimits(clock, weight_limit=100, reserve_pct=0)

    refused(limits, 71)
    limits.admit(70, essential=False)


def test_the_exchange_says_what_it_allows(limits: RateLimits) -> None:
    limits.adopt(200, None)

    assert limits.weight_limit == 200
    limits.admit(140, essential=False)
    for _ in range(5):
        limits.admit(0, essential=False, orders=1)
    refused(limits, 0, orders=1)


def test_what_other_lanes_have_just_asked_is_not_forgotten(limits: RateLimits) -> None:
    limits.admit(40, essential=True)

    limits.learn({"X-MBX-USED-WEIGHT-1M": "5"})

    assert limits.used == 40


def test_lanes_side_by_side_never_ask_for_more_than_there_is(clock: ManualClock) -> None:
    limits = RateLimits(clock, weight_limit=1_000)
    admitted: list[int] = []

    def ask() -> None:
        for _ in range(200):
            with suppress(RateLimited):
                limits.admit(1, essential=False)
                admitted.append(1)

    lanes = [threading.Thread(target=ask) for _ in range(8)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert len(admitted) == limits.used == 700


def test_a_new_minute_starts_from_nothing(limits: RateLimits, clock: ManualClock) -> None:
    limits.admit(70, essential=False)

    clock.advance(MINUTE_MS)

    assert limits.used == 0
    limits.admit(70, essential=False)


def test_the_exchange_counts_better_than_we_do(limits: RateLimits) -> None:
    limits.admit(1, essential=False)

    limits.learn({"X-MBX-USED-WEIGHT-1M": "69", "X-MBX-ORDER-COUNT-1M": "7"})

    assert limits.used == 69
    refused(limits, 2)
    refused(limits, 1, orders=1)


def test_a_header_that_is_no_number_teaches_nothing(limits: RateLimits) -> None:
    limits.learn({"X-MBX-USED-WEIGHT-1M": "many"})

    assert limits.used == 0


def test_the_first_429_leaves_only_what_is_essential(limits: RateLimits, clock: ManualClock) -> None:
    error = limits.fall_silent(429, {"Retry-After": "7"}, "", asked_at=clock.monotonic_ms())

    assert error.retry_at == limits.blocked_until == refused(limits).retry_at == STARTED_MS + 7000
    limits.admit(1, essential=True)

    clock.advance(7000)
    assert limits.blocked_until is None
    limits.admit(1, essential=False)


def test_a_second_429_silences_everybody(limits: RateLimits, clock: ManualClock) -> None:
    limits.fall_silent(429, {"Retry-After": "7"}, "", asked_at=clock.monotonic_ms())
    clock.advance(1000)
    limits.fall_silent(429, {"Retry-After": "7"}, "", asked_at=clock.monotonic_ms())

    assert refused(limits, essential=True).retry_at == STARTED_MS + 8000
    clock.advance(7000)
    limits.admit(1, essential=True)
    assert limits.blocked_until is None


def test_requests_already_under_way_are_not_a_second_429(limits: RateLimits, clock: ManualClock) -> None:
    asked_at = clock.monotonic_ms()
    clock.advance(50)
    limits.fall_silent(429, {}, "", asked_at)
    limits.fall_silent(429, {}, "", asked_at)

    limits.admit(1, essential=True)

    assert refused(limits).retry_at == STARTED_MS + 50 + MINUTE_MS


def test_a_ban_silences_everybody(limits: RateLimits, clock: ManualClock) -> None:
    error = limits.fall_silent(418, {"Retry-After": "120"}, "", asked_at=clock.monotonic_ms())

    assert error.banned
    assert limits.is_banned
    assert refused(limits, essential=True).banned

    clock.advance(120_000)
    assert not limits.is_banned
    limits.admit(1, essential=False)


@pytest.mark.parametrize(
    ("headers", "message", "span_ms"),
    [
        ({}, "", 120_000),
        ({"Retry-After": "soon"}, "", 120_000),
        ({"Retry-After": "99999999999"}, "", 3 * 24 * 3600 * 1000),
        ({}, f"Way too many requests; IP banned until {STARTED_MS + 600_000}.", 600_000),
        ({}, f"Way too many requests; IP banned until {STARTED_MS - 5}.", 60_000),
    ],
)
def test_how_long_a_ban_lasts(
    limits: RateLimits, clock: ManualClock, headers: dict[str, str], message: str, span_ms: int
) -> None:
    error = limits.fall_silent(418, headers, message, asked_at=clock.monotonic_ms())

    assert error.retry_at == STARTED_MS + span_ms


def test_a_stepped_wall_clock_does_not_end_a_ban(limits: RateLimits, clock: ManualClock) -> None:
    limits.fall_silent(418, {"Retry-After": "120"}, "", asked_at=clock.monotonic_ms())

    clock.step(3_600_000)

    assert refused(limits, essential=True).retry_at == STARTED_MS + 3_600_000 + 120_000
