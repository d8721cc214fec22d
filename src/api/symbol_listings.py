"""What the dashboard knows of a symbol, to check an unsaved edit of its settings by the rules that the bot follows."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from src.api.bot_database import read_bot_state
from src.database.queries.market import instruments
from src.domain.instrument import Instrument
from src.domain.margin import Bracket
from src.settings.symbol_checks import SymbolListing

_RULES = [each.name for each in fields(Instrument)]


def read_listing(connection: Connection, symbol: str, now_ms: int) -> SymbolListing | None:
    """The symbol's rules and account as the bot last published them; None before it has read the exchange's list."""
    rows = {row.symbol: row for row in instruments(connection)}
    if not rows:
        return None
    published = read_bot_state(connection, now_ms).get("symbol_checks").get("symbols", {})
    known: Mapping[str, Any] = published.get(symbol, {})
    row = rows.get(symbol)
    return SymbolListing(
        instrument=None if row is None else Instrument(**{name: getattr(row, name) for name in _RULES}),
        price=_amount(known.get("price")),
        brackets=tuple(_brackets(known.get("brackets", ()))),
        balance=_amount(known.get("balance")),
        collateral=_amount(known.get("collateral")),
        is_account_known=bool(known),
    )


def _amount(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _brackets(rows: Iterable[Mapping[str, Any]]) -> Iterable[Bracket]:
    for row in rows:
        yield Bracket(Decimal(str(row["notional_cap"])), row["max_leverage"], Decimal(str(row["maintenance_ratio"])))
