"""What is old enough to go: market history and news; orders, fills and funding stay for ever (S13)."""

from sqlalchemy import Connection, delete, select

from src.database.models import JournalRow, LiquidationRow


def prune(connection: Connection, before_ms: int, most: int) -> int:
    """Delete a bounded number of each; how many went."""
    old = select(LiquidationRow.id).where(LiquidationRow.traded_at < before_ms).limit(most)
    news = select(JournalRow.id).where(JournalRow.at < before_ms).limit(most)
    gone = connection.execute(delete(LiquidationRow).where(LiquidationRow.id.in_(old))).rowcount
    return gone + connection.execute(delete(JournalRow).where(JournalRow.id.in_(news))).rowcount
