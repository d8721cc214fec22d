"""Estimates at which price the exchange would liquidate a position, also after an entry."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from src.core.account import wallet
from src.core.context import TraderContext
from src.core.portfolio import (
    entry_margin,
    reserved_notional,
    reserved_price,
    reserved_quantity,
)
from src.domain.clock import HOUR_MS
from src.domain.enums import MarginType
from src.domain.margin import Backing, crossed_collateral, implied_collateral, maintenance_margin
from src.domain.numbers import ZERO
from src.domain.orders import Order
from src.domain.positions import Position, PositionKey

_NEARER_FIGURE = "the exchange reported a nearer liquidation price than the bot estimates"
FRESH_MS = 60_000
"""A figure of the exchange counts for so long, unless the position, or what backs it, changes before."""


class LiquidationEstimate:
    """What backs the positions of one symbol and side: the exchange's own figure while it is fresh, else the formula.

    The formula leaves the PnL of other crossed positions as it is, like the exchange's. Their entries that may still
    fill count as filled.
    """

    def __init__(self, context: TraderContext, key: PositionKey, *, uses_figure: bool = True) -> None:
        self._context = context
        self._key = key
        self._held = context.portfolio.tracked_positions.get(key)
        self._pending = context.portfolio.pending_entries()
        self._brackets = context.brackets.get(key[0], ())
        self._uses_figure = uses_figure

    def with_pending(self) -> Position:
        """The position after the entries of its key that may still fill."""
        return _after(self._position, self._own_entries())

    def backing(self, leverage: int, margin_type: MarginType, entry_notional: Decimal = ZERO) -> Backing:
        """What backs it after an entry of ``entry_notional`` besides the ones that may still fill."""
        other_leg, figure = None, self._figure()
        if margin_type is not MarginType.ISOLATED and self._has_collateral_changed():
            figure = None
        implied = implied_collateral([self._position], figure, self._brackets) if figure else None
        if margin_type is MarginType.ISOLATED:
            held = self._held.margin if self._held is not None else ZERO
            added = entry_margin(self._own_entries(), leverage) + entry_notional / leverage
            collateral = (held if implied is None else implied) + added
        else:
            other_leg = self._other_leg()
            if implied is None or other_leg is not None:
                collateral = crossed_collateral(wallet.crossed_wallet(self._context, self._key[0]), self._others())
            else:
                collateral = implied - sum((self._pending_need(order) for order in self._foreign_entries()), ZERO)
        if self._uses_figure and implied is None and self._is_doubted():
            return Backing(leverage, margin_type, (), collateral, unknown=_NEARER_FIGURE)
        return Backing(leverage, margin_type, self._brackets, collateral, other_leg)

    def _is_doubted(self) -> bool:
        """Whether the estimate was too hopeful lately; no later report ends the doubt about a closed position."""
        doubted_at = self._context.doubted_liquidations.get(self._key[0])
        return doubted_at is not None and self._context.clock.monotonic_ms() - doubted_at < HOUR_MS

    @property
    def _position(self) -> Position:
        return Position(*self._key) if self._held is None else self._held.position

    def _figure(self) -> Decimal | None:
        """The exchange's liquidation price of the position as it is now; None if it is old or says nothing."""
        held = self._held
        if not self._uses_figure or held is None or held.liquidation_price is None or not self._brackets:
            return None
        age_ms = self._context.clock.now_ms() - held.liquidation_read_at
        if age_ms > FRESH_MS or held.updated_locally_at > held.liquidation_read_at or not held.position.is_open:
            return None
        gain = held.position.side.sign * (held.liquidation_price - held.position.entry_price)
        return held.liquidation_price if gain < 0 else None

    def _has_collateral_changed(self) -> bool:
        """Whether another position that shares the collateral, or takes from it, has changed since the figure."""
        read_at = 0 if self._held is None else self._held.liquidation_read_at
        assets = wallet.margin_assets(self._context, self._key[0])
        return any(
            each.key != self._key and each.updated_locally_at > read_at
            for each in self._context.portfolio.tracked_positions.values()
            if wallet.is_backed_by(self._context, assets, each.position.symbol)
        )

    def _own_entries(self) -> list[Order]:
        return [order for order in self._pending if order.key == self._key]

    def _foreign_entries(self) -> Iterator[Order]:
        """Entries of other symbols that share the collateral."""
        assets = wallet.margin_assets(self._context, self._key[0])
        for order in self._pending:
            if order.symbol != self._key[0] and wallet.is_backed_by(self._context, assets, order.symbol):
                yield order

    def _other_leg(self) -> Position | None:
        """The other side of the symbol in hedge mode, after its entries that may still fill; None if it is flat."""
        symbol, side = self._key
        keys = {order.key for order in self._pending} | self._context.portfolio.tracked_positions.keys()
        for key in keys:
            if key[0] == symbol and key[1] is not side:
                held = self._context.portfolio.tracked_positions.get(key)
                entries = [order for order in self._pending if order.key == key]
                position = _after(Position(*key) if held is None else held.position, entries)
                if position.is_open:
                    return position
        return None

    def _others(self) -> Iterator[tuple[Decimal, Decimal]]:
        """PnL and maintenance margin of the crossed positions of other symbols that share the collateral."""
        context, symbol = self._context, self._key[0]
        assets = wallet.margin_assets(context, symbol)
        for tracked in context.portfolio.open_positions():
            position = tracked.position
            is_shared = position.symbol != symbol and wallet.is_backed_by(context, assets, position.symbol)
            if is_shared and tracked.margin_type is not MarginType.ISOLATED:
                mark = context.mark_price(position.symbol) or position.entry_price
                notional = abs(position.quantity) * mark
                yield position.unrealized_pnl(mark), self._need(position.symbol, notional, tracked.leverage)
        for order in self._foreign_entries():
            yield ZERO, self._pending_need(order)

    def _pending_need(self, order: Order) -> Decimal:
        """What an entry of another symbol takes from the collateral when it fills; an isolated one its whole margin."""
        settings, notional = self._context.settings.symbols.get(order.symbol), reserved_notional(order)
        leverage = settings.leverage if settings else 1
        if settings is not None and settings.margin_type is MarginType.ISOLATED:
            return notional / leverage
        return self._need(order.symbol, notional, leverage)

    def _need(self, symbol: str, notional: Decimal, leverage: int) -> Decimal:
        """Maintenance margin; half the initial margin while the brackets of the symbol are not known."""
        brackets = self._context.brackets.get(symbol)
        return maintenance_margin(brackets, notional) if brackets else notional / (2 * leverage)


def _after(position: Position, entries: Iterable[Order]) -> Position:
    for order in entries:
        quantity = reserved_quantity(order)
        if quantity:
            position, _ = position.apply_trade(order.request.side, quantity, reserved_price(order))
    return position


def differs_much(estimate: Decimal, figure: Decimal, mark: Decimal) -> bool:
    """Whether two liquidation prices are apart by more than a tenth of the distance to the mark price; 0 is none."""
    distance = abs(mark - figure) if figure else mark
    return abs(estimate - figure) > max(distance / 10, mark / 1000)
