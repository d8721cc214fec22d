"""One conversation: the clock, the budget, the connection and what must not be told."""

import logging
import threading

import pytest
import requests

from src.domain.clock import ManualClock
from src.domain.errors import (
    AuthError,
    RateLimited,
    Unreachable,
)
from src.domain.messages import (
    SubmitOrder,
)
from src.exchange import wire
from src.exchange.aster import AsterExchange, AsterListenKeys
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
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
    refused,
)
from tests.exchange.conftest import API_KEY, API_SECRET, NOW_MS
from tests.exchange.scripted import Answer, Reset, ScriptedServer


class TestClock:
    def test_the_offset_is_measured_before_the_first_signature(
        self, exchange: AsterExchange, server: ScriptedServer
    ) -> None:
        server.script("GET", ORDER, accepted())
        assert exchange.offset_ms is None

        exchange.execute(QUERY)
        exchange.execute(QUERY)

        assert exchange.offset_ms == 250
        assert len(server.asked_for("/fapi/v1/time")) == 1

    def test_a_refused_timestamp_is_corrected_once(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        times = [Answer({"serverTime": NOW_MS + 9000}), Answer({"serverTime": NOW_MS + 500})]
        server.script("GET", "/fapi/v1/time", *times)
        server.script("POST", ORDER, refused(-1021), accepted())

        assert exchange.execute(SUBMIT) == [ACCEPTED]

        first, second = server.asked_for(ORDER)
        assert [first.parameters["timestamp"], second.parameters["timestamp"]] == [
            str(NOW_MS + 9000),
            str(NOW_MS + 500),
        ]
        assert first.parameters["newClientOrderId"] == second.parameters["newClientOrderId"] == ENTRY_ID

    def test_a_timestamp_refused_twice_is_an_auth_error(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, refused(-1021))

        assert isinstance(failure_of(exchange, SUBMIT), AuthError)
        assert len(server.asked_for(ORDER)) == 2

    def test_another_refused_key_is_not_tried_again(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, refused(-2015, 401))

        assert isinstance(failure_of(exchange, SUBMIT), AuthError)
        assert len(server.asked_for(ORDER)) == 1

    def test_half_the_round_trip_is_the_way_back(self, clock: ManualClock) -> None:
        class SlowClock(ManualClock):
            def monotonic_ms(self) -> int:
                self.advance(100)
                return super().monotonic_ms()

        slow = SlowClock(NOW_MS)
        with ScriptedServer().running() as server:
            server.script("GET", "/fapi/v1/time", Answer({"serverTime": NOW_MS + 1000}))
            measuring = AsterClient(server.url, slow, RateLimits(clock))

            # asked at NOW, the clock then moves by 100 at each of its readings: start, admission, end
            assert measuring.measure_offset() == 1000 - (300 - 100) // 2

    def test_a_time_that_is_not_told(self, client: AsterClient, server: ScriptedServer) -> None:
        server.script("GET", "/fapi/v1/time", Answer({"time": 1}))

        with pytest.raises(Unreachable):
            client.measure_offset()

    def test_the_offset_is_fresh_for_ten_minutes(
        self, client: AsterClient, server: ScriptedServer, clock: ManualClock
    ) -> None:
        client.refresh_offset()
        clock.advance(599_999)
        client.refresh_offset()
        assert len(server.asked_for("/fapi/v1/time")) == 1

        clock.advance(1)
        client.refresh_offset()
        assert len(server.asked_for("/fapi/v1/time")) == 2


class TestLimits:
    def test_used_weight_is_learnt(self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits) -> None:
        answer = Answer(wire.render_order(ACCEPTED), headers={"x-mbx-used-weight-1m": "1700"})
        server.script("POST", ORDER, answer)

        exchange.execute(SUBMIT)

        assert limits.used == 1700
        assert isinstance(failure_of(exchange, SUBMIT), RateLimited)

    def test_a_spent_budget_still_protects(
        self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits
    ) -> None:
        server.script("POST", ORDER, Answer({**wire.render_order(ACCEPTED), "clientOrderId": STOP_ID}))
        limits.learn({"X-MBX-USED-WEIGHT-1M": "2000"})

        assert isinstance(failure_of(exchange, SUBMIT), RateLimited)
        assert server.asked_for(ORDER) == []
        assert len(exchange.execute(SubmitOrder(STOP))) == 1

    def test_what_protection_needs_to_be_signed_and_to_hear_is_asked_for_to_the_last(
        self, exchange: AsterExchange, client: AsterClient, server: ScriptedServer, limits: RateLimits
    ) -> None:
        """A bot that was killed again and again met a minute without weight, and heard of no fill until its end."""
        server.script("POST", ORDER, Answer({**wire.render_order(ACCEPTED), "clientOrderId": STOP_ID}))
        server.script("POST", "/fapi/v1/listenKey", Answer({"listenKey": "key"}))
        limits.learn({"X-MBX-USED-WEIGHT-1M": "2390"})

        assert len(exchange.execute(SubmitOrder(STOP))) == 1
        assert AsterListenKeys(client).create() == "key"
        assert isinstance(failure_of(exchange, QUERY), RateLimited)

    @pytest.mark.parametrize(("headers", "wait_ms"), [({"Retry_After": "9"}, 9000), ({}, 60_000)])
    def test_429(self, exchange: AsterExchange, server: ScriptedServer, headers: dict[str, str], wait_ms: int) -> None:
        server.script("POST", ORDER, refused(-1003, 429, **headers))

        error = failure_of(exchange, SUBMIT)

        assert isinstance(error, RateLimited)
        assert (error.retry_at, error.banned) == (NOW_MS + wait_ms, False)
        failure_of(exchange, SUBMIT)
        assert len(server.asked_for(ORDER)) == 1

    def test_418(self, exchange: AsterExchange, server: ScriptedServer, limits: RateLimits) -> None:
        server.script("DELETE", ORDER, refused(-1003, 418, Retry_After="120"))

        error = failure_of(exchange, CANCEL)

        assert isinstance(error, RateLimited)
        assert error.banned
        failure_of(exchange, CANCEL)
        assert len(server.asked_for(ORDER)) == 1
        assert limits.is_banned


def test_each_thread_keeps_one_connection(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", ORDER, accepted())

    def ask_twice() -> None:
        exchange.execute(QUERY)
        exchange.execute(QUERY)

    ask_twice()
    other = threading.Thread(target=ask_twice)
    other.start()
    other.join(30)

    ports = [each.port for each in server.asked_for(ORDER)]
    assert len(ports) == 4
    assert len(set(ports)) == 2


def test_no_log_line_and_no_error_holds_a_secret(
    exchange: AsterExchange, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script("POST", ORDER, refused(-1021), Reset())

    with caplog.at_level(logging.DEBUG, logger="hunter"):
        error = failure_of(exchange, SUBMIT)

    signatures = [each.parameters["signature"] for each in server.asked_for(ORDER)]
    assert len(signatures) == 2
    told = caplog.text + repr(error) + repr(error.__cause__)
    assert not [secret for secret in (*signatures, API_SECRET, API_KEY) if secret in told]


@pytest.mark.parametrize(("base_url", "asks_environment"), [("https://fapi.asterdex.com", True), ("{}", False)])
def test_a_proxy_of_the_environment_does_not_lead_to_this_machine(
    server: ScriptedServer, clock: ManualClock, limits: RateLimits, base_url: str, asks_environment: bool
) -> None:
    class Nowhere(requests.Session):
        def request(self, *_: object, **__: object) -> requests.Response:
            raise requests.ConnectTimeout

    session = Nowhere()
    client = AsterClient(base_url.format(server.url), clock, limits, session_factory=lambda: session)

    with pytest.raises(Unreachable):
        client.measure_offset()

    assert session.trust_env is asks_environment
    assert client.limits is limits
