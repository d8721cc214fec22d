"""What is to be closed, and why: kept in the ledger until it is flat."""

from src.core.books import Holding
from src.core.desks.desk import Desk

_STATE = "closing"


def restore_wishes(desk: Desk) -> None:
    """Go on closing what the last run was asked to close, once the exchange has shown that it is still there."""
    reasons = desk.store.get_state(desk.state_key(_STATE)) or {}
    for holding in desk.books.open_holdings():
        if holding.is_ours:
            holding.close_reason = reasons.get(_name(holding))


def remember_wishes(desk: Desk) -> None:
    holdings = desk.books.holdings.values()
    reasons = {_name(each): each.close_reason for each in holdings if each.close_reason}
    desk.store.set_state(desk.state_key(_STATE), reasons)


def _name(holding: Holding) -> str:
    return " ".join(holding.slot)
