"""Classify HTTP responses: success, rejection, or unknown outcome (HTTP Return Codes, Error Codes)."""

from collections.abc import Callable
from dataclasses import replace

from src.domain.errors import AuthError, ExchangeError, OutcomeUnknown, ProtocolError, Rejected, Unreachable
from src.exchange.wire import ErrorBody, parse_error, read_json
from src.utils.log import make_redactor

TIMESTAMP_REJECTED = -1021
NONCE_REJECTED = -4225
"""V3: a nonce that was used before or is older than the last hundred (V3 Nonce Mechanism, Noop)."""
UNKNOWN_ORDER = -2013
UNKNOWN_OPEN_ORDER = -2011
MARGIN_TYPE_UNCHANGED = -4046
POSITION_MODE_UNCHANGED = -4059
_OUTCOME_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007, -4083})
"""Execution status unknown; -1000, -1001 and -4083 (a batch failed) are too vague to count as a rejection."""
RATE_LIMIT_CODES = frozenset({-1003, -1015})
_AUTH_CODES = frozenset(
    {-1002, -1011, TIMESTAMP_REJECTED, -1022, -2014, -2015, -4056, -4057, -4087, -4088, NONCE_REJECTED}
)
"""Key, permission, address, signature or clock. With -4087 and -4088 the account may not open positions."""
_REMEDIES = {
    TIMESTAMP_REJECTED: "sync this machine's clock (NTP)",
    -1022: "API_SECRET or ASTER_SIGNER_PRIVATE_KEY does not match its key or wallet; copy both again",
    -2014: "API_KEY is not a valid Aster key; copy it again",
    -2015: "the key or API wallet is unknown, expired, bound to another IP address or may not trade; "
    "check it on Aster's site",
    -4087: "Aster allows this account only to reduce positions; ask Aster's support",
    -4088: "Aster allows this account no new orders; ask Aster's support",
    NONCE_REJECTED: "another program signs with the same API wallet; give each program its own wallet",
}
_DEFAULT_REMEDY = "check on Aster's site whether the key or API wallet may trade"
_REJECTION_STATUSES = frozenset({400, 401, 403, 418, 429})
_RATE_LIMIT_STATUSES = frozenset({418, 429})
_redact = make_redactor(())

RateLimitFactory = Callable[[str], ExchangeError]
"""Makes the error for a 429 or 418 from its message."""


def classify(status: int, body: bytes, *, is_idempotent: bool, rate_limit_error: RateLimitFactory) -> object:
    """Return the payload of a successful response; raise the error that any other response means.

    For a request that is not idempotent, only a rejection with an error code proves that it was not executed.
    ``rate_limit_error`` is called for every 429 and 418, and only for them.
    """
    error_body = None if _is_success(status) else _parse_error_body(body)
    throttled = rate_limit_error(error_body.message if error_body else "") if status in _RATE_LIMIT_STATUSES else None
    if _is_success(status):
        return _payload(status, body, is_idempotent)
    is_definite = is_idempotent or (error_body is not None and status in _REJECTION_STATUSES)
    if not is_definite or (error_body and error_body.code in _OUTCOME_UNKNOWN_CODES):
        raise unknown_outcome(f"HTTP {status}", is_idempotent)
    if throttled:
        raise throttled
    if error_body is None or not 400 <= status < 500:
        raise Unreachable(f"HTTP {status}")
    raise _rejected(error_body)


def batch_error(entry: object) -> Rejected | OutcomeUnknown:
    """Return the error that one entry of the response to a batch means; raise ``ProtocolError`` if it is none."""
    error_body = _redacted(parse_error(entry))
    if error_body.code >= 0 or error_body.code in _OUTCOME_UNKNOWN_CODES:
        return OutcomeUnknown(f"code {error_body.code}: {error_body.message}")
    return _rejected(error_body)


def unknown_outcome(reason: str, is_idempotent: bool) -> ExchangeError:
    """Return the error for a request that may or may not have been executed."""
    return Unreachable(reason) if is_idempotent else OutcomeUnknown(reason)


def remedy_for(code: int) -> str:
    """Return the known remedy for an error code, or ""; ``_rejected`` appends the same text to the reason."""
    return _REMEDIES.get(code, "")


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _payload(status: int, body: bytes, is_idempotent: bool) -> object:
    try:
        return read_json(body)
    except ProtocolError as error:
        raise unknown_outcome(f"HTTP {status} with a body that is {error}", is_idempotent) from error


def _parse_error_body(body: bytes) -> ErrorBody | None:
    try:
        return _redacted(parse_error(read_json(body)))
    except ProtocolError:
        return None


def _redacted(error_body: ErrorBody) -> ErrorBody:
    """Redact the message, which may quote a key from the request."""
    return replace(error_body, message=_redact(error_body.message))


def _rejected(error_body: ErrorBody) -> Rejected:
    kind = AuthError if error_body.code in _AUTH_CODES else Rejected
    remedy = _REMEDIES.get(error_body.code, _DEFAULT_REMEDY if kind is AuthError else None)
    return kind(error_body.code, f"{error_body.message.rstrip('.')}: {remedy}" if remedy else error_body.message)
