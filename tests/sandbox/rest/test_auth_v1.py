"""Keys, timestamps and signatures on V1, over a real socket."""

import hashlib
import hmac

import pytest

from src.sandbox.account.keys import Keys
from src.sandbox.rest.auth import Security, SignedRequest, authenticate_v1
from src.sandbox.rest.parameters import Parameters
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client, code, done

BALANCE = "/fapi/v2/balance"


@pytest.fixture
def client(server: SandboxServer) -> Client:
    """V1 only."""
    return Client(server)


def test_documented_signature_is_accepted_in_query_and_body() -> None:
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    keys = Keys("dbefbc809e3e83c283a984c3a1459732ea7db1360ca80c5c2c8867408d28cc83", secret)
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    rest = "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
    mixed = hmac.new(secret.encode(), (query + rest).encode(), hashlib.sha256).hexdigest()
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
    whole = f"{order}&recvWindow=5000&timestamp=1591702613943"
    documented = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"

    for request in (
        SignedRequest(keys.api_key, f"{whole}&signature={documented}", ""),
        SignedRequest(keys.api_key, "", f"{whole}&signature={documented.upper()}"),
        SignedRequest(keys.api_key, query, f"{rest}&signature={mixed}"),
    ):
        parameters = Parameters.parse(request.query, request.body)
        authenticate_v1(Security.SIGNED, request, parameters, keys, now_ms=1591702613943)
        assert parameters.text("signature").lower() in (documented, mixed)


def test_signed_request_is_accepted(client: Client) -> None:
    assert client.get(BALANCE)[0]["asset"] == "USDT"


@pytest.mark.parametrize(("key", "expected"), [("", -2014), ("not a key!", -2014), ("a" * 64, -2015)])
def test_malformed_key_differs_from_unknown_key(client: Client, key: str, expected: int) -> None:
    response = client.raw("GET", BALANCE, f"timestamp={client.timestamp()}&signature=00", key=key)

    assert (response.status_code, code(response)) == (401, expected)


def test_key_is_case_sensitive(client: Client, server: SandboxServer) -> None:
    assert code(client.raw("GET", BALANCE, "timestamp=1", key=server.api_key.upper())) == -2015


@pytest.mark.parametrize(
    ("offset_ms", "window", "expected"),
    [(-6000, "", -1021), (5000, "", -1021), (-6000, "&recvWindow=7000", None), (-3000, "&recvWindow=1000", -1021)],
)
def test_timestamp_must_be_within_the_window(client: Client, offset_ms: int, window: str, expected: int | None) -> None:
    query = f"timestamp={client.timestamp() + offset_ms}{window}"
    response = client.raw("GET", BALANCE, f"{query}&signature={client.signature(query)}")

    assert (None if response.ok else code(response)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", -1102),
        ("timestamp=now", -1100),
        ("recvWindow=60001&timestamp={now}", -1130),
        ("timestamp={now}", -1102),
        ("timestamp={now}&signature=", -1105),
        ("timestamp={now}&signature=abcd", -1022),
        ("signature=abcd&timestamp={now}", -1022),
        ("timestamp={now}&timestamp={now}", -1101),
    ],
)
def test_invalid_request_has_the_documented_code(client: Client, query: str, expected: int) -> None:
    assert code(client.raw("GET", BALANCE, query.format(now=client.timestamp()))) == expected


def test_signature_must_be_last(client: Client) -> None:
    query = f"timestamp={client.timestamp()}"

    assert code(client.raw("GET", BALANCE, f"signature={client.signature(query)}&{query}")) == -1022


def test_unknown_parameter_is_rejected(client: Client) -> None:
    assert client.rejected("GET", BALANCE, colour="red") == -1104
    assert code(client.public("/fapi/v1/ping", symbol="BTCUSDT")) == -1104


def test_query_string_overrides_the_body(client: Client) -> None:
    query, body = "symbol=ETHUSDT", f"symbol=NONSENSE&leverage=7&timestamp={client.timestamp()}"
    response = client.raw("POST", "/fapi/v1/leverage", query, f"{body}&signature={client.signature(query + body)}")

    assert done(response)["symbol"] == "ETHUSDT"


def test_listen_key_needs_no_signature(client: Client) -> None:
    assert len(client.listen_key()) == 64
    assert code(client.raw("POST", "/fapi/v1/listenKey", "", key="b" * 64)) == -2015


def test_unknown_path_returns_an_error_body(client: Client) -> None:
    response = client.public("/fapi/v1/nowhere")

    assert (response.status_code, code(response)) == (404, -1020)


def test_order_may_be_in_the_body(client: Client) -> None:
    body = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&timestamp={client.timestamp()}"

    assert (
        done(client.raw("POST", "/fapi/v1/order", "", f"{body}&signature={client.signature(body)}"))["status"] == "NEW"
    )
    assert code(client.raw("POST", "/fapi/v1/order", "", body)) == -1102
