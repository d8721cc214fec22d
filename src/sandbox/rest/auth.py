"""Authentication: V1 by API key, timestamp and HMAC signature; V3 by signer, nonce and EIP-712 signature."""

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, auto

from src.domain.enums import Network
from src.domain.errors import AuthError, Rejected
from src.sandbox.account.keys import Keys, Wallet
from src.sandbox.rest.parameters import INVALID, MANDATORY, Parameters
from src.utils.eip712 import recover_signer

_BAD_KEY_FORMAT = -2014
UNKNOWN_KEY = -2015
BAD_TIMESTAMP = -1021
BAD_SIGNATURE = -1022
_BAD_NONCE = -4225
_NONCE_WINDOW_US = 10_000_000
_DEFAULT_RECV_WINDOW_MS = 5_000
_MAX_RECV_WINDOW_MS = 60_000
_AHEAD_MS = 1_000
V1_PARAMETERS = ("timestamp", "recvWindow", "signature")
V3_PARAMETERS = ("user", "signer", "nonce", "signature")


class Security(Enum):
    """Authentication that a route requires."""

    NONE = auto()
    MARKET_DATA = auto()
    """V1: the key only; V3: nothing."""
    USER_STREAM = auto()
    """V1: the key only; V3: a signature."""
    SIGNED = auto()
    """TRADE and USER_DATA: V1: key, timestamp and signature; V3: nonce and signature."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Query string and body exactly as received: the signature covers these bytes."""

    key: str | None
    query: str
    body: str
    method: str = "POST"


def authenticate_v1(
    security: Security, request: SignedRequest, parameters: Parameters, keys: Keys, now_ms: int
) -> None:
    """Raises AuthError with -2014, -2015, -1021 or -1022, or Rejected for missing parameters."""
    if security is Security.NONE:
        return
    _check_key(request.key, keys)
    if security is Security.SIGNED:
        _check_time(parameters, now_ms)
        _check_signature(request, parameters, keys)


def _check_key(key: str | None, keys: Keys) -> None:
    if not key or not key.isalnum():
        raise AuthError(_BAD_KEY_FORMAT, "API-key format invalid.")
    if not hmac.compare_digest(key.encode(), keys.api_key.encode()):
        raise AuthError(UNKNOWN_KEY, "Invalid API-key, IP, or permissions for action.")


def _check_time(parameters: Parameters, now_ms: int) -> None:
    timestamp = parameters.integer("timestamp")
    window = parameters.optional_integer("recvWindow")
    if window is not None and not 0 <= window <= _MAX_RECV_WINDOW_MS:
        raise Rejected(INVALID, "Data sent for parameter 'recvWindow' is not valid.")
    if timestamp >= now_ms + _AHEAD_MS:
        raise AuthError(BAD_TIMESTAMP, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > (_DEFAULT_RECV_WINDOW_MS if window is None else window):
        raise AuthError(BAD_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")


def _check_signature(request: SignedRequest, parameters: Parameters, keys: Keys) -> None:
    if not parameters.optional("signature"):
        raise Rejected(MANDATORY, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    query, in_query = split_signature(request.query)
    body, in_body = split_signature(request.body)
    expected = hmac.new(keys.api_secret.encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    given = in_query or in_body or ""
    if not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise AuthError(BAD_SIGNATURE, "Signature for this request is not valid.")


def split_signature(text: str) -> tuple[str, str | None]:
    """Split off the signature, which must be the last parameter of query string or body."""
    signed, _, last = text.rpartition("&")
    name, _, value = last.partition("=")
    return (signed, value) if name == "signature" else (text, None)


def authenticate_v3(
    security: Security, request: SignedRequest, parameters: Parameters, keys: Keys, now_ms: int
) -> None:
    """Raises AuthError with -2015, -1021, -1022 or -4225, or Rejected for missing parameters."""
    if security in (Security.NONE, Security.MARKET_DATA):
        return
    wallet = keys.wallet
    _check_registration(parameters, wallet)
    nonce = parameters.integer("nonce")
    if abs(now_ms * 1000 - nonce) > _NONCE_WINDOW_US:
        raise AuthError(BAD_TIMESTAMP, "The nonce of this request is more than 10 seconds off the server's time.")
    parameters.text("signature")
    if not _is_signed_by(wallet.signer, request):
        raise AuthError(BAD_SIGNATURE, "Signature for this request is not valid.")
    if not wallet.nonces.use(nonce):
        raise AuthError(_BAD_NONCE, "Nonce Expired")


def _check_registration(parameters: Parameters, wallet: Wallet) -> None:
    """Check signer and user. The user is optional, as in the documented example."""
    signer, user = parameters.text("signer"), parameters.optional("user")
    if signer.lower() != wallet.signer.lower() or (user or wallet.user).lower() != wallet.user.lower():
        raise AuthError(UNKNOWN_KEY, "Invalid API-key, IP, or permissions for action.")


def _is_signed_by(address: str, request: SignedRequest) -> bool:
    """Verify the signature. All parameters must be in the query of a GET, else in either query or body."""
    places = [text for text in (request.query, request.body) if text]
    if len(places) != 1 or (request.method == "GET" and request.body):
        return False
    signed, signature = split_signature(places[0])
    try:
        return recover_signer(signed, signature or "", Network.SANDBOX.chain_id) == address
    except ValueError:
        return False
