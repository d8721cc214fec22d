"""The one door for signed requests, and the pure signatures that open it (SIGNED Endpoint Security)."""

import hashlib
import hmac
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol
from urllib.parse import urlencode, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from src.domain.errors import OutcomeUnknown, Unreachable
from src.utils.eip712 import encode_message, load_account

Method = Literal["GET", "POST", "PUT", "DELETE"]
Timeout = tuple[float, float]
"""Seconds to connect, and seconds without a byte of the answer."""
RECV_WINDOW_MS = 3000
"""How long a request may travel: short, so that one whose answer was lost cannot arrive late (Timing Security)."""
_NONCE_WINDOW_US = 10_000_000
"""How far a nonce may lie from the exchange's time (V3 Nonce Mechanism)."""
_FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class ApiVersion(StrEnum):
    """How requests are signed; Aster's paths follow from it."""

    V1 = "v1"
    """An API key and its secret."""
    V3 = "v3"
    """An API wallet that signs for the login wallet."""


class Signer(Protocol):
    """A scheme that turns parameters into signed ones. It does no input or output and never shows its secret."""

    @property
    def api_version(self) -> ApiVersion: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request of this account carries."""
        ...

    @property
    def body_methods(self) -> frozenset[str]:
        """The methods whose parameters travel in the body; the others' travel in the query."""
        ...

    def sign(self, parameters: Mapping[str, str], timestamp_ms: int) -> str:
        """The parameters, urlencoded, with all the scheme adds; ``timestamp_ms`` is the exchange's time."""
        ...


class HmacSigner:
    """V1: HMAC-SHA256 over query and body joined with nothing between; the signature comes last."""

    api_version = ApiVersion.V1
    headers: Mapping[str, str]
    body_methods = frozenset({"POST", "PUT"})

    def __init__(self, api_key: str, api_secret: str, recv_window_ms: int = RECV_WINDOW_MS) -> None:
        self.headers = {"X-MBX-APIKEY": api_key}
        self._secret = api_secret.encode()
        self._recv_window = str(recv_window_ms)

    def sign(self, parameters: Mapping[str, str], timestamp_ms: int) -> str:
        query = urlencode({**parameters, "recvWindow": self._recv_window, "timestamp": str(timestamp_ms)})
        return f"{query}&signature={hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()}"


class Eip712Signer:
    """V3: EIP-712 over the urlencoded parameters; a nonce of microseconds takes the timestamp's place.

    Of a wallet's nonces only the last hundred are remembered and none is accepted twice (V3 Nonce Mechanism): one
    signer in one process for each wallet. ``microsecond``, below 1000, is the one of each millisecond that it begins
    with: drawn where none is given, for our clock tells no finer time, and a doctor signs beside the bot. ValueError
    for a private key that is none.
    """

    api_version = ApiVersion.V3
    headers: Mapping[str, str] = {}
    body_methods = frozenset({"POST", "PUT", "DELETE"})

    def __init__(self, user: str, private_key: str, microsecond: int | None = None) -> None:
        self._wallet = load_account(private_key)
        self._payload = {"user": user, "signer": self._wallet.address}
        self._lock = threading.Lock()  # requests are signed by several threads, and no two may share a nonce
        self._last_nonce = 0
        self._microsecond = secrets.randbelow(1000) if microsecond is None else microsecond

    def sign(self, parameters: Mapping[str, str], timestamp_ms: int) -> str:
        query = urlencode({**parameters, **self._payload, "nonce": str(self._next_nonce(timestamp_ms))})
        signature = self._wallet.sign_message(encode_message(query)).signature
        return f"{query}&signature=0x{bytes(signature).hex()}"

    def _next_nonce(self, timestamp_ms: int) -> int:
        """The instant in microseconds, or the next one after the last: never the same, never smaller, and hardly ever
        that of another program that signs with this wallet.

        But for a clock that was far ahead and was put right: what it signed was refused, and would be for as long.
        """
        now = timestamp_ms * 1000 + self._microsecond
        with self._lock:
            was_far_ahead = self._last_nonce > now + _NONCE_WINDOW_US
            self._last_nonce = now if was_far_ahead else max(now, self._last_nonce + 1)
            return self._last_nonce


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request before it is signed."""

    method: Method
    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeout: Timeout = (2.0, 5.0)

    def __str__(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"


def make_authenticated_request(
    session: requests.Session, request: ApiRequest, signer: Signer, now_ms: Callable[[], int]
) -> requests.Response:
    """Sign and send once, with a timestamp of this instant; ``now_ms`` tells the exchange's time.

    Whatever the answer says, it is returned. ``Unreachable`` where no byte can have left, ``OutcomeUnknown`` where
    the request may have arrived. Neither carries the signed address.
    """
    return _send(session, request, signer.sign(request.parameters, now_ms()), signer.headers, signer.body_methods)


def make_public_request(
    session: requests.Session, request: ApiRequest, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Send without a signature: public facts, or an API key alone (USER_STREAM); the same errors."""
    return _send(session, request, urlencode(request.parameters), headers or {}, frozenset())


def _send(
    session: requests.Session, request: ApiRequest, query: str, headers: Mapping[str, str], body_methods: frozenset[str]
) -> requests.Response:
    in_body = request.method in body_methods
    url = request.url if in_body or not query else f"{request.url}?{query}"
    try:
        # A redirect would be followed with the same signature: it is an answer, and not a good one.
        return session.request(
            request.method,
            url,
            data=query if in_body else None,
            headers={**headers, **(_FORM_HEADERS if in_body else {})},
            timeout=request.timeout,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        reason = f"{request}: {_error_kinds(error)}"
        failure = Unreachable(reason) if _was_never_sent(error) else OutcomeUnknown(reason)
    # Raised outside the handler: a library's exception holds the address with its signature, and must not be chained.
    raise failure


def _was_never_sent(error: requests.RequestException) -> bool:
    """True only where the connection itself failed: by name, by address, by time or by certificate."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL):
        return True
    reason = _cause(error)
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):
        return True
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in getattr(reason, "args", ()))


def _cause(error: requests.RequestException) -> object:
    wrapped = error.args[0] if error.args else None
    return getattr(wrapped, "reason", None) or wrapped


def _error_kinds(error: requests.RequestException) -> str:
    """The kinds of the failure, without its text: that may hold the address."""
    reason = _cause(error)
    kinds = [type(error).__name__]
    if isinstance(reason, BaseException):
        kinds.append(type(reason).__name__)
    return " of ".join(kinds)
