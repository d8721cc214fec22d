"""Work on the database that can wait: summaries, closed positions, old rows, free space. In small steps."""

import logging
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from src.database.results import refresh
from src.database.tables.market import Cutoffs, prune, summarize_liquidations
from src.database.writer import DeferredWriter
from src.domain.clock import Clock

log = logging.getLogger("hunter.database")

_INTERVAL_MS = 1_000
_SUMMARIZED_PER_STEP = 5_000
PRUNED_PER_STEP = 500
"""Rows of each table in one step: about 10 ms."""
_FREE_PAGES_KEPT = 5_000
"""Free pages are used again by new rows; more of them than this are given back to the system."""
_PAGES_PER_STEP = 250


class Maintenance:
    """Called by the trader between two batches, when nothing waits and every command has left."""

    def __init__(self, writer: DeferredWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._next_at = 0
        self._cutoffs: Cutoffs | None = None
        self.has_new_results = True
        """Fills or payments were recorded, perhaps by the run before."""
        self.has_new_liquidations = True

    def prune_before(self, cutoffs: Cutoffs) -> None:
        """Delete older rows from now on, some in each step, until there are none."""
        self._cutoffs = cutoffs

    def run(self) -> None:
        """Do one step, at most one a second, in a transaction of its own; none while the database fails."""
        now_ms = self._clock.monotonic_ms()
        is_needed = self.has_new_results or self.has_new_liquidations or self._cutoffs is not None
        if not is_needed or now_ms < self._next_at or self._writer.error is not None:
            return
        self._next_at = now_ms + _INTERVAL_MS
        with self._writer.transaction():
            self.step()

    def step(self) -> None:
        """Do one step inside the open transaction."""
        if self.has_new_results:
            self.has_new_results = self._write(_refresh_one) > 0
        if self.has_new_liquidations:
            summed = self._write(partial(summarize_liquidations, limit=_SUMMARIZED_PER_STEP))
            self.has_new_liquidations = summed == _SUMMARIZED_PER_STEP
        if self._cutoffs is not None and not self.prune(self._cutoffs) and not self._write(_release_pages):
            self._cutoffs = None

    def prune(self, cutoffs: Cutoffs, limit: int = PRUNED_PER_STEP) -> int:
        """Delete up to ``limit`` old rows of each table; return how many were deleted."""
        return self._write(partial(prune, before=cutoffs, limit=limit))

    def _write(self, write_fn: Any) -> int:
        """The number of rows; 0 if the database cannot be written now."""
        return int(self._writer.write(write_fn, write_fn, default=0))


def _refresh_one(connection: Connection) -> int:
    """Store the results of one symbol. Records that cannot be grouped must not stop the trader: they stay marked."""
    try:
        with connection.begin_nested():
            return refresh(connection, limit=1)
    except (ArithmeticError, AttributeError, IntegrityError, LookupError, TypeError, ValueError):
        log.exception("the results of a symbol cannot be added up; the statistics may lack them")
        return 0


def _release_pages(connection: Connection) -> int:
    """Give some free pages back to the system, if the file was made for it (``auto_vacuum``)."""
    free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
    is_incremental = connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() == 2
    pages = min(_PAGES_PER_STEP, free - _FREE_PAGES_KEPT)
    if pages <= 0 or not is_incremental:
        return 0
    for _ in range(pages):  # it frees a page at each step, and Python's driver makes only one
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return pages
