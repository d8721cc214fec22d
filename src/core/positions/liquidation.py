"""Keeps stop losses nearer to the mark price than the exchange's liquidation price (I9)."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.core.context import TraderContext
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.core.positions.liquidation_estimate import FRESH_MS, LiquidationEstimate, differs_much
from src.domain.enums import LiquidationAction, OrderRole
from src.domain.instrument import Instrument, Price
from src.domain.margin import STOP_BUFFER, find_liquidation, stop_before
from src.domain.numbers import six_digits
from src.domain.positions import Position, PositionKey, PositionReport


class LiquidationPrices:
    """Compares the liquidation prices that the exchange reports with the stop losses of the bot's positions."""

    def __init__(self, context: TraderContext, closing: PositionCloser) -> None:
        self._context = context
        self._closing = closing
        self._surprising: set[str] = set()
        """Symbols of which the operator knows that the exchange's figure differs from the bot's estimate."""

    def on_reports(self, reports: Iterable[PositionReport], at: int) -> list[PositionKey]:
        """Take over the liquidation prices read at ``at``, ms UTC; returns the keys of positions to protect again."""
        touched = []
        for report in reports:
            tracked = self._context.portfolio.tracked_positions.get((report.symbol, report.position_side))
            if tracked is not None and tracked.position.is_open and tracked.position.quantity == report.quantity:
                tracked.liquidation_price = report.liquidation_price or None
                tracked.liquidation_read_at = at
                touched.append(tracked.key)
                self._compare(tracked, report)
        return touched

    def _compare(self, tracked: TrackedPosition, report: PositionReport) -> None:
        """Compare the exchange's figure with the estimate, by which entries are judged before there is a figure.

        While the estimate is the more hopeful one, and for an hour after, new positions of the symbol are judged by
        the safe bound. The operator is warned once.
        """
        context, symbol = self._context, report.symbol
        if symbol not in context.brackets or report.mark_price <= 0 or tracked.position.is_entry_unknown:
            return
        estimate = LiquidationEstimate(context, tracked.key, uses_figure=False)
        backing = estimate.backing(report.leverage, report.margin_type or tracked.margin_type)
        expected, figure = find_liquidation(tracked.position, backing), report.liquidation_price
        context.doubted_liquidations.pop(symbol, None)
        if not differs_much(expected, figure, report.mark_price):
            return
        is_hopeful = figure > 0 and tracked.position.side.sign * (figure - expected) > 0
        if is_hopeful:
            context.doubted_liquidations[symbol] = context.clock.monotonic_ms()
        if symbol not in self._surprising:
            self._surprising.add(symbol)
            reported, estimated = (six_digits(each) if each else "none" for each in (figure, expected))
            context.warn(
                f"the exchange reports a liquidation price of {reported} for {symbol} {tracked.position.direction}, "
                f"and the bot estimates {estimated}: the exchange's figure counts"
                + (", and new positions of the symbol need a nearer stop" if is_hopeful else ""),
                symbol,
            )

    def tighten(self, tracked: TrackedPosition, stop: Price | None, instrument: Instrument) -> Price | None:
        """The price to use for the stop loss instead of ``stop``, which the settings say; None to keep that.

        A position is closed if its liquidation price leaves no room for a stop before the mark price. While the
        exchange's figure is older than a minute, nothing changes.
        """
        if stop is not None and self._context.clock.now_ms() - tracked.liquidation_read_at > FRESH_MS:
            return _nearer(tracked, stop)
        liquidation = tracked.liquidation_price
        if stop is None or liquidation is None or not self._is_near(tracked, stop, liquidation):
            tracked.exits.tightened_stop = tracked.exits.liquidation_warning = None
            return None
        action = self._context.liquidation_action
        moved = _stop_before(tracked.position, liquidation, instrument)
        tightened = tracked.exits.tightened_stop
        is_kept = tightened is not None and _is_before(tracked, tightened, liquidation)
        if action is LiquidationAction.ALERT:
            tracked.exits.tightened_stop = None
        elif not is_kept:
            tracked.exits.tightened_stop = moved
        self._warn(tracked, stop, liquidation, action)
        self._close_if_past_mark(tracked, tracked.exits.tightened_stop)
        return _nearer(tracked, stop)

    def _is_near(self, tracked: TrackedPosition, stop: Decimal, liquidation: Decimal) -> bool:
        """Whether the position would be liquidated before its stop triggers; a price on the wrong side means none."""
        sign, entry = tracked.position.side.sign, tracked.position.entry_price
        mark = self._context.mark_price(tracked.position.symbol) or entry
        is_wrong_side = sign * (liquidation - entry) >= 0 and sign * (liquidation - mark) >= 0
        # Once near, it stays so until the liquidation price is clearly beyond the stop: no stop moves to and fro.
        margin = liquidation * STOP_BUFFER if tracked.exits.liquidation_warning else Decimal(0)
        return liquidation > 0 and not is_wrong_side and sign * (stop - liquidation) <= margin

    def _warn(self, tracked: TrackedPosition, stop: Price, liquidation: Decimal, action: LiquidationAction) -> None:
        """Alert once for each time that the liquidation price comes near, and cancel entries of the symbol."""
        symbol, is_first = tracked.position.symbol, tracked.exits.liquidation_warning is None
        direction = tracked.position.direction
        tracked.exits.liquidation_warning = (
            f"the exchange would liquidate {symbol} {direction} at {liquidation}, before its stop loss at {stop} "
            "triggers: add margin, or reduce the position"
        )
        for order in self._context.portfolio.open_orders(symbol, OrderRole.ENTRY):
            self._context.cancel_order(order)
        if is_first:
            step = "the stop loss stays where it is (on_liquidation_near is ALERT)"
            if action is LiquidationAction.TIGHTEN:
                step = f"the bot moves the stop loss to {tracked.exits.tightened_stop}, or closes the position"
            self._context.alert(
                f"{tracked.exits.liquidation_warning}. No entries of {symbol} meanwhile; {step}", symbol
            )

    def _close_if_past_mark(self, tracked: TrackedPosition, moved: Price | None) -> None:
        mark = self._context.mark_price(tracked.position.symbol)
        if moved is None or mark is None or tracked.position.side.sign * (mark - moved) > 0:
            return
        reason = "no stop loss fits between its liquidation price and the mark price"
        self._closing.request_close(tracked, reason, is_protective=True)


def _stop_before(position: Position, liquidation: Decimal, instrument: Instrument) -> Price:
    """The stop price just before liquidation, on a tick; rounded away from the liquidation price."""
    sign = position.side.sign
    return instrument.price(stop_before(liquidation, sign), ROUND_CEILING if sign > 0 else ROUND_FLOOR)


def _nearer(tracked: TrackedPosition, stop: Price) -> Price | None:
    """The moved stop, if it is nearer to the mark price than the stop of the settings."""
    moved = tracked.exits.tightened_stop
    return moved if moved is not None and tracked.position.side.sign * (moved - stop) > 0 else None


def _is_before(tracked: TrackedPosition, stop: Price, liquidation: Decimal) -> bool:
    """Whether a stop that was moved earlier still has half its distance from the liquidation price."""
    return tracked.position.side.sign * (stop - liquidation) >= liquidation * STOP_BUFFER / 2
