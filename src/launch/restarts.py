"""What to do when a program has ended: pure, so that every case is one line of a test."""

from dataclasses import dataclass, field

FIRST_DELAY_MS = 500
LONGEST_DELAY_MS = 5_000  # SAFETY I33: a killed bot is back within five seconds
STABLE_MS = 60_000
LOOP_SPAN_MS = 300_000
LOOP_CRASHES = 5
FORGIVEN_MS = 3_600_000  # a crash after so long is no part of the loop before it


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the program again after a pause; ``is_loop`` claims that it keeps crashing."""

    delay_ms: int
    is_loop: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """Stop everything and leave with this exit code."""

    code: int


@dataclass(slots=True)
class Crashes:
    """The recent endings of one program, on a clock that never jumps."""

    in_a_row: int = 0
    recent: list[int] = field(default_factory=list)

    def note(self, started_ms: int, ended_ms: int) -> Restart:
        """Count one more ending. The pause doubles each time and falls back after a stable minute."""
        self.in_a_row = 1 if ended_ms - started_ms >= STABLE_MS else self.in_a_row + 1
        self.recent = [at for at in self.recent if ended_ms - at < LOOP_SPAN_MS] + [ended_ms]
        delay_ms = min(FIRST_DELAY_MS * 2 ** min(self.in_a_row - 1, 16), LONGEST_DELAY_MS)
        return Restart(delay_ms, len(self.recent) >= LOOP_CRASHES)
