"""V3 over a real connection: its paths, where parameters travel, its listen key, and refused nonces."""

import pytest

from src.domain.clock import ManualClock
from src.domain.errors import AuthError
from src.exchange.aster import AsterExchange, AsterListenKeys
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.utils.auth import Eip712Signer
from tests.exchange.builders import ACCEPTED, CANCEL, ENTRY_ID, QUERY, SUBMIT, accepted, failure_of, refused
from tests.exchange.conftest import NOW_MS
from tests.exchange.scripted import Answer, ScriptedServer

ORDER = "/fapi/v3/order"
TIME = "/fapi/v3/time"
LISTEN_KEY = "/fapi/v3/listenKey"
USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"


@pytest.fixture
def client(server: ScriptedServer, clock: ManualClock, limits: RateLimits) -> AsterClient:
    server.script("GET", TIME, Answer({"serverTime": NOW_MS + 250}))
    return AsterClient(server.url, clock, limits, Eip712Signer(USER, PRIVATE_KEY))


@pytest.fixture
def exchange(client: AsterClient) -> AsterExchange:
    return AsterExchange(client)


def test_a_request_carries_wallets_and_the_exchanges_time(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("POST", ORDER, accepted())

    assert exchange.execute(SUBMIT) == [ACCEPTED]

    [asked] = server.asked_for(ORDER)
    assert asked.parameters["newClientOrderId"] == ENTRY_ID
    assert (asked.parameters["user"], asked.parameters["nonce"]) == (USER, str((NOW_MS + 250) * 1000))
    assert not {"timestamp", "recvWindow"} & asked.parameters.keys()
    assert "X-MBX-APIKEY" not in asked.headers


def test_a_cancel_travels_in_the_body(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("DELETE", ORDER, accepted())

    exchange.execute(CANCEL)

    assert server.asked_for(ORDER)[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_listen_key_is_signed_for(client: AsterClient, server: ScriptedServer) -> None:
    server.script("POST", LISTEN_KEY, Answer({"listenKey": "abc"}))
    server.script("PUT", LISTEN_KEY, Answer())
    server.script("DELETE", LISTEN_KEY, Answer())
    keys = AsterListenKeys(client)

    assert keys.create() == "abc"
    keys.keep_alive()
    keys.close()

    asked = server.asked_for(LISTEN_KEY)
    assert [each.method for each in asked] == ["POST", "PUT", "DELETE"]
    assert all(each.parameters["signature"].startswith("0x") for each in asked)


def test_a_nonce_outside_the_window_is_made_anew_once(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", TIME, Answer({"serverTime": NOW_MS}), Answer({"serverTime": NOW_MS + 11_000}))
    server.script("POST", ORDER, refused(-1021), accepted())

    assert exchange.execute(SUBMIT) == [ACCEPTED]

    first, second = server.asked_for(ORDER)
    nonces = [each.parameters["nonce"] for each in (first, second)]
    assert nonces == [str(NOW_MS * 1000), str((NOW_MS + 11_000) * 1000)]
    assert first.parameters["signature"] != second.parameters["signature"]


def test_an_order_whose_nonce_was_used_is_not_sent_again(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("POST", ORDER, refused(-4225), accepted())

    error = failure_of(exchange, SUBMIT)

    assert isinstance(error, AuthError)
    assert "another program signs with the same API wallet" in error.reason
    assert len(server.asked_for(ORDER)) == 1


def test_a_read_whose_nonce_was_used_is_asked_again(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", ORDER, refused(-4225), accepted())

    assert exchange.execute(QUERY) == [ACCEPTED]
    first, second = server.asked_for(ORDER)
    assert int(first.parameters["nonce"]) < int(second.parameters["nonce"])
