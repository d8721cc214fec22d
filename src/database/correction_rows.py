"""Where our books were put right by what the exchange reported: each time once, however often it is found (I18)."""

from dataclasses import asdict
from decimal import Decimal

from sqlalchemy import Connection, Index, func, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Mapped, mapped_column

from src.database.models import FillRow, Ledger
from src.domain.positions import Correction


class CorrectionRow(Ledger):
    """A position that was not what we believed."""

    __tablename__ = "corrections"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    """Symbol, slot, quantity and the last trade we knew of: the same difference has the same name."""
    symbol: Mapped[str]
    position_side: Mapped[str]
    believed: Mapped[Decimal]
    reported: Mapped[Decimal]
    entry_price: Mapped[Decimal]
    last_trade_id: Mapped[int]
    is_explained: Mapped[bool]
    """We had not been listening: what happened meanwhile is no contradiction."""
    at: Mapped[int]
    is_simulated: Mapped[bool] = mapped_column(primary_key=True)


def add_correction(connection: Connection, correction: Correction, *, is_simulated: bool) -> bool:
    """False where it is booked already."""
    values = asdict(correction) | {
        "position_side": correction.position_side.value,
        "id": correction.id,
        "is_simulated": is_simulated,
    }
    statement = upsert(CorrectionRow).values(values).on_conflict_do_nothing().returning(CorrectionRow.id)
    return connection.scalar(statement) is not None


def unexplained_since(connection: Connection, since_ms: int, *, is_simulated: bool) -> int:
    """How many nothing explains, after an instant."""
    row = CorrectionRow
    query = select(func.count()).where(row.at > since_ms, row.is_explained.is_(False), row.is_simulated == is_simulated)
    return connection.scalar(query) or 0


def last_trade_id(connection: Connection, symbol: str, *, is_simulated: bool) -> int:
    """The newest trade of a symbol that is booked; 0 before the first."""
    query = select(func.max(FillRow.trade_id)).where(FillRow.symbol == symbol, FillRow.is_simulated == is_simulated)
    return connection.scalar(query) or 0
