"""What an answer says about the world: accepted, refused, or perhaps (HTTP Return Codes, Error Codes)."""

from collections.abc import Callable
from dataclasses import replace

from src.domain.errors import AuthError, ExchangeError, OutcomeUnknown, ProtocolError, Rejected, Unreachable
from src.exchange.wire import ErrorBody, parse_error, read_json
from src.utils.log import make_redactor

TIMESTAMP_REJECTED = -1021
NONCE_REJECTED = -4225
"""V3: a nonce that came before, or is older than the last hundred (V3 Nonce Mechanism, Noop)."""
UNKNOWN_ORDER = -2013
UNKNOWN_OPEN_ORDER = -2011
MARGIN_TYPE_UNCHANGED = -4046
POSITION_MODE_UNCHANGED = -4059
_OUTCOME_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})
"""Execution status unknown; -1000 and -1001 say too little to be taken for a refusal."""
_AUTH_CODES = frozenset(
    {-1002, -1011, TIMESTAMP_REJECTED, -1022, -2014, -2015, -4056, -4057, -4087, -4088, NONCE_REJECTED}
)
"""Key, permission, address, signature or clock. -4087 and -4088 forbid the account to open anything."""
_REMEDIES = {
    TIMESTAMP_REJECTED: "let this machine's clock follow a time server",
    -1022: "API_SECRET or ASTER_SIGNER_PRIVATE_KEY does not belong to the key or wallet beside it: copy them again",
    -2014: "API_KEY is not one of Aster: copy it again",
    -2015: "the key or API wallet is unknown, ended, bound to another address or may not trade: look on Aster's site",
    -4087: "the exchange lets this account only reduce positions: ask Aster why, or wait until it lifts that",
    -4088: "the exchange lets this account place no orders now: ask Aster why, or wait until it lifts that",
    NONCE_REJECTED: "another program signs with the same API wallet: give each its own",
}
_DEFAULT_REMEDY = "see on Aster's site whether the key or API wallet may trade"
_REJECTION_STATUSES = frozenset({400, 401, 403, 418, 429})
_RATE_LIMIT_STATUSES = frozenset({418, 429})
_redact = make_redactor(())

RateLimitFactory = Callable[[str], ExchangeError]
"""The error for a 429 or 418 with this message."""


def classify(status: int, body: bytes, *, is_idempotent: bool, rate_limit_error: RateLimitFactory) -> object:
    """The payload of a good answer; every other one becomes the error that says what it means.

    Only a refusal with a code of the exchange proves that a request which must not be repeated did not happen.
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


def unknown_outcome(reason: str, is_idempotent: bool) -> ExchangeError:
    """The error for an answer that tells nothing."""
    return Unreachable(reason) if is_idempotent else OutcomeUnknown(reason)


def remedy_for(code: int) -> str:
    """What a person can do about a refusal, where we know it; ``_rejected`` has put it behind the reason."""
    return _REMEDIES.get(code, "")


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _payload(status: int, body: bytes, is_idempotent: bool) -> object:
    try:
        return read_json(body)
    except ProtocolError as error:
        raise unknown_outcome(f"HTTP {status} with a body that is {error}", is_idempotent) from error


def _parse_error_body(body: bytes) -> ErrorBody | None:
    """What is refused may be quoted in the refusal: a key that comes back is not passed on to ledger, page or log."""
    try:
        error_body = parse_error(read_json(body))
    except ProtocolError:
        return None
    return replace(error_body, message=_redact(error_body.message))


def _rejected(error_body: ErrorBody) -> Rejected:
    kind = AuthError if error_body.code in _AUTH_CODES else Rejected
    remedy = _REMEDIES.get(error_body.code, _DEFAULT_REMEDY if kind is AuthError else None)
    return kind(error_body.code, f"{error_body.message.rstrip('.')}: {remedy}" if remedy else error_body.message)
