"""Named lines at which a test ends the process by force, to see what the next start makes of it (SAFETY, crash points).

In production ``reached`` does nothing. It is called through this module, so that a test process can put its own there.
"""

from enum import StrEnum


class Point(StrEnum):
    """A line, and the crash points C1-C26 it serves; which of them depends on what is under way there."""

    ORDER_DECIDED = "order decided"
    """C1: accepted, nothing written."""
    ORDER_WRITTEN = "order written"
    """C2, R9: the intent is in the open transaction."""
    ORDER_COMMITTED = "order committed"
    """C3, C9, C13: before its lane has it."""
    SENDING = "sending"
    """C4, C12, C18, R6, R7: before the first byte. No line of ours follows until the answer (C5, C10, C16)."""
    ANSWERED = "answered"
    """C6, C11: the answer is read and not handed on."""
    FILL_READ = "fill read"
    """C7, R11: one we have not booked, and nothing of it is committed."""
    FILL_RECORDED = "fill recorded"
    """C8, C14, C15: booked in the open transaction, and what protects it is not decided yet."""
    SWEEPING = "sweeping"
    """C17, R10: the position is gone, what protected it still stands."""
    CHECKPOINT = "checkpoint"
    """C19: before the log is folded into the file."""
    MIGRATION = "migration"
    """C20: a step is done and not committed."""
    PORTFOLIO_LOADED = "portfolio loaded"
    """R5."""
    STREAM_UP = "stream up"
    """R3: the stream is open, nobody knows."""
    SNAPSHOT_HALF_READ = "snapshot half read"
    """R4: positions are read, open orders are not."""
    RECONCILED = "reconciled"
    """R8: records agree with the exchange, not committed."""
    STARTED = "started"
    """R12: the start is over, not committed."""
    HALT_WRITTEN = "halt written"
    """C22: the kill flag is there; what contradicts it is not withdrawn yet."""
    SETTINGS_SAVED = "settings saved"
    """C23: the bot has not been told."""
    BACKUP = "backup"
    """C24: the copy is begun."""
    DEATH_NOTICED = "death noticed"
    """C25: the launcher knows, and has started nobody."""
    ENTRIES_CANCELLED = "entries cancelled"
    """C26: a graceful stop, before its exit."""


def reached(point: Point, subject: str = "") -> None:
    """The process has come to a line; ``subject`` is what it deals with there, such as the role of an order."""
