"""Errors, sorted by what they say about the world.

HunterError
├ ConfigError        settings or .env are wrong: exit code 2, nobody retries
├ ExchangeError
│ ├ Unreachable      it did not happen; asking again is safe
│ │ └ RateLimited    the exchange asks for silence until ``retry_at``
│ ├ Rejected         it did not happen and will not: code and reason
│ │ └ AuthError      key, signature, nonce or clock: trading halts
│ └ OutcomeUnknown   it may have happened: ask by client order id, never repeat
├ ProtocolError      the exchange said something we do not understand
└ InvariantError     we contradict ourselves: never caught; die, restart, reconcile
"""


class HunterError(Exception):
    """The root of everything this program raises on purpose."""


class ConfigError(HunterError):
    """Settings or credentials are wrong; ``faults`` holds one plain sentence each."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ExchangeError(HunterError):
    """The exchange, or the way to it, refused or failed."""


class Unreachable(ExchangeError):
    """Nothing reached the exchange, or a read failed: asking again is safe."""


class RateLimited(Unreachable):
    """HTTP 429 or 418 (General Information, Limits): be silent until ``retry_at`` (ms UTC)."""

    def __init__(self, reason: str, retry_at: int, *, banned: bool = False) -> None:
        super().__init__(reason)
        self.retry_at = retry_at
        self.banned = banned


class Rejected(ExchangeError):
    """The exchange refused with an error code; it did not happen and will not."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class AuthError(Rejected):
    """The key, its permission, the signature, the nonce or the clock was refused."""


class OutcomeUnknown(ExchangeError):
    """The request may have been executed: ask by client order id, never send again."""


class ProtocolError(HunterError):
    """The exchange said something we do not understand; ``payload`` is kept as it came."""

    def __init__(self, reason: str, payload: object = None) -> None:
        super().__init__(reason)
        self.payload = payload


class InvariantError(HunterError):
    """We contradict ourselves: never caught; the process dies and start-up reconciles."""
