"""Keeps stop losses nearer to the mark price than the exchange's liquidation price (I9)."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.core.context import TraderContext
from src.core.portfolio import TrackedPosition
from src.core.positions.closing import PositionCloser
from src.domain.enums import LiquidationAction, OrderRole
from src.domain.instrument import Instrument, Price
from src.domain.positions import Position, PositionKey, PositionReport

_FRESH_MS = 60_000
_BUFFER = Decimal("0.002")
"""Distance of a moved stop from the liquidation price, as a share of it."""


class LiquidationPrices:
    """Compares the liquidation prices that the exchange reports with the stop losses of the bot's positions."""

    def __init__(self, context: TraderContext, closing: PositionCloser) -> None:
        self._context = context
        self._closing = closing

    def on_reports(self, reports: Iterable[PositionReport], at: int) -> list[PositionKey]:
        """Take over the liquidation prices read at ``at``, ms UTC; returns the keys of positions to protect again."""
        touched = []
        for report in reports:
            tracked = self._context.portfolio.tracked_positions.get((report.symbol, report.position_side))
            if tracked is not None and tracked.position.is_open and tracked.position.quantity == report.quantity:
                tracked.liquidation_price = report.liquidation_price or None
                tracked.liquidation_read_at = at
                touched.append(tracked.key)
        return touched

    def tighten(self, tracked: TrackedPosition, stop: Price | None, instrument: Instrument) -> Price | None:
        """The price to use for the stop loss instead of ``stop``, which the settings say; None to keep that.

        A position whose liquidation price leaves no room for a stop before the mark price is closed. While the
        exchange's figure is older than a minute, nothing changes.
        """
        if stop is not None and self._context.clock.now_ms() - tracked.liquidation_read_at > _FRESH_MS:
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
        margin = liquidation * _BUFFER if tracked.exits.liquidation_warning else Decimal(0)
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
    return instrument.price(liquidation * (1 + sign * _BUFFER), ROUND_CEILING if sign > 0 else ROUND_FLOOR)


def _nearer(tracked: TrackedPosition, stop: Price) -> Price | None:
    """The moved stop, if it is nearer to the mark price than the stop of the settings."""
    moved = tracked.exits.tightened_stop
    return moved if moved is not None and tracked.position.side.sign * (moved - stop) > 0 else None


def _is_before(tracked: TrackedPosition, stop: Price, liquidation: Decimal) -> bool:
    """Whether a stop that was moved earlier still has half its distance from the liquidation price."""
    return tracked.position.side.sign * (stop - liquidation) >= liquidation * _BUFFER / 2
