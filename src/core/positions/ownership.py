"""Whose a position is: one that the bot's own trades do not explain stays protected, and a person is asked.

A position is the bot's as long as its trades add up to it. If they do not, its stop loss and take profit stay, nothing
is added to it, and it is closed only in place of its stop loss, while the exchange's trades are read: an event was
lost, as a rule. What is still unexplained after thirty seconds only a person can answer (docs/safety.md, I19).
"""

from src.core.account.income import IncomeSync
from src.core.account.reconciliation import GRACE_MS, CorrectionLog
from src.core.context import TraderContext
from src.core.orders.fills import FillRecorder
from src.core.portfolio import EndedPosition, TrackedPosition, TradeSearch, Unexplained
from src.core.positions.lifecycle import (
    drop_pending_close,
    finish_position,
    mark_trades_complete,
    record_end,
    save_accepted,
)
from src.core.trading_status import EntryBlock
from src.domain.clock import HOUR_MS
from src.domain.commands import FetchFills, FetchOrders
from src.domain.enums import OrderRole
from src.domain.events import CommandFailed, FillsFetched
from src.domain.numbers import plain
from src.domain.orders import Fill
from src.domain.positions import PositionKey

_REPEAT_ALERT_MS = HOUR_MS
_MAX_FAILED_READS = 5
"""About half a minute."""
_OVERLAP_MS = 60_000
_CLOCK_TOLERANCE_MS = 2_000


class PositionOwnership:
    """Decides for each position whether it is the bot's, external, or a question for a person."""

    def __init__(
        self, context: TraderContext, fills: FillRecorder, corrections: CorrectionLog, income: IncomeSync
    ) -> None:
        self._context = context
        self._income = income
        self._fills = fills
        self._corrections = corrections
        self._reported: dict[PositionKey, bool] = {}
        """External positions already reported, and whether they were reported as unprotected."""

    def check(self) -> None:
        """Once a second: read missing trades, ask about what they do not explain, report external positions."""
        if self._context.trading_status.has(EntryBlock.STARTING):
            return
        for key, ended in list(self._context.ended_positions.items()):
            self._complete(key, ended)
        positions = self._context.portfolio.open_positions()
        for tracked in positions:
            if tracked.is_managed:
                self._explain(tracked)
            else:
                self._check_external(tracked)
        external = {tracked.key for tracked in positions if not tracked.is_managed}
        self._reported = {key: is_unprotected for key, is_unprotected in self._reported.items() if key in external}

    def on_fills(self, event: FillsFetched) -> None:
        """Note what a list of all trades of a symbol explains; the bot's own are recorded already."""
        for tracked in self._context.portfolio.open_positions():
            if tracked.unexplained is not None and _covers(event, tracked.position.symbol, tracked.opened_at):
                others = self._other_trades(tracked, event)
                tracked.unexplained.is_answered = not self._is_undecided(others)
                if tracked.unexplained.is_answered and (others or not event.is_incomplete):
                    tracked.trades.has_others = bool(others)
        for key, ended in list(self._context.ended_positions.items()):
            symbol, side = key
            if _covers(event, symbol, ended.opened_at):
                ended.is_answered = True
                ended.other_side_trades = frozenset(
                    fill.trade_id for fill in event.fills if fill.position_side is not side
                )
                if self._adds_up(key, ended):
                    mark_trades_complete(self._context, key)

    def on_failed(self, event: CommandFailed) -> None:
        """Ask a person also if only the list of trades cannot be read: a close must not wait for it without end."""
        if not isinstance(event.command, FetchFills) or self._context.trading_status.has(EntryBlock.REST):
            return
        for tracked in self._context.portfolio.positions_for(event.command.symbol):
            if tracked.unexplained is not None:
                tracked.unexplained.failures += 1
                tracked.unexplained.is_answered |= tracked.unexplained.failures >= _MAX_FAILED_READS

    def give_to_bot(self, tracked: TrackedPosition) -> str:
        """Carry out the answer "ours": the bot manages all of the position; returns the answer to the operator."""
        symbol, side = tracked.key
        if tracked.is_managed and not tracked.is_unexplained:
            return f"the position of {symbol} {side} is the bot's already"
        if self._context.symbol_settings(symbol) is None:
            return f"add {symbol} to the settings first: the bot has no stop loss and take profit for it"
        self._accept(tracked)
        return f"the bot manages all of {symbol} {side}, {plain(tracked.position.quantity)}"

    def leave_alone(self, tracked: TrackedPosition) -> str:
        """Carry out the answer "external": the bot's orders behind the position are cancelled."""
        symbol, side = tracked.key
        if not tracked.is_managed:
            return f"the position of {symbol} {side} is external already and is left alone"
        if not tracked.is_unexplained:
            return f"the bot's own trades explain the position of {symbol} {side}: nothing changed; close it instead"
        self._release(tracked)
        return f"{symbol} {side} is external from now on; the bot's orders behind it are cancelled"

    def questions(self) -> list[dict[str, object]]:
        """The open questions for a person, for the dashboard and the command line."""
        return [
            {
                "symbol": tracked.position.symbol,
                "position_side": tracked.position.position_side,
                "quantity": tracked.position.quantity,
                "own_quantity": tracked.trades.quantity,
                "asked_at": tracked.unexplained.asked_at,
            }
            for tracked in self._context.portfolio.open_positions()
            if tracked.unexplained is not None and tracked.unexplained.asked_at is not None
        ]

    def _explain(self, tracked: TrackedPosition) -> None:
        """Read the trades of an unexplained position, and ask about it once they do not explain it."""
        if not tracked.is_unexplained:
            if tracked.is_asked:
                self._context.warn(f"the bot's trades explain {_name(tracked)} now", tracked.position.symbol)
            tracked.unexplained = None
            return
        now_ms = self._context.clock.monotonic_ms()
        tracked.unexplained = tracked.unexplained or Unexplained(now_ms)
        self._read(tracked.unexplained, tracked.position.symbol, tracked.opened_at)
        if not tracked.unexplained.is_over(now_ms):
            return
        if _is_gone(tracked):
            self._context.alert(
                f"the bot's position of {_name(tracked)} was closed by other trades, and the current one is not the "
                "bot's: its orders behind it are cancelled",
                tracked.position.symbol,
            )
            self._release(tracked)
        elif may_adopt(self._context, tracked.position.symbol):
            self._accept(tracked)
        else:
            self._ask(tracked, tracked.unexplained)

    def _read(self, search: TradeSearch, symbol: str, since: int) -> None:
        """Request the trades if they are due; the list of orders first, because it names those of the trades."""
        now_ms = self._context.clock.monotonic_ms()
        if search.is_due(now_ms):
            search.reads, search.read_at = search.reads + 1, now_ms
            self._context.queue_command(FetchOrders(symbol, since - _OVERLAP_MS))
            self._fills.request_fills(symbol, since)

    def _ask(self, tracked: TrackedPosition, question: Unexplained) -> None:
        """Alert once, and again each hour; the first time a pending close is dropped. Open entries are cancelled."""
        symbol, side = tracked.key
        is_first, question.asked_at = question.asked_at is None, question.asked_at or self._context.clock.now_ms()
        if not self._context.may_request(f"question {symbol} {side} {question.asked_at}", _REPEAT_ALERT_MS):
            return
        is_dropped = is_first and tracked.close_reason is not None and not tracked.is_protective_close
        dropped = " It was to be closed; that is dropped." if is_dropped else ""
        accepted = tracked.trades.accepted_quantity
        given = f" and the {plain(accepted)} that it was given" if accepted else ""
        self._context.alert(
            f"whose is the position of {symbol} {side}? The exchange holds {plain(tracked.position.quantity)}, the "
            f"bot's own trades{given} explain {plain(tracked.trades.quantity)}. Its stop loss and take profit stay; no "
            f"entry is made, and it is closed only if no stop loss can be placed.{dropped} Answer on the dashboard, or "
            f"with main.py --position {symbol} {side} --ours (the bot manages all of it) or --external (the bot "
            "cancels its orders and leaves it alone)",
            symbol,
        )
        if is_first and not tracked.is_protective_close:
            drop_pending_close(self._context, tracked)
        if is_first:
            self._corrections.check_frequency()
        for order in self._context.portfolio.orders_for(tracked.key):
            if order.role is OrderRole.ENTRY:
                self._context.cancel_order(order)

    def _accept(self, tracked: TrackedPosition) -> None:
        """Manage all of it; one without an entry of the bot gets a new entry id that no real entry has."""
        if not tracked.is_managed:
            tracked.assign_entry(self._context.new_entry_id())
        drop_pending_close(self._context, tracked)
        tracked.accept(self._context.clock.now_ms())
        save_accepted(self._context)
        self._context.warn(
            f"{_name(tracked)} adopted: it is protected and managed by the settings of {tracked.position.symbol}",
            tracked.position.symbol,
        )

    def _release(self, tracked: TrackedPosition) -> None:
        """Stop managing it, and cancel the orders behind it: they would close what is not the bot's (I14, I19)."""
        drop_pending_close(self._context, tracked)
        record_end(self._context, tracked)
        finish_position(self._context, tracked)
        tracked.open(self._context.clock.now_ms())
        save_accepted(self._context)
        for order in self._context.portfolio.orders_for(tracked.key):
            self._context.entries_to_cancel.add(order.client_order_id)
            self._context.cancel_order(order)

    def _other_trades(self, tracked: TrackedPosition, event: FillsFetched) -> list[Fill]:
        """Trades in the position, since the last answer, that are not the bot's."""
        since = max(tracked.opened_at, tracked.trades.accepted_at)
        return [
            fill
            for fill in event.fills
            if (fill.symbol, fill.position_side) == tracked.key
            and fill.traded_at >= since
            and not self._fills.is_recorded(fill)
        ]

    def _is_undecided(self, others: list[Fill]) -> bool:
        """Whether one of the trades may belong to an order of the bot that has no exchange order id yet."""
        return any(
            order.order_id is None and order.created_at <= fill.traded_at + _CLOCK_TOLERANCE_MS
            for fill in others
            for order in self._context.portfolio.orders_for((fill.symbol, fill.position_side))
        )

    def _complete(self, key: PositionKey, ended: EndedPosition) -> None:
        """Read the trades of a closed position until they add up; what is missing then was traded by others.

        The result of those trades is taken from the exchange's income history.
        """
        symbol, side = key
        self._read(ended, symbol, ended.opened_at)
        if ended.is_over(self._context.clock.monotonic_ms()):
            self._context.warn(
                f"the position of {symbol} {side} was opened or closed, in whole or in part, by trades that are not "
                "the bot's: their result is taken from the income history",
                symbol,
            )
            self._income.complete_results(symbol, ended.opened_at, ended.other_side_trades)
            mark_trades_complete(self._context, key)

    def _adds_up(self, key: PositionKey, ended: EndedPosition) -> bool:
        """Whether the bot's trades since then, without those of the current position, end flat."""
        tracked = self._context.portfolio.tracked(key)
        current = tracked.trades.own_quantity if tracked.opened_at > ended.opened_at else 0
        *_, change = self._context.store.result_since(*key, ended.opened_at)
        return change == current

    def _check_external(self, tracked: TrackedPosition) -> None:
        """Adopt or report an external position; one without a stop loss raises an alert.

        External orders are never touched. After a database loss such a position may be the bot's own (I33).
        """
        context = self._context
        is_settled = tracked.updated_locally_at <= context.clock.now_ms() - GRACE_MS
        entries = (order.key for order in context.portfolio.pending_entries())
        if not is_settled or tracked.key in entries:
            return  # it may be the result of a pending entry of the bot
        if may_adopt(context, tracked.position.symbol):
            self._fills.request_fills(tracked.position.symbol, tracked.opened_at)
            self._accept(tracked)
            return
        self._report(tracked)
        for order in context.portfolio.orders_for(tracked.key):
            if order.role is not OrderRole.ENTRY:
                context.cancel_order(order)  # left over: it would close an external position (I14)

    def _report(self, tracked: TrackedPosition) -> None:
        symbol, side = tracked.key
        closing_side, stops = tracked.position.side.opposite, self._context.portfolio.stop_sides(tracked.key)
        known, is_unprotected = self._reported.get(tracked.key), closing_side not in stops
        self._reported[tracked.key] = is_unprotected
        if is_unprotected and not known:
            self._context.alert(
                f"external position of {symbol} {side}, {tracked.position.quantity}, has no stop loss: place one on "
                "the exchange, or let the bot adopt it (globals.adopt_foreign_positions). It counts toward the "
                "exposure",
                symbol,
            )
        elif known is None:
            self._context.warn(f"external position of {symbol} {side}: not managed, counts toward the exposure", symbol)


def may_adopt(context: TraderContext, symbol: str) -> bool:
    """Whether an external position may be adopted: enabled, live trading confirmed and no other bot detected."""
    is_blocked = context.trading_status.has(EntryBlock.CONSENT) or context.trading_status.has(EntryBlock.OTHER_BOT)
    return context.settings.globals_.adopt_foreign_positions and symbol in context.settings.symbols and not is_blocked


def _is_gone(tracked: TrackedPosition) -> bool:
    """Whether none of it can be the bot's: its trades add up to nothing, or to the other direction."""
    explained = tracked.trades.quantity
    has_traded = tracked.filled_at >= tracked.opened_at > 0
    return tracked.position.quantity * explained < 0 or (has_traded and not explained)


def _covers(event: FillsFetched, symbol: str, since: int) -> bool:
    return event.symbol == symbol and event.since_ms <= since


def _name(tracked: TrackedPosition) -> str:
    return " ".join(tracked.key)
