"""Position lifecycle: loads positions at startup, finishes closed ones, and tracks their missing trades."""

import logging
from decimal import Decimal

from src.core.context import TraderContext
from src.core.portfolio import CloseRequest, EndedPosition, TrackedPosition
from src.domain import crash_points
from src.domain.crash_points import Point
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.numbers import trimmed
from src.domain.positions import PositionKey

log = logging.getLogger("hunter.trader")

_INCOMPLETE_STATE = "incomplete_positions"
_PENDING_CLOSES_STATE = "pending_closes"
_ACCEPTED_STATE = "accepted_positions"
_ENTRIES_TO_CLOSE_STATE = "entries_to_close"


def finish_if_flat(context: TraderContext, tracked: TrackedPosition, next_opened_at: int | None = None) -> None:
    """Journal the result of a flat position once and reset its bookkeeping.

    ``next_opened_at`` is the opening time of the position that follows it. A position opened at or after that time is
    the new one itself, known from its first trade, and is left unchanged.
    """
    is_next_position = next_opened_at is not None and tracked.opened_at >= next_opened_at
    if tracked.opened_at and not tracked.position.is_open and not is_next_position:
        record_end(context, tracked)
        finish_position(context, tracked)


def finish_position(context: TraderContext, tracked: TrackedPosition) -> None:
    """Journal the result of the tracked position and reset it, even if a new position has already been opened."""
    _journal_closed(context, tracked)
    reset_position(context, tracked)


def reset_position(context: TraderContext, tracked: TrackedPosition) -> None:
    """Clear the bookkeeping of a flat position; its close request must not meet the next one after a restart."""
    was_closing = tracked.closing is not None
    tracked.reset()
    if was_closing:
        save_pending_closes(context)


def _journal_closed(context: TraderContext, tracked: TrackedPosition) -> None:
    symbol, position_side = tracked.key
    net = tracked.trades.realized_pnl - tracked.trades.commission
    fees = context.store.uncounted_fees(symbol, position_side, tracked.opened_at)
    unvalued = [f"{trimmed(fee)} {asset}" for asset, fee in sorted(fees.items())]
    note = f" without fees of {', '.join(unvalued)}, as their price is unknown" if unvalued else ""
    log.info("closed %s %s, net %+.4f USDT%s", symbol, position_side, net, note)
    payload = {
        "position_side": position_side,
        "quantity": "0",
        "realized_pnl": tracked.trades.realized_pnl,
        "commission": tracked.trades.commission,
        "net": net,
        **({"fees_not_included": unvalued} if unvalued else {}),
    }
    context.journal("position", payload, symbol)


def load_incomplete(context: TraderContext) -> None:
    known = context.store.get_state(context.mode_key(_INCOMPLETE_STATE)) or {}
    now_ms = context.clock.monotonic_ms()
    context.ended_positions = {
        _parse_key(name): EndedPosition(now_ms, opened_at=int(opened_at)) for name, opened_at in known.items()
    }


def record_end(context: TraderContext, tracked: TrackedPosition) -> None:
    """Note that a position is closed; if the bot's trades do not add up to flat, its result is completed later."""
    known, is_flat = context.ended_positions.get(tracked.key), not tracked.trades.own_quantity
    if tracked.is_managed and not is_flat and (known is None or tracked.opened_at < known.opened_at):
        now_ms = context.clock.monotonic_ms()
        context.ended_positions[tracked.key] = EndedPosition(now_ms, opened_at=tracked.opened_at)
        _save_incomplete(context)
    elif is_flat and known is not None and known.opened_at == tracked.opened_at:
        mark_trades_complete(context, tracked.key)


def mark_trades_complete(context: TraderContext, key: PositionKey) -> None:
    """All trades of the position are recorded."""
    if context.ended_positions.pop(key, None) is not None:
        _save_incomplete(context)


def _save_incomplete(context: TraderContext) -> None:
    opened = {_key_text(key): ended.opened_at for key, ended in context.ended_positions.items()}
    context.store.set_state(context.mode_key(_INCOMPLETE_STATE), opened)


def _key_text(key: PositionKey) -> str:
    return " ".join(key)


def _parse_key(name: str) -> PositionKey:
    symbol, _, side = name.rpartition(" ")
    return symbol, PositionSide(side)


def save_accepted(context: TraderContext) -> None:
    """Keep across a restart which part of each position was given to the bot."""
    accepted = {
        _key_text(each.key): {"quantity": each.trades.accepted_quantity, "at": each.trades.accepted_at}
        for each in context.portfolio.open_positions()
        if each.trades.accepted_at
    }
    context.store.set_state(context.mode_key(_ACCEPTED_STATE), accepted)


def _load_accepted(context: TraderContext) -> None:
    known = context.store.get_state(context.mode_key(_ACCEPTED_STATE)) or {}
    for tracked in context.portfolio.open_positions():
        accepted = known.get(_key_text(tracked.key))
        if accepted is not None and int(accepted["at"]) >= tracked.opened_at:
            tracked.trades.accepted_quantity = Decimal(accepted["quantity"])
            tracked.trades.accepted_at = int(accepted["at"])


def restore_portfolio(context: TraderContext) -> None:
    """Load positions with their results and all open orders; the status of each open order is queried again."""
    for order in context.store.load_open_orders():
        if order.is_open:
            order.unresolved_since = order.unresolved_since or context.clock.now_ms()
        if order.role is OrderRole.ENTRY and order.status is OrderStatus.PENDING_CANCEL:
            context.entries_to_cancel.add(order.client_order_id)  # its cancel may never have been sent
        context.portfolio.add_order(order)
    for record in context.store.load_positions():
        position = record.position
        key = position.key
        tracked = context.portfolio.tracked_positions[key] = TrackedPosition(
            position,
            record.leverage,
            record.margin_type,
            record.liquidation_price,
            record.entry_client_order_id,
            record.opened_at,
        )
        tracked.trades.has_others = tracked.is_managed  # until the exchange shows that it has not traded since
        tracked.liquidation_read_at = record.as_of
        result = context.store.result_since(*key, record.opened_at)
        trades = tracked.trades
        trades.realized_pnl, trades.commission, tracked.filled_at, trades.own_quantity = result
    _load_accepted(context)
    load_pending_closes(context)
    load_incomplete(context)
    crash_points.reached(Point.PORTFOLIO_LOADED)


def load_pending_closes(context: TraderContext) -> None:
    """Restore the close requests of the last run; they continue once the exchange confirms the position.

    The entries that they cover are cancelled, and closed if they fill, as before the restart.
    """
    reasons = context.store.get_state(context.mode_key(_PENDING_CLOSES_STATE)) or {}
    for tracked in context.portfolio.open_positions():
        reason = reasons.get(_key_text(tracked.key))
        if tracked.is_managed and reason:
            tracked.closing = CloseRequest(reason)
    context.entries_to_close = dict(context.store.get_state(context.mode_key(_ENTRIES_TO_CLOSE_STATE)) or {})
    context.entries_to_cancel |= context.entries_to_close.keys()
    save_pending_closes(context)  # without those of positions that have ended: the next one must not be closed


def save_pending_closes(context: TraderContext) -> None:
    """Save the close requests, and the entries that they cover."""
    tracked_positions = context.portfolio.tracked_positions.values()
    reasons = {_key_text(each.key): each.close_reason for each in tracked_positions if each.close_reason}
    context.store.set_state(context.mode_key(_PENDING_CLOSES_STATE), reasons)
    context.store.set_state(context.mode_key(_ENTRIES_TO_CLOSE_STATE), context.entries_to_close)


def drop_pending_close(context: TraderContext, tracked: TrackedPosition) -> None:
    """Withdraw the close request of a position and of the entries that it covers; what is open stays protected."""
    tracked.closing = None
    covered = [
        tracked.entry_order_id or "",
        *(order.client_order_id for order in context.portfolio.orders_for(tracked.key)),
    ]
    for client_order_id in covered:
        context.entries_to_close.pop(client_order_id, None)
    save_pending_closes(context)
