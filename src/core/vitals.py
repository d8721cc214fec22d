"""How the exchange adapter is doing: its request budget and its clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the exchange adapter knows of itself."""

    weight_used: int = 0
    weight_limit: int = 0
    orders_used: int = 0
    blocked_until: int = 0
    is_banned: bool = False
    clock_offset_ms: int = 0
    """The exchange's clock minus the one we count by."""
    clock_strayed_ms: int = 0
    """This computer's clock minus the one we count by: it was set while we ran."""
