"""Errors, grouped by what the caller can do about them.

HunterError
├ ConfigError        settings or .env are wrong: exit code 2, no retry
├ ExchangeError
│ ├ Unreachable      the request was not executed; retrying is safe
│ │ └ RateLimited    no requests until ``retry_at``
│ ├ NotSent          the bot withheld an entry at the last moment: deadline or HALT file
│ ├ Rejected         the exchange rejected the request with a code and a reason
│ │ └ AuthError      key, signature, nonce or clock: trading halts
│ └ OutcomeUnknown   the request may have been executed: query by client order id, never repeat
├ ProtocolError      the response does not have the documented form
└ InvariantError     a bug: never caught; the process exits, restarts and reconciles
"""


class HunterError(Exception):
    """Base class of the errors of this program."""


class ConfigError(HunterError):
    """Settings or credentials are wrong; ``messages`` holds one sentence for each problem."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class ExchangeError(HunterError):
    """A request to the exchange failed or was rejected."""


class Unreachable(ExchangeError):
    """The request did not reach the exchange, or a read failed: retrying is safe."""


class RateLimited(Unreachable):
    """HTTP 429 or 418 (General Information, Limits): no requests until ``retry_at`` (ms UTC)."""

    def __init__(self, reason: str, retry_at: int, *, banned: bool = False) -> None:
        super().__init__(reason)
        self.retry_at = retry_at
        self.banned = banned


class NotSent(ExchangeError):
    """An entry that the bot did not send: its deadline has passed, or the HALT file forbids it."""


class Rejected(ExchangeError):
    """The exchange rejected the request with an error code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class AuthError(Rejected):
    """The exchange rejected the key, its permissions, the signature, the nonce or the clock."""


class OutcomeUnknown(ExchangeError):
    """The request may have been executed: query by client order id, never send it again."""


class ProtocolError(HunterError):
    """A response that cannot be parsed; ``payload`` is the unchanged content."""

    def __init__(self, reason: str, payload: object = None) -> None:
        super().__init__(reason)
        self.payload = payload


class InvariantError(HunterError):
    """The state of the bot contradicts itself: never caught; the process exits and the next start reconciles."""
