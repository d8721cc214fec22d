import socket
import ssl
import traceback
from collections.abc import Iterator

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.exceptions import SSLError as Urllib3SslError

from src.domain.errors import HunterError, OutcomeUnknown, Unreachable
from src.utils.auth import ApiRequest, HmacSigner, Method, make_authenticated_request, make_public_request
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer

SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
NOW_MS = 1_591_702_613_943
PATH = "/fapi/v1/order"
CLOSED_PORT = "http://127.0.0.1:1"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as server:
        yield server


@pytest.fixture
def signer() -> HmacSigner:
    return HmacSigner("key", SECRET)


def failure_of(request: ApiRequest, session: requests.Session | None = None) -> HunterError:
    with pytest.raises(HunterError) as caught:
        make_authenticated_request(session or requests.Session(), request, HmacSigner("key", SECRET), lambda: NOW_MS)
    return caught.value


def test_signature_matches_the_documented_example() -> None:
    """SIGNED Endpoint Examples for POST /fapi/v1/order, Example 1."""
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "1",
        "price": "9000",
        "timeInForce": "GTC",
    }

    signed = HmacSigner("key", SECRET, recv_window_ms=5000).sign(order, NOW_MS)

    assert signed == (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
        "&timestamp=1591702613943&signature=3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    )


def test_non_ascii_symbol_is_signed_urlencoded(signer: HmacSigner) -> None:
    signed = signer.sign({"symbol": "币安人生USDT"}, NOW_MS)

    assert "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&" in signed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_every_method_is_signed(server: ScriptedServer, signer: HmacSigner, method: Method) -> None:
    server.script(method, PATH, Reply({"done": True}))

    response = make_authenticated_request(
        requests.Session(), ApiRequest(method, server.url + PATH, {"symbol": "BTCUSDT"}), signer, lambda: NOW_MS
    )

    assert response.json() == {"done": True}
    request = server.received[0]
    assert request.headers["X-MBX-APIKEY"] == "key"
    assert request.parameters["timestamp"] == str(NOW_MS)
    assert request.parameters["recvWindow"] == "3000"
    assert request.signed_text == signer.sign({"symbol": "BTCUSDT"}, NOW_MS)


def test_each_request_has_its_own_timestamp(server: ScriptedServer, signer: HmacSigner) -> None:
    server.script("GET", PATH, Reply())
    instants = iter([1, 2])
    session, request = requests.Session(), ApiRequest("GET", server.url + PATH)

    for _ in range(2):
        make_authenticated_request(session, request, signer, lambda: next(instants))

    assert [request.parameters["timestamp"] for request in server.received] == ["1", "2"]


def test_public_request_has_no_signature(server: ScriptedServer) -> None:
    server.script("GET", "/fapi/v1/depth", Reply())

    make_public_request(requests.Session(), ApiRequest("GET", server.url + "/fapi/v1/depth", {"symbol": "BTCUSDT"}))

    assert server.received[0].signed_text == "symbol=BTCUSDT"
    assert "X-MBX-APIKEY" not in server.received[0].headers


def test_redirect_is_not_followed(server: ScriptedServer, signer: HmacSigner) -> None:
    server.script("GET", PATH, Reply(status=302, headers={"Location": server.url + "/elsewhere"}))

    response = make_authenticated_request(
        requests.Session(), ApiRequest("GET", server.url + PATH), signer, lambda: NOW_MS
    )

    assert response.status_code == 302
    assert len(server.received) == 1


def test_refused_connection_is_unreachable() -> None:
    assert isinstance(failure_of(ApiRequest("POST", f"{CLOSED_PORT}{PATH}")), Unreachable)


def test_unknown_host_is_unreachable() -> None:
    session = requests.Session()
    session.trust_env = False
    assert isinstance(failure_of(ApiRequest("POST", f"http://no-such-host.invalid{PATH}"), session), Unreachable)


def test_invalid_url_is_unreachable() -> None:
    assert isinstance(failure_of(ApiRequest("POST", "http:///order")), Unreachable)


def test_reset_after_sending_has_unknown_outcome(server: ScriptedServer) -> None:
    server.script("POST", PATH, Reset())

    assert isinstance(failure_of(ApiRequest("POST", server.url + PATH)), OutcomeUnknown)
    assert len(server.received) == 1


def test_read_timeout_has_unknown_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}{PATH}"
        failure = failure_of(ApiRequest("POST", url, timeout=(1.0, 0.05)))

    assert isinstance(failure, OutcomeUnknown)


class FailingSession(requests.Session):
    """Raises the exception of a library, including the URL."""

    def __init__(self, error: requests.RequestException) -> None:
        super().__init__()
        self._error = error

    def get_adapter(self, url: str) -> HTTPAdapter:
        raise self._error


@pytest.mark.parametrize(
    ("cause", "expected"),
    [(ssl.SSLCertVerificationError("untrusted"), Unreachable), (ssl.SSLError("record damaged"), OutcomeUnknown)],
)
def test_only_a_bad_certificate_proves_nothing_was_sent(cause: Exception, expected: type) -> None:
    wrapped = MaxRetryError(None, "/order?signature=x", Urllib3SslError(cause))  # type: ignore[arg-type]
    session = FailingSession(requests.exceptions.SSLError(wrapped))

    assert isinstance(failure_of(ApiRequest("POST", "https://x/order"), session), expected)


def test_connect_timeout_is_unreachable() -> None:
    session = FailingSession(requests.ConnectTimeout("https://x/order?signature=x"))

    assert isinstance(failure_of(ApiRequest("POST", "https://x/order"), session), Unreachable)


def test_errors_do_not_contain_the_signed_url(server: ScriptedServer) -> None:
    server.script("GET", PATH, Reset())
    attempts = [
        ApiRequest("GET", server.url + PATH, {"symbol": "BTCUSDT"}),
        ApiRequest("GET", f"{CLOSED_PORT}{PATH}", {"symbol": "BTCUSDT"}),
    ]

    for request in attempts:
        shown = "".join(traceback.format_exception(failure_of(request)))
        assert "GET /fapi/v1/order" in shown
        assert "signature" not in shown
        assert SECRET not in shown


def test_representation_hides_the_secret(signer: HmacSigner) -> None:
    assert SECRET not in f"{signer!r} {signer}"
