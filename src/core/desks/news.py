"""What the trader tells the journal and the log of what it did."""

import logging
from collections.abc import Sequence

from src.core.books import Holding
from src.core.desks.desk import Desk
from src.core.desks.unsettled import note_end
from src.domain.decisions import Decision
from src.domain.market import Liquidation
from src.domain.positions import Protection

log = logging.getLogger("hunter.trader")

_ITEMS = 20
"""A burst is told by its number and its newest members."""


def tell_liquidations(
    desk: Desk, liquidations: Sequence[Liquidation], verdicts: Sequence[tuple[int, Decision]]
) -> None:
    newest = [
        {"symbol": each.symbol, "side": each.side, "price": each.fill_price, "usdt_value": each.notional}
        for each in liquidations[-_ITEMS:]
    ]
    desk.tell("liquidation", {"count": len(liquidations), "items": newest})
    for _, decision in verdicts[-_ITEMS:]:
        log.info("liquidation %s %s: %s", decision.symbol, decision.liquidation_side, decision.reason)
    if verdicts:
        entries = [decision.client_order_id for _, decision in verdicts if decision.is_entry]
        desk.tell("decision", {"count": len(verdicts), "entries": entries})


def tell_protection(desk: Desk, holding: Holding, state: Protection) -> None:
    position = holding.position
    payload = {
        "position_side": position.position_side,
        "quantity": position.quantity,
        "entry_price": position.entry_price,
        "state": state,
    }
    desk.tell("protection", payload, position.symbol)


def conclude_flat(desk: Desk, holding: Holding, next_at: int | None = None) -> None:
    """A position that is gone: its result is told once, and the slot is free for the next.

    ``next_at``: since when the slot is filled anew. What was opened no earlier is that next position itself, of which
    one trade is known already.
    """
    is_the_next = next_at is not None and holding.opened_at >= next_at
    if holding.opened_at and not holding.position.is_open and not is_the_next:
        note_end(desk, holding)
        conclude_ended(desk, holding)


def conclude_ended(desk: Desk, holding: Holding) -> None:
    """The position we knew has ended, whatever the slot holds now."""
    _tell_closed(desk, holding)
    holding.reset()


def _tell_closed(desk: Desk, holding: Holding) -> None:
    symbol, position_side = holding.slot
    net = holding.realized_pnl - holding.commission
    log.info("closed %s %s, net %+.4f USDT", symbol, position_side, net)
    payload = {
        "position_side": position_side,
        "quantity": "0",
        "realized_pnl": holding.realized_pnl,
        "commission": holding.commission,
        "net": net,
    }
    desk.tell("position", payload, symbol)
