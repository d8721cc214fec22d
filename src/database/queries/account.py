"""The state of the bot, positions, equity and the journal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Float, Row, cast, func, select

from src.database.control import SettingsVersion
from src.database.models import AccountHistoryRow, JournalRow, PositionRow, RunRow, SettingsVersionRow, StateRow
from src.domain.commands import OperatorAction
from src.domain.enums import PositionSide
from src.domain.positions import Protection

HEARTBEAT_TIMEOUT_MS = 15_000
"""A bot without a heartbeat for longer is considered dead, and restarted by the launcher (I32)."""


def state(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return all state values by key."""
    return {row.key: row.value for row in connection.execute(select(StateRow.key, StateRow.value))}


def is_bot_alive(connection: Connection, now_ms: int) -> bool:
    """Whether the bot has a recent heartbeat and has not shut down cleanly since.

    A bot that still waits for its setup or for the exchange has a heartbeat but no run of its own yet.
    """
    bot: dict[str, Any] = connection.scalar(select(StateRow.value).where(StateRow.key == "bot")) or {}
    heartbeat_at = bot.get("heartbeat_at")
    if heartbeat_at is None or now_ms - heartbeat_at > HEARTBEAT_TIMEOUT_MS:
        return False
    newest = select(RunRow.started_at, RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)
    run = connection.execute(newest).first()
    return run is None or run.ended_at is None or run.started_at < bot.get("started_at", 0)


def is_run_ended(connection: Connection) -> bool:
    """Whether the newest run of the bot has ended cleanly."""
    newest = select(RunRow.ended_at).order_by(RunRow.id.desc()).limit(1)
    return connection.scalar(newest) is not None


def is_paper_mode(connection: Connection) -> bool:
    """Whether the bot runs, or last ran, in paper mode."""
    bot: dict[str, Any] = connection.scalar(select(StateRow.value).where(StateRow.key == "bot")) or {}
    return bool(bot.get("is_simulated"))


def positions(connection: Connection) -> list[Row[Any]]:
    """Return open positions of the current mode, oldest first."""
    row = PositionRow
    query = select(*row.__table__.columns).where(row.is_simulated == is_paper_mode(connection))
    return list(connection.execute(query.order_by(row.opened_at, row.symbol)))


@dataclass(frozen=True, slots=True)
class PositionQuestion:
    """A position that the bot's own trades do not explain: a person says whether it is the bot's. Signed quantities."""

    symbol: str
    position_side: PositionSide
    quantity: Decimal
    own_quantity: Decimal
    """What the bot's own trades add up to."""
    asked_at: int

    @property
    def side(self) -> str:
        return _side_of(self.position_side, self.quantity)

    @property
    def summary(self) -> str:
        """What differs, for a person."""
        own = f"{abs(self.own_quantity):,f}" if self.own_quantity else "none of it"
        if self.quantity * self.own_quantity < 0:
            own += f" {_side_of(PositionSide.BOTH, self.own_quantity)}"
        held = f"the exchange holds {abs(self.quantity):,f}"
        return f"{self.symbol} {self.side}: {held}, the bot's own trades explain {own}."


def _side_of(position_side: PositionSide, quantity: Decimal) -> str:
    if position_side is not PositionSide.BOTH:
        return position_side
    return "LONG" if quantity > 0 else "SHORT"


def position_questions(published: Mapping[str, Mapping[str, Any]]) -> list[PositionQuestion]:
    """The open questions among the state values."""
    return [
        PositionQuestion(
            symbol=item["symbol"],
            position_side=PositionSide(item["position_side"]),
            quantity=Decimal(item["quantity"]),
            own_quantity=Decimal(item["own_quantity"]),
            asked_at=item["asked_at"],
        )
        for item in published.get("position_questions", {}).get("items", ())
    ]


def find_answerable(
    connection: Connection, action: OperatorAction, symbol: str, side: str
) -> tuple[str, PositionSide] | None:
    """The position that an answer is about: one with an open question or, for the answer "ours", an external one.

    The symbol is found in any case; a position of one-way mode also by its direction. None if there is none.
    """
    questions = position_questions(state(connection))
    known = [(question.symbol, question.position_side, question.quantity) for question in questions]
    if action is OperatorAction.POSITION_OURS:
        external = [row for row in positions(connection) if row.protection == Protection.EXTERNAL]
        known += [(row.symbol, PositionSide(row.position_side), row.quantity) for row in external]
    for name, position_side, quantity in known:
        if name.casefold() == symbol.casefold() and side in (position_side, _side_of(position_side, quantity)):
            return name, position_side
    return None


def live_position_symbols(connection: Connection) -> list[str]:
    """Return the symbols of the bot's own open live positions; none in paper mode."""
    row = PositionRow
    query = select(row.symbol).where(row.protection != Protection.EXTERNAL, row.is_simulated.is_(False)).distinct()
    return [] if is_paper_mode(connection) else sorted(connection.scalars(query))


def equity(connection: Connection, since_ms: int, limit: int) -> list[Row[Any]]:
    """Return the account history, oldest first, thinned to about ``limit`` points including the newest."""
    row = AccountHistoryRow
    condition = (row.recorded_at >= since_ms) & (row.is_simulated == is_paper_mode(connection))
    count, last = connection.execute(select(func.count(), func.max(row.recorded_at)).where(condition)).one()
    step = max(1, -(-count // limit))
    rank = func.row_number().over(order_by=row.recorded_at).label("rank")
    ranked = select(*row.__table__.columns, rank).where(condition).subquery()
    query = (
        select(ranked)
        .where((ranked.c.rank % step == 0) | (ranked.c.recorded_at == last))
        .order_by(ranked.c.recorded_at)
    )
    return list(connection.execute(query))


def highest_equity(connection: Connection, since_ms: int) -> float | None:
    """Return the highest margin balance since an instant, less the net transfers until then.

    A drawdown is measured from it plus the net transfers until now: a transfer is no profit and no drawdown.
    """
    row = AccountHistoryRow
    query = select(func.max(cast(row.margin_balance, Float) - cast(row.transfers, Float)))
    condition = query.where(row.recorded_at >= since_ms, row.is_simulated == is_paper_mode(connection))
    return connection.execute(condition).scalar()


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event in the journal."""

    id: int
    at: int
    kind: str
    symbol: str | None
    payload: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_COLUMNS = (JournalRow.id, JournalRow.recorded_at, JournalRow.kind, JournalRow.symbol, JournalRow.payload)


def journal_after(connection: Connection, entry_id: int, limit: int, kinds: tuple[str, ...] = ()) -> list[JournalEntry]:
    """Return the entries after an id, oldest first, optionally of some kinds only."""
    query = select(*_COLUMNS).where(JournalRow.id > entry_id).order_by(JournalRow.id).limit(limit)
    if kinds:
        query = query.where(JournalRow.kind.in_(kinds))
    return [JournalEntry(*row) for row in connection.execute(query)]


def latest_journal(connection: Connection, limit: int, kinds: tuple[str, ...] = ()) -> list[JournalEntry]:
    """Return the newest entries, oldest first, optionally of some kinds only."""
    query = select(*_COLUMNS).order_by(JournalRow.id.desc()).limit(limit)
    if kinds:
        query = query.where(JournalRow.kind.in_(kinds))
    return [JournalEntry(*row) for row in connection.execute(query)][::-1]


def journal_bounds(connection: Connection) -> tuple[int, int]:
    """Return the first and the last entry id; (1, 0) if there is none."""
    first, last = connection.execute(select(func.min(JournalRow.id), func.max(JournalRow.id))).one()
    return (first or 1, last or 0)


def settings_versions(connection: Connection, limit: int) -> list[SettingsVersion]:
    """Return the settings that were edited by hand, newest first, each with the settings before it."""
    row = SettingsVersionRow
    query = select(row.id, row.saved_at, row.document, row.message, row.previous)
    return [SettingsVersion(*found) for found in connection.execute(query.order_by(row.id.desc()).limit(limit))]
