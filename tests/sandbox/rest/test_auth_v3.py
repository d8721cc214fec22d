"""API wallets on V3 over a real socket: registration, nonces, signatures and their place."""

from typing import Any

import pytest
import requests

from src.sandbox.rest.app import ROUTES
from src.sandbox.rest.routes import is_v3
from src.sandbox.server import SandboxServer
from tests.sandbox.client import code, done
from tests.sandbox.wallet_client import WalletClient

BALANCE = "/fapi/v3/balance"
LEVERAGE = "/fapi/v3/leverage"
OTHER_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
OTHER_ADDRESS = "0x21cF8Ae13Bb72632562c6Fff438652Ba1a151bb0"
ONLY_V3 = {
    ("PUT", "fapi", "order"),
    ("POST", "fapi", "noop"),
    ("GET", "fapi", "stpMode"),
    ("POST", "fapi", "stpMode"),
    ("GET", "fapi", "builder"),
    ("GET", "fapi", "agent"),
}


class Wallet(WalletClient):
    def read(self, **parameters: Any) -> requests.Response:
        return self.send("GET", BALANCE, query=self.text(**parameters))


@pytest.fixture
def wallet(server: SandboxServer) -> Wallet:
    return Wallet(server)


def test_signed_request_is_accepted(wallet: Wallet) -> None:
    assert done(wallet.read())[0]["asset"] == "USDT"


def test_signature_prefix_is_optional(wallet: Wallet) -> None:
    assert done(wallet.send("GET", BALANCE, query=wallet.text().replace("signature=0x", "signature=")))


def test_address_case_is_ignored_and_user_is_optional(wallet: Wallet) -> None:
    """The documented example sends no user."""
    assert done(wallet.read(signer=wallet.server.wallet.signer.lower(), user=None))


@pytest.mark.parametrize("place", ["query", "body"])
def test_post_parameters_may_be_in_query_or_body(wallet: Wallet, place: str) -> None:
    signed = wallet.text(symbol="ETHUSDT", leverage=7)
    response = wallet.send("POST", LEVERAGE, **({"query": signed} if place == "query" else {"body": signed}))
    assert done(response)["leverage"] == 7


def test_parameters_in_query_and_body_are_rejected(wallet: Wallet) -> None:
    body = wallet.text(symbol="ETHUSDT")
    assert code(wallet.send("POST", LEVERAGE, query="leverage=7", body=body)) == -1022


def test_get_parameters_must_be_in_the_query(wallet: Wallet) -> None:
    assert code(wallet.send("GET", BALANCE, body=wallet.text())) == -1022


@pytest.mark.parametrize("name", ["user", "signer"])
def test_unregistered_wallet_is_rejected(wallet: Wallet, name: str) -> None:
    response = wallet.read(**{name: OTHER_ADDRESS})
    assert (response.status_code, code(response)) == (401, -2015)


def test_signature_of_another_wallet_is_rejected(wallet: Wallet) -> None:
    assert code(wallet.read(key=OTHER_KEY)) == -1022


def test_parameters_changed_after_signing_are_rejected(wallet: Wallet) -> None:
    assert code(wallet.send("GET", BALANCE, query=f"symbol=BTCUSDT&{wallet.text()}")) == -1022


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("signer", "sinner", -1102),
        ("nonce", "once", -1102),
        ("nonce=", "nonce=x", -1100),
        ("signature=0x", "signature=", None),
        ("signature=0x", "signature=zz", -1022),
        ("signature=0x", "signature=0x00", -1022),
        ("signature=", "ignature=", -1102),
        ("user=", "user=&user=", -1101),
    ],
)
def test_invalid_request_has_the_documented_code(wallet: Wallet, old: str, new: str, expected: int | None) -> None:
    response = wallet.send("GET", BALANCE, query=wallet.text().replace(old, new))
    assert (None if response.ok else code(response)) == expected


@pytest.mark.parametrize(("offset_s", "expected"), [(-11, -1021), (11, -1021), (-9, None), (9, None)])
def test_nonce_must_be_within_ten_seconds(wallet: Wallet, offset_s: int, expected: int | None) -> None:
    response = wallet.read(nonce=wallet.nonce() + offset_s * 1_000_000)
    assert (None if response.ok else code(response)) == expected


def test_nonce_is_used_once(wallet: Wallet) -> None:
    nonce = wallet.nonce()
    assert done(wallet.read(nonce=nonce))
    assert code(wallet.read(nonce=nonce)) == -4225


def test_rejected_signature_does_not_use_the_nonce(wallet: Wallet) -> None:
    nonce = wallet.nonce()
    assert code(wallet.read(nonce=nonce, key=OTHER_KEY)) == -1022
    assert done(wallet.read(nonce=nonce))


def test_last_hundred_nonces_are_remembered(wallet: Wallet) -> None:
    """A nonce smaller than all remembered ones is rejected, one between them is not (V3 Nonce Mechanism)."""
    first = wallet.nonce()
    for number in range(2, 202, 2):
        assert wallet.server.wallet.nonces.use(first + number)

    assert code(wallet.read(nonce=first)) == -4225
    assert code(wallet.read(nonce=first + 1)) == -4225
    assert done(wallet.read(nonce=first + 3))
    assert code(wallet.read(nonce=first + 2)) == -4225


def test_listen_key_needs_a_signature(wallet: Wallet) -> None:
    path = "/fapi/v3/listenKey"
    assert code(wallet.send("POST", path)) == -1102
    assert len(done(wallet.send("POST", path, body=wallet.text()))["listenKey"]) == 64
    assert done(wallet.send("PUT", path, body=wallet.text())) == {}
    assert done(wallet.send("DELETE", path, body=wallet.text())) == {}


def test_market_data_needs_no_signature(wallet: Wallet) -> None:
    assert isinstance(done(wallet.send("GET", "/fapi/v3/historicalTrades", query="symbol=BTCUSDT")), list)
    assert code(wallet.send("GET", "/fapi/v3/ping", query="symbol=BTCUSDT")) == -1104


def test_api_key_is_not_accepted_on_v3(wallet: Wallet) -> None:
    headers = {"X-MBX-APIKEY": wallet.server.api_key}
    assert code(requests.get(f"{wallet.server.base_url}{BALANCE}", headers=headers, timeout=20)) == -1102


def test_every_v1_path_has_a_v3_path() -> None:
    v1 = {_method_host_name(route.method, path) for route in ROUTES for path in route.paths if not is_v3(path)}
    v3 = [_method_host_name(route.method, path) for route in ROUTES for path in route.v3_paths]

    assert len(v3) == len(set(v3))
    assert set(v3) - v1 == {("GET", "fapi", "accountWithJoinMargin"), *ONLY_V3}
    assert v1 - set(v3) == set()


def _method_host_name(method: str, path: str) -> tuple[str, str, str]:
    _, host, _, name = path.split("/", 3)
    return method, host, name


def test_v3_only_paths_do_not_exist_on_v1(wallet: Wallet) -> None:
    """A V1 client must not modify an order by mistake."""
    for method, host, name in ONLY_V3:
        response = wallet.send(method, f"/{host}/v1/{name}")
        assert (response.status_code in (404, 405), code(response)) == (True, -1020)


def test_noop_uses_the_nonce_of_a_delayed_request(wallet: Wallet) -> None:
    nonce = wallet.nonce()

    assert done(wallet.send("POST", "/fapi/v3/noop", body=wallet.text(nonce=nonce)))["code"] == 200
    late = wallet.text(nonce=nonce, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    assert code(wallet.send("POST", "/fapi/v3/order", body=late)) == -4225


def test_self_trade_prevention_mode_is_stored(wallet: Wallet) -> None:
    path = "/fapi/v3/stpMode"

    assert done(wallet.send("GET", path, query=wallet.text())) == {"stpMode": "EXPIRE_TAKER"}
    assert done(wallet.send("POST", path, body=wallet.text(stpMode="EXPIRE_BOTH")))["msg"] == "success"
    assert done(wallet.send("GET", path, query=wallet.text())) == {"stpMode": "EXPIRE_BOTH"}
    assert code(wallet.send("POST", path, body=wallet.text(stpMode="EXPIRE_NOBODY"))) == -1130


def test_builder_list_is_empty(wallet: Wallet) -> None:
    assert done(wallet.send("GET", "/fapi/v3/builder", query=wallet.text())) == []
