"""What the bot says of itself and of the account: state, positions, equity."""

from typing import Any

from sqlalchemy import Connection, Float, Row, cast, func, select

from src.database.models import EquityRow, PositionRow, RunRow, StateRow
from src.domain.positions import Protection


def state(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every subject the bot reports on, by its key."""
    return {row.key: row.value for row in connection.execute(select(StateRow.key, StateRow.value))}


def is_run_ended(connection: Connection) -> bool:
    """Whether the newest run of the bot ended by itself."""
    newest = select(RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)
    return connection.scalar(newest) is not None


def is_on_paper(connection: Connection) -> bool:
    """The mode the bot runs in, or ran in last: whose account is to be shown."""
    bot: dict[str, Any] = connection.scalar(select(StateRow.value).where(StateRow.key == "bot")) or {}
    return bool(bot.get("is_simulated"))


def positions(connection: Connection) -> list[Row[Any]]:
    """Open positions of the mode the bot runs in, the longest held first."""
    row = PositionRow
    query = select(*row.__table__.columns).where(row.is_simulated == is_on_paper(connection))
    return list(connection.execute(query.order_by(row.opened_at, row.symbol)))


def held_for_real(connection: Connection) -> list[str]:
    """Symbols of the bot's own open positions that are not paper: what must not be left without it."""
    row = PositionRow
    query = select(row.symbol).where(row.protection != Protection.FOREIGN, row.is_simulated.is_(False)).distinct()
    return [] if is_on_paper(connection) else sorted(connection.scalars(query))


def equity(connection: Connection, since_ms: int, most: int) -> list[Row[Any]]:
    """The account's history, oldest first, thinned to about ``most`` points; the newest one is always among them."""
    row = EquityRow
    chosen = (row.at >= since_ms) & (row.is_simulated == is_on_paper(connection))
    count, last = connection.execute(select(func.count(), func.max(row.at)).where(chosen)).one()
    step = max(1, -(-count // most))
    rank = func.row_number().over(order_by=row.at).label("rank")
    ranked = select(*row.__table__.columns, rank).where(chosen).subquery()
    query = select(ranked).where((ranked.c.rank % step == 0) | (ranked.c.at == last)).order_by(ranked.c.at)
    return list(connection.execute(query))


def highest_equity(connection: Connection, since_ms: int) -> float | None:
    """The highest margin balance since an instant: what a drawdown is measured from."""
    row = EquityRow
    query = select(func.max(cast(row.margin_balance, Float)))
    chosen = query.where(row.at >= since_ms, row.is_simulated == is_on_paper(connection))
    return connection.execute(chosen).scalar()
