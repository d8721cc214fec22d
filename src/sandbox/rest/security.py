"""Who may ask what on V1: API key, timestamp and HMAC signature (Endpoint Security Type, Timing Security)."""

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, auto

from src.domain.errors import AuthError, Rejected
from src.sandbox.keys import Keys
from src.sandbox.rest.parameters import INVALID, MANDATORY, Parameters

_BAD_KEY_FORMAT = -2014
UNKNOWN_KEY = -2015
BAD_TIMESTAMP = -1021
BAD_SIGNATURE = -1022
_USUAL_WINDOW_MS = 5_000
_WIDEST_WINDOW_MS = 60_000
_AHEAD_MS = 1_000
SIGNED_PARAMETERS = ("timestamp", "recvWindow", "signature")


class Security(Enum):
    """What a route asks for."""

    NONE = auto()
    MARKET_DATA = auto()
    """V1: the key alone; V3: nothing."""
    USER_STREAM = auto()
    """V1: the key alone; V3: a signature."""
    SIGNED = auto()
    """TRADE and USER_DATA: V1: key, timestamp and signature; V3: nonce and signature."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed: query string and body as they came, byte for byte."""

    key: str | None
    query: str
    body: str
    method: str = "POST"


def authenticate(security: Security, request: Request, parameters: Parameters, keys: Keys, now_ms: int) -> None:
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
    if window is not None and not 0 <= window <= _WIDEST_WINDOW_MS:
        raise Rejected(INVALID, "Data sent for parameter 'recvWindow' is not valid.")
    if timestamp >= now_ms + _AHEAD_MS:
        raise AuthError(BAD_TIMESTAMP, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > (_USUAL_WINDOW_MS if window is None else window):
        raise AuthError(BAD_TIMESTAMP, "Timestamp for this request is outside of the recvWindow.")


def _check_signature(request: Request, parameters: Parameters, keys: Keys) -> None:
    if not parameters.optional("signature"):
        raise Rejected(MANDATORY, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
    query, in_query = without_signature(request.query)
    body, in_body = without_signature(request.body)
    expected = hmac.new(keys.api_secret.encode(), (query + body).encode(), hashlib.sha256).hexdigest()
    given = in_query or in_body or ""
    if not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise AuthError(BAD_SIGNATURE, "Signature for this request is not valid.")


def without_signature(text: str) -> tuple[str, str | None]:
    """The signed part and the signature, which must be the last parameter of query string or body."""
    signed, _, last = text.rpartition("&")
    name, _, value = last.partition("=")
    return (signed, value) if name == "signature" else (text, None)
