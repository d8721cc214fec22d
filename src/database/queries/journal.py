"""The journal, read forward."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from src.database.models import JournalRow


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that happened."""

    id: int
    at: int
    kind: str
    symbol: str | None
    payload: dict[str, Any]

    def shape(self) -> dict[str, Any]:
        return asdict(self)


_COLUMNS = (JournalRow.id, JournalRow.at, JournalRow.kind, JournalRow.symbol, JournalRow.payload)


def journal_after(connection: Connection, entry_id: int, limit: int, kinds: tuple[str, ...] = ()) -> list[JournalEntry]:
    """The entries that follow one, oldest first; of some kinds only where any is named."""
    query = select(*_COLUMNS).where(JournalRow.id > entry_id).order_by(JournalRow.id).limit(limit)
    if kinds:
        query = query.where(JournalRow.kind.in_(kinds))
    return [JournalEntry(*row) for row in connection.execute(query)]


def latest_journal(connection: Connection, limit: int, kinds: tuple[str, ...] = ()) -> list[JournalEntry]:
    """The newest entries, oldest of them first."""
    query = select(*_COLUMNS).order_by(JournalRow.id.desc()).limit(limit)
    if kinds:
        query = query.where(JournalRow.kind.in_(kinds))
    return [JournalEntry(*row) for row in connection.execute(query)][::-1]


def journal_bounds(connection: Connection) -> tuple[int, int]:
    """The first id that is kept and the newest one; (1, 0) where there is none."""
    first, last = connection.execute(select(func.min(JournalRow.id), func.max(JournalRow.id))).one()
    return (first or 1, last or 0)
