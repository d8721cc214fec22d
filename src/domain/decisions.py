"""Decisions: for every liquidation of a configured symbol, why the bot entered or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from src.domain.enums import Side


class Gate(StrEnum):
    """The checks an entry must pass, in this order."""

    CONFIGURED = "configured"
    TRADING_STATE = "trading_state"
    FRESH_EVENT = "fresh_event"
    TRADE_SIDE = "trade_side"
    THRESHOLD = "threshold"
    COOLDOWN = "cooldown"
    PRICE_DEVIATION = "price_deviation"
    FRESH_QUOTE = "fresh_quote"
    SLIPPAGE = "slippage"
    OPEN_ORDERS = "open_orders"
    POSITION_CAP = "position_cap"
    TOTAL_CAP = "total_cap"
    MARGIN = "margin"
    MIN_NOTIONAL = "min_notional"
    STOP_INSIDE_LIQUIDATION = "stop_inside_liquidation"
    PROTECTION_DISTANCE = "protection_distance"
    RATE_BUDGET = "rate_budget"


Numbers = Mapping[str, Decimal | int | str | None]


@dataclass(frozen=True, slots=True)
class Skip:
    """A skipped entry: the first gate that blocked it, the reason as a sentence, and the numbers behind it."""

    gate: Gate
    reason: str
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one liquidation. ``gate`` is None if an entry was placed."""

    symbol: str
    liquidation_side: Side
    decided_at: int
    gate: Gate | None
    reason: str
    numbers: Numbers
    window_volume: Decimal
    """The volume in the window at that time, in the unit of the threshold."""
    threshold: Decimal
    client_order_id: str | None = None
    """The entry that was placed, if any."""

    @property
    def is_entry(self) -> bool:
        return self.gate is None
