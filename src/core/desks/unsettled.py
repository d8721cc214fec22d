"""Slots in which a position of ours has ended before all its trades were here: the ledger remembers to ask for them."""

from src.core.books import Holding, Slot
from src.core.desks.desk import Desk
from src.domain.enums import PositionSide

_STATE = "unsettled"


def restore_unsettled(desk: Desk) -> None:
    known = desk.store.get_state(desk.state_key(_STATE)) or {}
    desk.unsettled = {_slot(name): int(since) for name, since in known.items()}


def note_end(desk: Desk, holding: Holding) -> None:
    """A position is gone: either its trades explain that, or they are still to be asked for."""
    since = desk.unsettled.get(holding.slot)
    if holding.is_ours and holding.unexplained and (since is None or holding.opened_at < since):
        desk.unsettled[holding.slot] = holding.opened_at
        _save(desk)
    elif not holding.unexplained and since == holding.opened_at:
        settle(desk, holding.slot)


def settle(desk: Desk, slot: Slot) -> None:
    """All its trades are booked."""
    if desk.unsettled.pop(slot, None) is not None:
        _save(desk)


def _save(desk: Desk) -> None:
    desk.store.set_state(desk.state_key(_STATE), {" ".join(slot): since for slot, since in desk.unsettled.items()})


def _slot(name: str) -> Slot:
    symbol, _, side = name.rpartition(" ")
    return symbol, PositionSide(side)
