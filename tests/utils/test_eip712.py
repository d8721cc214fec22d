"""API wallets: signatures equal those of eth-account for the documented message, and nonces are unique."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.credentials.credentials import WalletCredentials
from src.domain.enums import Network
from src.utils.auth import Eip712Signer
from src.utils.eip712 import encode_message, is_address, load_account, load_library, recover_signer

# The documented example (Example of POST /fapi/v3/order).
USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
SIGNER = "0x21cF8Ae13Bb72632562c6Fff438652Ba1a151bb0"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
MAINNET, TESTNET = 1666, 714
NOW_MS = 1_748_310_859_508
ORDER = {"symbol": "ASTERUSDT", "type": "LIMIT", "side": "BUY", "timeInForce": "GTC", "quantity": "20", "price": "0.5"}
CURVE_ORDER = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def documented(text: str, chain_id: int = MAINNET) -> Any:
    """Encode the message as the documented example does, with eth-account."""
    kinds = {"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address"}
    message = {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in kinds.items()],
            "Message": [{"name": "msg", "type": "string"}],
        },
        "primaryType": "Message",
        "domain": {
            "name": "AsterSignTransaction",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x0000000000000000000000000000000000000000",
        },
        "message": {"msg": text},
    }
    return load_library().messages.encode_typed_data(full_message=message)


@pytest.fixture
def signer() -> Eip712Signer:
    return Eip712Signer(USER, PRIVATE_KEY, MAINNET, microsecond=0)


@given(text=texts)
def test_message_equals_the_documented_one(text: str) -> None:
    assert encode_message(text, MAINNET) == documented(text)


@given(parameters=st.dictionaries(st.text("abcXYZ", min_size=1, max_size=8), texts, max_size=4))
def test_signature_recovers_to_the_signer(parameters: dict[str, str]) -> None:
    signed, _, signature = Eip712Signer(USER, PRIVATE_KEY, MAINNET).sign(parameters, NOW_MS).rpartition("&signature=")

    assert signature.startswith("0x")
    assert recover_signer(signed, signature, MAINNET) == recover_signer(signed, signature[2:], MAINNET) == SIGNER
    expected = load_library().Account.sign_message(documented(signed), PRIVATE_KEY)
    assert signature == f"0x{bytes(expected.signature).hex()}"


@pytest.mark.parametrize(("network", "chain_id"), [(Network.MAINNET, MAINNET), (Network.TESTNET, TESTNET)])
def test_wallet_signs_for_the_chain_of_its_network(network: Network, chain_id: int) -> None:
    signer = WalletCredentials(USER, SIGNER, PRIVATE_KEY).make_signer(network)
    signed, _, signature = signer.sign(ORDER, NOW_MS).rpartition("&signature=")

    expected = load_library().Account.sign_message(documented(signed, chain_id), PRIVATE_KEY)
    assert signature == f"0x{bytes(expected.signature).hex()}"
    assert [recover_signer(signed, signature, each) == SIGNER for each in (MAINNET, TESTNET)].count(True) == 1


def test_payload_follows_the_parameters(signer: Eip712Signer) -> None:
    signed = signer.sign(ORDER, NOW_MS)

    payload = {"user": USER, "signer": SIGNER, "nonce": str(NOW_MS * 1000)}
    assert signed.startswith(urlencode({**ORDER, **payload}) + "&signature=0x")


def test_nonces_are_unique_across_threads(signer: Eip712Signer) -> None:
    nonces: list[int] = []

    def sign() -> None:
        nonces.extend(nonce_of(signer.sign({}, NOW_MS)) for _ in range(20))

    threads = [threading.Thread(target=sign) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(nonces) == list(range(NOW_MS * 1000, NOW_MS * 1000 + 80))


def test_nonces_increase_when_the_clock_goes_back(signer: Eip712Signer) -> None:
    first, second, third = (nonce_of(signer.sign({}, at)) for at in (NOW_MS, NOW_MS - 5000, NOW_MS + 1))

    assert (first, second, third) == (NOW_MS * 1000, NOW_MS * 1000 + 1, (NOW_MS + 1) * 1000)


def test_nonces_restart_after_the_clock_was_far_ahead(signer: Eip712Signer) -> None:
    nonces = [nonce_of(signer.sign({}, at)) for at in (NOW_MS + 3_600_000, NOW_MS, NOW_MS)]

    assert nonces[1:] == [NOW_MS * 1000, NOW_MS * 1000 + 1]


def test_signers_of_one_wallet_start_at_different_nonces() -> None:
    signers = [Eip712Signer(USER, PRIVATE_KEY, MAINNET) for _ in range(5)]  # all equal: one in a trillion

    assert len({nonce_of(each.sign({}, NOW_MS)) for each in signers}) > 1


def nonce_of(signed: str) -> int:
    return int(dict(parse_qsl(signed))["nonce"])


def test_representation_hides_the_key(signer: Eip712Signer) -> None:
    assert PRIVATE_KEY[2:] not in f"{signer!r} {signer} {vars(signer)}"


@pytest.mark.parametrize("key", ["", "0x", "12", "zz" * 32, "00" * 32, CURVE_ORDER])
def test_invalid_private_key_is_rejected_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="not a private key") as caught:
        load_account(key)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("signature", ["", "0x", "zz" * 65, "00" * 65, "ff" * 65, "11" * 64])
def test_invalid_signature_raises(signature: str) -> None:
    with pytest.raises(ValueError):
        recover_signer("a=1", signature, MAINNET)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (USER, True),
        (USER.lower(), True),
        (f"0x{USER[2:].upper()}", True),
        (USER.replace("63DD", "63dD"), False),
        (USER[2:], False),
        (USER[:-1], False),
        ("0x" + "g" * 40, False),
        ("", False),
    ],
)
def test_address_needs_its_digits_and_its_checksum(text: str, expected: bool) -> None:
    assert is_address(text) is expected


def test_library_is_lazy_and_keeps_the_recursion_limit() -> None:
    """Importing it raises the recursion limit, with which deeply nested JSON would crash the process."""
    script = f"""
import sys
from src.settings.config import load_environment
from src.credentials.credentials import WalletCredentials
from src.domain.enums import Network
from src.utils.auth import Eip712Signer
assert "eth_account" not in sys.modules
limit = sys.getrecursionlimit()
Eip712Signer("{USER}", "{PRIVATE_KEY}", {MAINNET}).sign({{}}, 1)
assert sys.getrecursionlimit() == limit
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE)

    assert done.returncode == 0, done.stderr.decode()
