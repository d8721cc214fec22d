"""Named places at which a test kills the process, to check how the next start recovers.

In production ``reached`` does nothing. It is called through this module, so that a test can replace it.
"""

from enum import StrEnum


class Point(StrEnum):
    """A place in the code, and the crash points C1-C26 it covers, depending on what is in progress."""

    ORDER_DECIDED = "order decided"
    """C1: the entry is decided, nothing is written."""
    ORDER_WRITTEN = "order written"
    """C2, R9: the order is in the open transaction."""
    ORDER_COMMITTED = "order committed"
    """C3, C9, C13: before the order is queued for sending."""
    SENDING = "sending"
    """C4, C12, C18, R6, R7: before the first byte is sent. C5, C10 and C16 lie between this and the response."""
    ANSWERED = "answered"
    """C6, C11: the response is read but not processed."""
    FILL_READ = "fill read"
    """C7, R11: a new fill is read, nothing is committed."""
    FILL_RECORDED = "fill recorded"
    """C8, C14, C15: the fill is in the open transaction, its protection is not planned yet."""
    SWEEPING = "sweeping"
    """C17, R10: the position is closed, its protective orders are still open."""
    CHECKPOINT = "checkpoint"
    """C19: before the write-ahead log is checkpointed."""
    MIGRATION = "migration"
    """C20: a migration step is done but not committed."""
    PORTFOLIO_LOADED = "portfolio loaded"
    """R5: orders and positions are loaded from the database."""
    STREAM_UP = "stream up"
    """R3: the stream is open, the trader does not know yet."""
    SNAPSHOT_HALF_READ = "snapshot half read"
    """R4: positions are fetched, open orders are not."""
    RECONCILED = "reconciled"
    """R8: the portfolio matches the exchange, not committed."""
    STARTED = "started"
    """R12: the start is complete, not committed."""
    HALT_WRITTEN = "halt written"
    """C22: the HALT file is written, a pending resume is not withdrawn yet."""
    SETTINGS_SAVED = "settings saved"
    """C23: the file is saved, the bot has not received it."""
    BACKUP = "backup"
    """C24: the backup has started."""
    DEATH_NOTICED = "death noticed"
    """C25: the launcher has noticed the exit and not restarted the process."""
    ENTRIES_CANCELLED = "entries cancelled"
    """C26: a graceful stop, before the exit."""


def reached(point: Point, subject: str = "") -> None:
    """Mark that the process has reached a point; ``subject`` says for what, such as the role of an order."""
