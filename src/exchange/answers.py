"""What an answer says about the world: accepted, refused, or perhaps (HTTP Return Codes, Error Codes)."""

from collections.abc import Callable
from dataclasses import replace

from src.domain.errors import AuthError, ExchangeError, OutcomeUnknown, ProtocolError, Rejected, Unreachable
from src.exchange.wire import Refusal, parse_refusal, read_json
from src.utils.log_redaction import redactor

BAD_TIMESTAMP = -1021
USED_NONCE = -4225
"""V3: a nonce that came before, or is older than the last hundred (V3 Nonce Mechanism, Noop)."""
NO_SUCH_ORDER = -2013
NO_SUCH_OPEN_ORDER = -2011
SAME_MARGIN_TYPE = -4046
SAME_POSITION_MODE = -4059
_UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})
"""Execution status unknown; -1000 and -1001 say too little to be taken for a refusal."""
_AUTH_CODES = frozenset({-1002, -1011, BAD_TIMESTAMP, -1022, -2014, -2015, -4056, -4057, -4087, -4088, USED_NONCE})
"""Key, permission, address, signature or clock. -4087 and -4088 forbid the account to open anything."""
_REMEDIES = {
    BAD_TIMESTAMP: "let this machine's clock follow a time server",
    -1022: "API_SECRET or ASTER_SIGNER_PRIVATE_KEY does not belong to the key or wallet beside it: copy them again",
    -2014: "API_KEY is not one of Aster: copy it again",
    -2015: "the key or API wallet is unknown, ended, bound to another address or may not trade: look on Aster's site",
    -4087: "the exchange lets this account only reduce positions: ask Aster why, or wait until it lifts that",
    -4088: "the exchange lets this account place no orders now: ask Aster why, or wait until it lifts that",
    USED_NONCE: "another program signs with the same API wallet: give each its own",
}
_REMEDY = "see on Aster's site whether the key or API wallet may trade"
_REFUSALS = frozenset({400, 401, 403, 418, 429})
_THROTTLED = frozenset({418, 429})
_redact = redactor(())

Silence = Callable[[str], ExchangeError]
"""The error for a 429 or 418 with this message."""


def classify(status: int, body: bytes, *, repeatable: bool, silence: Silence) -> object:
    """The payload of a good answer; every other one becomes the error that says what it means.

    Only a refusal with a code of the exchange proves that a request which must not be repeated did not happen.
    ``silence`` is called for every 429 and 418, and only for them.
    """
    refusal = None if _is_good(status) else _refusal(body)
    throttled = silence(refusal.message if refusal else "") if status in _THROTTLED else None
    if _is_good(status):
        return _payload(status, body, repeatable)
    definite = repeatable or (refusal is not None and status in _REFUSALS)
    if not definite or (refusal and refusal.code in _UNKNOWN_CODES):
        raise lost(f"HTTP {status}", repeatable)
    if throttled:
        raise throttled
    if refusal is None or not 400 <= status < 500:
        raise Unreachable(f"HTTP {status}")
    raise _rejection(refusal)


def lost(reason: str, repeatable: bool) -> ExchangeError:
    """The error for an answer that tells nothing."""
    return Unreachable(reason) if repeatable else OutcomeUnknown(reason)


def remedy_for(code: int) -> str:
    """What a person can do about a refusal, where we know it; ``_rejection`` has put it behind the reason."""
    return _REMEDIES.get(code, "")


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _payload(status: int, body: bytes, repeatable: bool) -> object:
    try:
        return read_json(body)
    except ProtocolError as error:
        raise lost(f"HTTP {status} with a body that is {error}", repeatable) from error


def _refusal(body: bytes) -> Refusal | None:
    """What is refused may be quoted in the refusal: a key that comes back is not passed on to ledger, page or log."""
    try:
        refusal = parse_refusal(read_json(body))
    except ProtocolError:
        return None
    return replace(refusal, message=_redact(refusal.message))


def _rejection(refusal: Refusal) -> Rejected:
    kind = AuthError if refusal.code in _AUTH_CODES else Rejected
    remedy = _REMEDIES.get(refusal.code, _REMEDY if kind is AuthError else None)
    return kind(refusal.code, f"{refusal.message.rstrip('.')}: {remedy}" if remedy else refusal.message)
