import threading
from contextlib import suppress

import pytest

from src.domain.clock import MINUTE_MS, ManualClock
from src.domain.errors import RateLimited
from src.exchange.limits import RateLimits

STARTED_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(STARTED_MS)


@pytest.fixture
def limits(clock: ManualClock) -> RateLimits:
    return RateLimits(clock, weight_limit=100, order_limit=10)


def is_rejected(limits: RateLimits, weight: int = 1, *, essential: bool = False, orders: int = 0) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        limits.acquire(weight, essential=essential, orders=orders)
    return caught.value


def test_reserve_is_kept_for_essential_requests(limits: RateLimits) -> None:
    limits.acquire(70, essential=False)

    assert is_rejected(limits).retry_at == STARTED_MS + MINUTE_MS
    limits.acquire(30, essential=True)
    assert not is_rejected(limits, essential=True).banned
    assert limits.weight_used == 100


def test_reads_leave_weight_for_protection(limits: RateLimits) -> None:
    limits.acquire(90, essential=True, is_read=True)

    with pytest.raises(RateLimited):
        limits.acquire(1, essential=True, is_read=True)
    limits.acquire(1, essential=True, orders=1)


def test_rejected_requests_are_not_counted(limits: RateLimits) -> None:
    is_rejected(limits, 71)

    limits.acquire(70, essential=False)

    assert limits.weight_used == 70


def test_orders_have_their_own_budget(limits: RateLimits) -> None:
    for _ in range(5):
        limits.acquire(1, essential=False, orders=1)

    is_rejected(limits, orders=1)
    limits.acquire(1, essential=False)
    limits.acquire(1, essential=True, orders=1)

    assert limits.weight_used == 7
    assert limits.orders_used == 6


def test_reserve_has_a_minimum(clock: ManualClock) -> None:
    limits = RateLimits(clock, weight_limit=100, reserve_pct=0)

    is_rejected(limits, 71)
    limits.acquire(70, essential=False)


def test_limits_of_the_exchange_are_adopted(limits: RateLimits) -> None:
    limits.set_limits(200, None)

    assert limits.weight_limit == 200
    limits.acquire(140, essential=False)
    for _ in range(5):
        limits.acquire(0, essential=False, orders=1)
    is_rejected(limits, 0, orders=1)


def test_header_never_lowers_the_local_count(limits: RateLimits) -> None:
    limits.acquire(40, essential=True)

    limits.update_from_headers({"X-MBX-USED-WEIGHT-1M": "5"})

    assert limits.weight_used == 40


def test_concurrent_requests_stay_within_the_limit(clock: ManualClock) -> None:
    limits = RateLimits(clock, weight_limit=1_000)
    admitted: list[int] = []

    def request() -> None:
        for _ in range(200):
            with suppress(RateLimited):
                limits.acquire(1, essential=False)
                admitted.append(1)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == limits.weight_used == 700


def test_new_minute_resets_the_counts(limits: RateLimits, clock: ManualClock) -> None:
    limits.acquire(70, essential=False)

    clock.advance(MINUTE_MS)

    assert limits.weight_used == 0
    limits.acquire(70, essential=False)


def test_higher_count_of_the_exchange_is_adopted(limits: RateLimits) -> None:
    limits.acquire(1, essential=False)

    limits.update_from_headers({"X-MBX-USED-WEIGHT-1M": "69", "X-MBX-ORDER-COUNT-1M": "7"})

    assert limits.weight_used == 69
    is_rejected(limits, 2)
    is_rejected(limits, 1, orders=1)


def test_invalid_header_is_ignored(limits: RateLimits) -> None:
    limits.update_from_headers({"X-MBX-USED-WEIGHT-1M": "many"})

    assert limits.weight_used == 0


def test_first_429_allows_only_essential_requests(limits: RateLimits, clock: ManualClock) -> None:
    error = limits.back_off(429, {"Retry-After": "7"}, "", sent_at=clock.monotonic_ms())

    assert error.retry_at == limits.blocked_until == is_rejected(limits).retry_at == STARTED_MS + 7000
    limits.acquire(1, essential=True)

    clock.advance(7000)
    assert limits.blocked_until is None
    limits.acquire(1, essential=False)


def test_second_429_blocks_all_requests(limits: RateLimits, clock: ManualClock) -> None:
    limits.back_off(429, {"Retry-After": "7"}, "", sent_at=clock.monotonic_ms())
    clock.advance(1000)
    limits.back_off(429, {"Retry-After": "7"}, "", sent_at=clock.monotonic_ms())

    assert is_rejected(limits, essential=True).retry_at == STARTED_MS + 8000
    clock.advance(7000)
    limits.acquire(1, essential=True)
    assert limits.blocked_until is None


def test_429_of_an_earlier_request_is_not_a_second_429(limits: RateLimits, clock: ManualClock) -> None:
    sent_at = clock.monotonic_ms()
    clock.advance(50)
    limits.back_off(429, {}, "", sent_at)
    limits.back_off(429, {}, "", sent_at)

    limits.acquire(1, essential=True)

    assert is_rejected(limits).retry_at == STARTED_MS + 50 + MINUTE_MS


def test_ban_blocks_all_requests(limits: RateLimits, clock: ManualClock) -> None:
    error = limits.back_off(418, {"Retry-After": "120"}, "", sent_at=clock.monotonic_ms())

    assert error.banned
    assert limits.is_banned
    assert is_rejected(limits, essential=True).banned

    clock.advance(120_000)
    assert not limits.is_banned
    limits.acquire(1, essential=False)


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
def test_ban_duration(
    limits: RateLimits, clock: ManualClock, headers: dict[str, str], message: str, span_ms: int
) -> None:
    error = limits.back_off(418, headers, message, sent_at=clock.monotonic_ms())

    assert error.retry_at == STARTED_MS + span_ms


def test_system_clock_step_does_not_end_a_ban(limits: RateLimits, clock: ManualClock) -> None:
    limits.back_off(418, {"Retry-After": "120"}, "", sent_at=clock.monotonic_ms())

    clock.step(3_600_000)

    assert is_rejected(limits, essential=True).retry_at == STARTED_MS + 3_600_000 + 120_000


def test_entry_budget_ends_with_reserve_or_order_share(clock: ManualClock) -> None:
    limits = RateLimits(clock, weight_limit=100, order_limit=10, reserve_pct=40)
    limits.acquire(59, essential=True)
    assert limits.has_entry_budget
    limits.acquire(1, essential=True)
    assert not limits.has_entry_budget
    limits.set_reserve(30)
    assert limits.has_entry_budget
    for _ in range(5):
        limits.acquire(0, essential=True, orders=1)
    assert not limits.has_entry_budget


def test_no_entry_budget_while_blocked(limits: RateLimits) -> None:
    assert limits.has_entry_budget
    limits.back_off(429, {}, "", 0)
    assert not limits.has_entry_budget
