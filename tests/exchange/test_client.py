"""The REST client: clock offset, rate limits, connections and secrets."""

import logging
import threading

import pytest
import requests

from src.domain.clock import ManualClock, SteadyClock
from src.domain.commands import SubmitOrder
from src.domain.errors import (
    AuthError,
    RateLimited,
    Unreachable,
)
from src.exchange import wire
from src.exchange.aster import AsterExchange, AsterListenKeys
from src.exchange.client import AsterClient, ClockOffset
from src.exchange.limits import RateLimits
from tests.builders import NOW
from tests.exchange.builders import (
    ACCEPTED,
    CANCEL,
    ENTRY_ID,
    ORDER,
    QUERY,
    STOP,
    STOP_ID,
    SUBMIT,
    accepted,
    failure_of,
    rejected,
)
from tests.exchange.conftest import API_KEY, API_SECRET, NOW_MS
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer


class TestClock:
    def test_offset_is_measured_before_the_first_signature(
        self, exchange: AsterExchange, server: ScriptedServer
    ) -> None:
        server.script("GET", ORDER, accepted())
        assert exchange.offset_ms is None

        exchange.execute(QUERY)
        exchange.execute(QUERY)

        assert exchange.offset_ms == 250
        assert len(server.received_at("/fapi/v1/time")) == 1

    def test_rejected_timestamp_is_corrected_once(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        times = [Reply({"serverTime": NOW_MS + 9000}), Reply({"serverTime": NOW_MS + 500})]
        server.script("GET", "/fapi/v1/time", *times)
        server.script("POST", ORDER, rejected(-1021), accepted())

        assert exchange.execute(SUBMIT) == [ACCEPTED]

        first, second = server.received_at(ORDER)
        assert [first.parameters["timestamp"], second.parameters["timestamp"]] == [
            str(NOW_MS + 9000),
            str(NOW_MS + 500),
        ]
        assert first.parameters["newClientOrderId"] == second.parameters["newClientOrderId"] == ENTRY_ID

    def test_timestamp_rejected_twice_is_an_auth_error(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, rejected(-1021))

        assert isinstance(failure_of(exchange, SUBMIT), AuthError)
        assert len(server.received_at(ORDER)) == 2

    def test_other_auth_errors_are_not_retried(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, rejected(-2015, 401))

        assert isinstance(failure_of(exchange, SUBMIT), AuthError)
        assert len(server.received_at(ORDER)) == 1

    def test_offset_subtracts_half_the_round_trip(self, clock: ManualClock) -> None:
        class SlowClock(ManualClock):
            def monotonic_ms(self) -> int:
                self.advance(100)
                return super().monotonic_ms()

        slow = SlowClock(NOW_MS)
        with ScriptedServer().running() as server:
            server.script("GET", "/fapi/v1/time", Reply({"serverTime": NOW_MS + 1000}))
            measuring = AsterClient(server.url, slow, RateLimits(clock))

            # sent at NOW; the clock advances by 100 ms at each reading: start, rate limit, end
            assert measuring.measure_offset() == 1000 - (300 - 100) // 2

    def test_missing_server_time_is_unreachable(self, client: AsterClient, server: ScriptedServer) -> None:
        server.script("GET", "/fapi/v1/time", Reply({"time": 1}))

        with pytest.raises(Unreachable):
            client.measure_offset()

    def test_offset_is_measured_again_after_ten_minutes(
        self, client: AsterClient, server: ScriptedServer, clock: ManualClock
    ) -> None:
        client.refresh_offset()
        clock.advance(599_999)
        client.refresh_offset()
        assert len(server.received_at("/fapi/v1/time")) == 1

        clock.advance(1)
        client.refresh_offset()
        assert len(server.received_at("/fapi/v1/time")) == 2


class TestLimits:
    def test_used_weight_is_read_from_headers(
        self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits
    ) -> None:
        reply = Reply(wire.render_order(ACCEPTED), headers={"x-mbx-used-weight-1m": "1700"})
        server.script("POST", ORDER, reply)

        exchange.execute(SUBMIT)

        assert limits.weight_used == 1700
        assert isinstance(failure_of(exchange, SUBMIT), RateLimited)

    def test_exhausted_budget_still_allows_protection(
        self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits
    ) -> None:
        server.script("POST", ORDER, Reply({**wire.render_order(ACCEPTED), "clientOrderId": STOP_ID}))
        limits.update_from_headers({"X-MBX-USED-WEIGHT-1M": "2000"})

        assert isinstance(failure_of(exchange, SUBMIT), RateLimited)
        assert server.received_at(ORDER) == []
        assert len(exchange.execute(SubmitOrder(STOP))) == 1

    def test_critical_endpoints_may_use_the_whole_budget(
        self, exchange: AsterExchange, client: AsterClient, server: ScriptedServer, limits: RateLimits
    ) -> None:
        """A bot that restarts often may find no weight left, and must still create its listen key to receive fills."""
        server.script("POST", ORDER, Reply({**wire.render_order(ACCEPTED), "clientOrderId": STOP_ID}))
        server.script("POST", "/fapi/v1/listenKey", Reply({"listenKey": "key"}))
        limits.update_from_headers({"X-MBX-USED-WEIGHT-1M": "2390"})

        assert len(exchange.execute(SubmitOrder(STOP))) == 1
        assert AsterListenKeys(client).create() == "key"
        assert isinstance(failure_of(exchange, QUERY), RateLimited)

    @pytest.mark.parametrize(("headers", "wait_ms"), [({"Retry_After": "9"}, 9000), ({}, 60_000)])
    def test_429_is_rate_limited(
        self, exchange: AsterExchange, server: ScriptedServer, headers: dict[str, str], wait_ms: int
    ) -> None:
        server.script("POST", ORDER, rejected(-1003, 429, **headers))

        error = failure_of(exchange, SUBMIT)

        assert isinstance(error, RateLimited)
        assert (error.retry_at, error.banned) == (NOW_MS + wait_ms, False)
        failure_of(exchange, SUBMIT)
        assert len(server.received_at(ORDER)) == 1

    def test_418_is_a_ban(self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits) -> None:
        server.script("DELETE", ORDER, rejected(-1003, 418, Retry_After="120"))

        error = failure_of(exchange, CANCEL)

        assert isinstance(error, RateLimited)
        assert error.banned
        failure_of(exchange, CANCEL)
        assert len(server.received_at(ORDER)) == 1
        assert limits.is_banned


def test_each_thread_keeps_one_connection(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", ORDER, accepted())

    def query_twice() -> None:
        exchange.execute(QUERY)
        exchange.execute(QUERY)

    query_twice()
    other = threading.Thread(target=query_twice)
    other.start()
    other.join(30)

    ports = [each.port for each in server.received_at(ORDER)]
    assert len(ports) == 4
    assert len(set(ports)) == 2


def test_secrets_appear_in_no_log_or_error(
    exchange: AsterExchange, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script("POST", ORDER, rejected(-1021), Reset())

    with caplog.at_level(logging.DEBUG, logger="hunter"):
        error = failure_of(exchange, SUBMIT)

    signatures = [each.parameters["signature"] for each in server.received_at(ORDER)]
    assert len(signatures) == 2
    output = caplog.text + repr(error) + repr(error.__cause__)
    assert not [secret for secret in (*signatures, API_SECRET, API_KEY) if secret in output]


@pytest.mark.parametrize(("base_url", "proxy"), [("https://fapi.asterdex.com", "http://proxy:1"), ("{}", None)])
def test_environment_is_read_once_and_ignored_for_loopback(
    server: ScriptedServer,
    clock: ManualClock,
    limits: RateLimits,
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    proxy: str | None,
) -> None:
    class UnreachableSession(requests.Session):
        def get_adapter(self, url: str) -> requests.adapters.HTTPAdapter:
            raise requests.ConnectTimeout

    monkeypatch.setenv("https_proxy", "http://proxy:1")
    for name in ("no_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session = UnreachableSession()
    client = AsterClient(base_url.format(server.url), clock, limits, session_factory=lambda: session)

    with pytest.raises(Unreachable):
        client.measure_offset()

    assert session.proxies.get("https") == proxy
    assert (session.verify, session.trust_env) == (True, False)
    assert client.limits is limits


def test_idle_connection_is_used_every_twenty_seconds(
    client: AsterClient, server: ScriptedServer, clock: ManualClock
) -> None:
    for waited_ms in (0, 19_999, 1, 19_999):
        clock.advance(waited_ms)
        client.keep_connection()
    assert len(server.received_at("/fapi/v1/time")) == 2
    server.script("GET", "/fapi/v1/time", Reset())
    clock.advance(20_000)
    client.keep_connection()
    assert len(server.received_at("/fapi/v1/time")) == 3


def test_clocks_are_compared_first_and_every_ten_minutes() -> None:
    clock = ManualClock(NOW)
    offset = ClockOffset(clock)
    assert (offset.ms, offset.is_due, offset.drift_ms) == (None, True, 0)
    offset.update(40, clock.monotonic_ms())
    clock.advance(599_999)
    assert not offset.is_due
    clock.advance(1)
    assert offset.is_due


def test_clocks_that_differ_are_compared_every_ten_seconds() -> None:
    clock = ManualClock(NOW)
    offset = ClockOffset(clock)
    offset.update(-5_000, clock.monotonic_ms())
    clock.advance(10_000)
    assert offset.is_due


def test_wrong_system_clock_step_is_ignored() -> None:
    machine = ManualClock(NOW)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.update(20, clock.monotonic_ms())
    machine.step(-3_600_000)
    machine.advance(10_000)
    assert offset.is_due
    assert offset.update(20, clock.monotonic_ms()) == 20
    assert (clock.now_ms(), offset.drift_ms) == (NOW + 10_000, -3_600_000)


def test_correcting_system_clock_step_is_adopted() -> None:
    machine = ManualClock(NOW + 5_000)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.update(-5_000, clock.monotonic_ms())
    machine.step(-5_000)
    assert offset.update(-4_990, clock.monotonic_ms()) == 10
    assert (clock.now_ms(), offset.ms, offset.drift_ms) == (NOW, 10, 0)


def test_time_of_system_sleep_is_adopted() -> None:
    """The monotonic clock stops during sleep, and the steady clock with it."""
    machine = ManualClock(NOW)
    clock = SteadyClock(machine)
    offset = ClockOffset(clock, clock)
    offset.update(0, clock.monotonic_ms())
    machine.step(3_600_000)
    machine.advance(10_000)
    assert offset.is_due
    assert offset.update(3_600_000, clock.monotonic_ms()) == 0
    assert clock.now_ms() == NOW + 3_610_000
