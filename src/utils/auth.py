"""Signs and sends requests: HMAC (V1) or EIP-712 (V3) (SIGNED Endpoint Security)."""

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
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from src.domain.errors import OutcomeUnknown, Unreachable
from src.utils.eip712 import encode_message, load_account

Method = Literal["GET", "POST", "PUT", "DELETE"]
Timeout = tuple[float, float]
"""Connect timeout and read timeout, seconds."""
DEFAULT_TIMEOUT: Timeout = (2.0, 5.0)
RECV_WINDOW_MS = 3000
"""Validity of a request: short, so that a request without a response cannot be executed late (Timing Security)."""
_NONCE_WINDOW_US = 10_000_000
"""Maximum difference between a nonce and the exchange's time (V3 Nonce Mechanism)."""
_FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class ApiVersion(StrEnum):
    """Version of the API: it determines the signature and the paths."""

    V1 = "v1"
    """An API key and its secret."""
    V3 = "v3"
    """An API wallet that signs on behalf of the login wallet."""


class Signer(Protocol):
    """Signs request parameters. Does no I/O and never exposes its secret."""

    @property
    def api_version(self) -> ApiVersion: ...

    @property
    def wallet_address(self) -> str | None:
        """The address of the API wallet that signs; None for an API key."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request of this account."""
        ...

    @property
    def body_methods(self) -> frozenset[str]:
        """Methods that send their parameters in the body; the others use the query string."""
        ...

    def sign(self, parameters: Mapping[str, str], timestamp_ms: int) -> str:
        """Return the urlencoded parameters with timestamp or nonce and signature; ``timestamp_ms`` is exchange time."""
        ...


class HmacSigner:
    """V1: HMAC-SHA256 over query and body, concatenated; the signature is the last parameter."""

    api_version = ApiVersion.V1
    wallet_address: str | None = None
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
    """V3: EIP-712 over the urlencoded parameters, for the chain of a network; a nonce in microseconds replaces the
    timestamp.

    The exchange remembers the last hundred nonces of a wallet and accepts none twice (V3 Nonce Mechanism), so a wallet
    should have one signer in one process. The clock has millisecond resolution: ``microsecond`` (0 to 999, random by
    default) is the offset within each millisecond, so that another process, like the doctor, rarely draws the same
    nonce. Raises ValueError for an invalid private key.
    """

    api_version = ApiVersion.V3
    headers: Mapping[str, str] = {}
    body_methods = frozenset({"POST", "PUT", "DELETE"})

    def __init__(self, user: str, private_key: str, chain_id: int, microsecond: int | None = None) -> None:
        self._chain_id = chain_id
        self._wallet = load_account(private_key)
        self.wallet_address: str | None = self._wallet.address
        self._payload = {"user": user, "signer": self._wallet.address}
        self._lock = threading.Lock()  # several threads sign requests, and no two may share a nonce
        self._last_nonce = 0
        self._microsecond = secrets.randbelow(1000) if microsecond is None else microsecond

    def sign(self, parameters: Mapping[str, str], timestamp_ms: int) -> str:
        query = urlencode({**parameters, **self._payload, "nonce": str(self._next_nonce(timestamp_ms))})
        signature = self._wallet.sign_message(encode_message(query, self._chain_id)).signature
        return f"{query}&signature=0x{bytes(signature).hex()}"

    def _next_nonce(self, timestamp_ms: int) -> int:
        """Return the time in microseconds, or the last nonce plus one if that is larger.

        If the clock was corrected from far ahead, restart from the current time: nonces that far ahead are rejected.
        """
        now = timestamp_ms * 1000 + self._microsecond
        with self._lock:
            was_far_ahead = self._last_nonce > now + _NONCE_WINDOW_US
            self._last_nonce = now if was_far_ahead else max(now, self._last_nonce + 1)
            return self._last_nonce


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request before it is signed."""

    method: Method
    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeout: Timeout = DEFAULT_TIMEOUT

    def __str__(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"


def make_authenticated_request(
    session: requests.Session, request: ApiRequest, signer: Signer, now_ms: Callable[[], int]
) -> requests.Response:
    """Sign a request with the current time and send it once; ``now_ms`` returns exchange time.

    Returns any response, whatever its status. Raises ``Unreachable`` if the request was certainly not sent and
    ``OutcomeUnknown`` if it may have arrived. Neither contains the signed URL.
    """
    return _send(session, request, signer.sign(request.parameters, now_ms()), signer.headers, signer.body_methods)


def make_public_request(
    session: requests.Session, request: ApiRequest, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """Send a request without a signature: market data, or an API key only (USER_STREAM). Raises the same errors."""
    return _send(session, request, urlencode(request.parameters), headers or {}, frozenset())


def _send(
    session: requests.Session, request: ApiRequest, query: str, headers: Mapping[str, str], body_methods: frozenset[str]
) -> requests.Response:
    prepared = _prepare(session, request, query, headers, in_body=request.method in body_methods)
    verify = True if session.verify is None else session.verify
    try:
        # By the adapter: `Session.request` would look up proxies, certificates and .netrc each time, and follow a
        # redirect, which would send the signature to another host.
        adapter = session.get_adapter(request.url)
        response = adapter.send(
            prepared, timeout=request.timeout, verify=verify, cert=session.cert, proxies=session.proxies
        )
        response.content  # noqa: B018 - reads it, so that the connection can be used again
    except requests.RequestException as error:
        reason = f"{request}: {_error_kinds(error)}"
        failure = Unreachable(reason) if _was_never_sent(error) else OutcomeUnknown(reason)
    else:
        if "Set-Cookie" in response.headers:
            session.cookies.update(response.cookies)
        return response
    # Raised outside the handler: the library's exception contains the signed URL and must not be chained.
    raise failure


def _prepare(
    session: requests.Session, request: ApiRequest, query: str, headers: Mapping[str, str], *, in_body: bool
) -> requests.PreparedRequest:
    """The request as it is sent. Its parts are valid already, so that none of the library's checks is needed."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url if in_body or not query else f"{request.url}?{query}"
    prepared.body = query.encode() if in_body else None
    own = {**headers, **(_FORM_HEADERS if in_body else {})}
    prepared.headers = CaseInsensitiveDict({**{name: str(text) for name, text in session.headers.items()}, **own})
    if prepared.body is not None or request.method != "GET":
        prepared.headers["Content-Length"] = str(len(prepared.body or b""))
    if session.cookies:
        prepared.prepare_cookies(session.cookies)
    return prepared


def use_environment(session: requests.Session, url: str) -> None:
    """Set the proxies and certificates that the environment names for a host, once; ignore it from then on."""
    found = session.merge_environment_settings(url, {}, False, None, None)
    session.proxies, session.verify, session.trust_env = dict(found["proxies"]), found["verify"], False


def _was_never_sent(error: requests.RequestException) -> bool:
    """True only if the connection failed: DNS, invalid URL, connect timeout, refused, or bad certificate."""
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
    """Return the exception types without their text, which may contain the URL."""
    reason = _cause(error)
    kinds = [type(error).__name__]
    if isinstance(reason, BaseException):
        kinds.append(type(reason).__name__)
    return " of ".join(kinds)
