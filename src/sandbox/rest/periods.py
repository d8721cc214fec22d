"""``startTime`` and ``endTime`` of the account's histories: seven days at most."""

from dataclasses import dataclass

from src.domain.errors import Rejected
from src.sandbox.rest.parameters import Parameters

_DAY_MS = 24 * 60 * 60 * 1000
_USUAL_MS = _LONGEST_MS = 7 * _DAY_MS


@dataclass(frozen=True, slots=True)
class Period:
    since: int
    until: int
    is_given: bool
    """Whether the client named a beginning: then the oldest entries come first, else the newest count."""

    def holds(self, at: int) -> bool:
        return self.since <= at <= self.until


def read_period(parameters: Parameters, now_ms: int) -> Period:
    """The period asked for, by default the last seven days; Rejected -1023 or -4165 for an impossible one."""
    since, until = parameters.optional_integer("startTime"), parameters.optional_integer("endTime")
    end = now_ms if until is None else until
    begin = end - _USUAL_MS if since is None else since
    if begin > end:
        raise Rejected(-1023, "Start time is greater than end time.")
    if since is not None and until is not None and end - begin > _LONGEST_MS:
        raise Rejected(-4165, "Maximum time interval is 7 days.")
    return Period(begin, begin + _LONGEST_MS if until is None else end, since is not None)
