"""A failed signed request shows no secret: not in its error, traceback or log lines."""

import logging
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from src.domain.clock import ManualClock
from src.domain.enums import Network
from src.domain.errors import ExchangeError, HunterError
from src.exchange import endpoints
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.utils.auth import ApiRequest, Eip712Signer, HmacSigner, Method, Signer, make_authenticated_request
from tests.canaries import Canaries
from tests.exchange.conftest import NOW_MS
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer

API_KEY = "4be1c09d77a35f2286d0e9b1c3a57f6840d2b9e8f1a6c5d3704e8b2f9a1c6d35"
API_SECRET = "c7d20f4a91be6835de0b7a42f8c1539e6a0d4f7b2c8e1953a6f0d7b4e2c81a96"
PRIVATE_KEY = "0x8a1f6c3d90e2b7546f8d1c0a3e5b79240d6f8e1b3c5a70926e4d8f1b0c3a5e79"
USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
CANARIES = Canaries(API_KEY, API_SECRET, PRIVATE_KEY)
PATH = "/fapi/v1/order"
METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture(params=["v1", "v3"])
def signer(request: pytest.FixtureRequest) -> Signer:
    return (
        HmacSigner(API_KEY, API_SECRET)
        if request.param == "v1"
        else Eip712Signer(USER, PRIVATE_KEY, Network.SANDBOX.chain_id)
    )


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as server:
        yield server


def output_of(call: ApiRequest, signer: Signer, caplog: pytest.LogCaptureFixture) -> str:
    """Everything a failed request outputs: the error chain, its traceback and the log lines."""
    caplog.set_level(logging.DEBUG)
    session = requests.Session()
    session.trust_env = False
    with pytest.raises(HunterError) as caught:
        make_authenticated_request(session, call, signer, lambda: NOW_MS)
    chained: list[BaseException] = [caught.value]
    while (cause := chained[-1].__cause__ or chained[-1].__context__) is not None:
        chained.append(cause)
    shown = [f"{each!r} {each} {vars(each)}" for each in chained]
    return "".join([*shown, *traceback.format_exception(caught.value), caplog.text, f"{signer!r} {call!r}"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://no-such-host.invalid", "http://"])
def test_unsent_request_leaks_no_secret(
    signer: Signer, caplog: pytest.LogCaptureFixture, host: str, method: Method
) -> None:
    output = output_of(ApiRequest(method, host + PATH, {"symbol": "BTCUSDT"}), signer, caplog)
    assert f"{method} {PATH}" in output
    assert not CANARIES.are_in(output)


@pytest.mark.parametrize("method", METHODS)
def test_broken_connection_leaks_no_secret(
    signer: Signer, caplog: pytest.LogCaptureFixture, server: ScriptedServer, method: Method
) -> None:
    server.script(method, PATH, Reset())
    output = output_of(ApiRequest(method, server.url + PATH, {"symbol": "BTCUSDT"}), signer, caplog)
    assert not CANARIES.are_in(output)
    assert server.received


@pytest.mark.parametrize("method", METHODS)
def test_timeout_leaks_no_secret(signer: Signer, caplog: pytest.LogCaptureFixture, method: Method) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        url = f"http://127.0.0.1:{silent_server.getsockname()[1]}{PATH}"
        output = output_of(ApiRequest(method, url, timeout=(1.0, 0.05)), signer, caplog)
    assert not CANARIES.are_in(output)


def test_tls_error_leaks_no_secret(signer: Signer, caplog: pytest.LogCaptureFixture, server: ScriptedServer) -> None:
    output = output_of(ApiRequest("POST", server.url.replace("http:", "https:") + PATH), signer, caplog)
    assert "SSL" in output
    assert not CANARIES.are_in(output)
    assert server.received == []


@pytest.mark.parametrize("status", [400, 401, 403, 418, 429])
def test_rejection_that_quotes_the_key_is_redacted(
    caplog: pytest.LogCaptureFixture, server: ScriptedServer, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    reply = Reply({"code": -2015, "msg": f"Invalid API-key {API_KEY}, or signature={API_SECRET}"}, status)
    server.script("GET", "/fapi/v1/time", Reply({"serverTime": NOW_MS}))
    server.script("POST", PATH, reply)
    client = a_client(server.url)
    with pytest.raises(ExchangeError) as caught:
        client.request(endpoints.NEW_ORDER, {"symbol": "BTCUSDT"}, essential=True)
    output = "".join([*traceback.format_exception(caught.value), str(vars_of(caught.value)), caplog.text])
    assert "Invalid API-key ***" in output or status in (418, 429)
    assert not CANARIES.are_in(output)


def a_client(url: str) -> AsterClient:
    clock = ManualClock(NOW_MS)
    return AsterClient(url, clock, RateLimits(clock), HmacSigner(API_KEY, API_SECRET))


def vars_of(error: BaseException) -> dict[str, Any]:
    return {**vars(error), "arguments": error.args, "text": str(error)}
