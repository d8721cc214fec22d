"""The state of the bot, positions, equity and the journal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Row, cast, func, select, text

from src.database.control import SettingsVersion
from src.database.models import AccountHistoryRow, JournalRow, PositionRow, RunRow, SettingsVersionRow, StateRow
from src.database.tables.history import DailyEquityRow
from src.domain.clock import DAY_MS
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


_CURVE = text(
    """
    WITH RECURSIVE point(at) AS (
      SELECT (SELECT recorded_at FROM account_history
              WHERE recorded_at >= :since AND is_simulated = :mode ORDER BY recorded_at LIMIT 1)
      UNION ALL
      SELECT (SELECT recorded_at FROM account_history
              WHERE recorded_at >= point.at + :step AND is_simulated = :mode ORDER BY recorded_at LIMIT 1)
      FROM point WHERE point.at IS NOT NULL
    )
    SELECT at FROM point WHERE at IS NOT NULL
    """
)
"""One point for each step of time, each found by the index: the history between them is not read."""


def equity(connection: Connection, since_ms: int, limit: int) -> list[Row[Any]]:
    """Return the account history, oldest first, thinned to about ``limit`` points including the newest."""
    row, mode = AccountHistoryRow, is_paper_mode(connection)
    bounds = [
        connection.scalar(
            select(row.recorded_at)
            .where(row.recorded_at >= since_ms, row.is_simulated == mode)
            .order_by(order)
            .limit(1)
        )
        for order in (row.recorded_at, row.recorded_at.desc())
    ]
    if bounds[0] is None or bounds[1] is None:
        return []
    step = max(1, (bounds[1] - bounds[0]) // limit)
    points = set(connection.scalars(_CURVE, {"since": since_ms, "step": step, "mode": mode})) | {bounds[1]}
    query = select(*row.__table__.columns).where(row.recorded_at.in_(points), row.is_simulated == mode)
    return list(connection.execute(query.order_by(row.recorded_at)))


def highest_equity(connection: Connection, since_ms: int) -> float | None:
    """Return the highest margin balance since an instant, less the net transfers until then.

    A drawdown is measured from it plus the net transfers until now: a transfer is no profit and no drawdown.
    """
    row, day, mode = AccountHistoryRow, DailyEquityRow, is_paper_mode(connection)
    first_day = since_ms + -since_ms % DAY_MS
    part = select(func.max(cast(row.margin_balance, Float) - cast(row.transfers, Float))).where(
        row.recorded_at >= since_ms, row.recorded_at < first_day, row.is_simulated == mode
    )
    whole = select(func.max(day.highest)).where(day.day >= first_day, day.is_simulated == mode)
    found = [each for each in (connection.scalar(part), connection.scalar(whole)) if each is not None]
    return max(found, default=None)


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
    return _entries(connection, (JournalRow.id > entry_id,), JournalRow.id, limit, kinds)


def latest_journal(
    connection: Connection, limit: int, kinds: tuple[str, ...] = (), before: int | None = None
) -> list[JournalEntry]:
    """Return the newest entries, oldest first, optionally of some kinds or with lower ids than ``before``."""
    is_older = () if before is None else (JournalRow.id < before,)
    return _entries(connection, is_older, JournalRow.id.desc(), limit, kinds)[::-1]


def _entries(
    connection: Connection,
    conditions: tuple[ColumnElement[bool], ...],
    order: Any,
    limit: int,
    kinds: tuple[str, ...],
) -> list[JournalEntry]:
    """The first entries in an order of ids. One query for each kind: rare kinds are few among millions of rows."""
    query = select(*_COLUMNS).where(*conditions).order_by(order).limit(limit)
    of_kinds = [query.where(JournalRow.kind == kind) for kind in dict.fromkeys(kinds)] or [query]
    found = [JournalEntry(*row) for each in of_kinds for row in connection.execute(each)]
    is_newest_first = order is not JournalRow.id
    return sorted(found, key=lambda entry: entry.id, reverse=is_newest_first)[:limit]


def journal_bounds(connection: Connection) -> tuple[int, int]:
    """Return the first and the last entry id; (1, 0) if there is none."""
    first, last = connection.execute(select(func.min(JournalRow.id), func.max(JournalRow.id))).one()
    return (first or 1, last or 0)


def settings_versions(connection: Connection, limit: int) -> list[SettingsVersion]:
    """Return the settings that were edited by hand, newest first, each with the settings before it."""
    row = SettingsVersionRow
    query = select(row.id, row.saved_at, row.document, row.message, row.previous)
    return [SettingsVersion(*found) for found in connection.execute(query.order_by(row.id.desc()).limit(limit))]
