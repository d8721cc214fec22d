"""What the bot says of itself and of the account: state, positions, equity."""

from typing import Any

from sqlalchemy import Connection, Float, Row, cast, func, select

from src.database.models import EquityRow, PositionRow, RunRow, StateRow


def state(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every subject the bot reports on, by its key."""
    return {row.key: row.value for row in connection.execute(select(StateRow.key, StateRow.value))}


def is_run_ended(connection: Connection) -> bool:
    """Whether the newest run of the bot ended by itself."""
    newest = select(RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)
    return connection.scalar(newest) is not None


def positions(connection: Connection) -> list[Row[Any]]:
    """Open positions, the longest held first."""
    query = select(*PositionRow.__table__.columns).order_by(PositionRow.opened_at, PositionRow.symbol)
    return list(connection.execute(query))


def equity(connection: Connection, since_ms: int, most: int) -> list[Row[Any]]:
    """The account's history, oldest first, thinned to about ``most`` points; the newest one is always among them."""
    row = EquityRow
    count, last = connection.execute(select(func.count(), func.max(row.at)).where(row.at >= since_ms)).one()
    step = max(1, -(-count // most))
    rank = func.row_number().over(order_by=row.at).label("rank")
    ranked = select(*row.__table__.columns, rank).where(row.at >= since_ms).subquery()
    query = select(ranked).where((ranked.c.rank % step == 0) | (ranked.c.at == last)).order_by(ranked.c.at)
    return list(connection.execute(query))


def highest_equity(connection: Connection, since_ms: int) -> float | None:
    """The highest margin balance since an instant: what a drawdown is measured from."""
    query = select(func.max(cast(EquityRow.margin_balance, Float))).where(EquityRow.at >= since_ms)
    return connection.execute(query).scalar()
