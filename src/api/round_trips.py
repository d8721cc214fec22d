"""From fills to round trips: a position from the first fill that opened it to the one that left it flat. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from src.database.queries.fills import BookedFill, BookedFunding
from src.domain.enums import PositionSide, Side

ZERO = Decimal(0)
MANUAL = "OUTSIDE"
"""How a trip ended that no order of ours closed: by hand, by liquidation, by another program."""


@dataclass(slots=True)
class RoundTrip:
    """One position's whole life. Costs are signed: what was paid is negative, so that the three parts add up."""

    symbol: str
    position_side: str
    side: Side
    opened_at: int
    entry: str
    """Client order id of the order that opened it."""
    quantity: Decimal = ZERO
    """What was opened in all, unsigned."""
    entry_value: Decimal = ZERO
    closed_quantity: Decimal = ZERO
    exit_value: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    payments: list[BookedFunding] = field(default_factory=list)
    closed_at: int | None = None
    exit: str | None = None
    """The role of the order that closed the last of it."""
    orders: set[str] = field(default_factory=set)

    @property
    def rest(self) -> Decimal:
        return self.quantity - self.closed_quantity

    @property
    def funding_fee(self) -> Decimal:
        return sum((payment.amount for payment in self.payments), ZERO)

    @property
    def net_pnl(self) -> Decimal:
        return self.realized_pnl + self.commission + self.funding_fee

    def covers(self, at: int) -> bool:
        return self.opened_at <= at and (self.closed_at is None or at <= self.closed_at)


def paid(fill: BookedFill) -> Decimal:
    """The fee in the quote asset, negative. One taken in another asset is not ours to convert, and left out."""
    return -fill.commission if fill.symbol.endswith(fill.commission_asset) else ZERO


def round_trips(fills: Iterable[BookedFill], funding: Sequence[BookedFunding] = ()) -> list[RoundTrip]:
    """The trips in the order they began; the open ones have no ``closed_at``. ``fills`` are in order of time."""
    open_trips: dict[tuple[str, str], RoundTrip] = {}
    trips: list[RoundTrip] = []
    for fill in fills:
        slot = (fill.symbol, fill.position_side)
        trip = open_trips.get(slot)
        if trip is None:
            trip = open_trips[slot] = _begin(fill)
            trips.append(trip)
        leftover = _book(trip, fill)
        if trip.closed_at is not None:
            del open_trips[slot]
        if leftover is not None:
            flipped = open_trips[slot] = _begin(leftover)
            trips.append(flipped)
            _book(flipped, leftover)
    _attribute(trips, funding)
    return trips


def _begin(fill: BookedFill) -> RoundTrip:
    side = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}.get(PositionSide(fill.position_side))
    return RoundTrip(
        symbol=fill.symbol,
        position_side=fill.position_side,
        side=side or Side(fill.side),
        opened_at=fill.traded_at,
        entry=fill.parent or fill.client_order_id,
    )


def _book(trip: RoundTrip, fill: BookedFill) -> BookedFill | None:
    """Add a fill to a trip; what goes past flat is returned, as a fill of the opposite trip."""
    trip.orders.add(fill.client_order_id)
    if fill.side == trip.side:
        trip.quantity += fill.quantity
        trip.entry_value += fill.quantity * fill.price
        trip.realized_pnl += fill.realized_pnl
        trip.commission += paid(fill)
        return None
    # A slot of hedge mode cannot flip: a close beyond what we saw opened closes what was opened before our records.
    can_flip = fill.position_side == PositionSide.BOTH
    closed = min(fill.quantity, trip.rest) if can_flip else fill.quantity
    _close(trip, fill, closed)
    return None if closed == fill.quantity else _remainder(fill, closed)


def _close(trip: RoundTrip, fill: BookedFill, quantity: Decimal) -> None:
    trip.closed_quantity += quantity
    trip.exit_value += quantity * fill.price
    trip.realized_pnl += fill.realized_pnl
    trip.commission += _share(paid(fill), quantity, fill.quantity)
    if trip.rest <= 0:
        trip.closed_at = fill.traded_at
        trip.exit = fill.role or MANUAL


def _share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return amount if part == whole else amount * part / whole


def _remainder(fill: BookedFill, closed: Decimal) -> BookedFill:
    commission = fill.commission - _share(fill.commission, closed, fill.quantity)
    # Profit is made by closing: all of it stays with the trip that ended.
    return replace(fill, quantity=fill.quantity - closed, commission=commission, realized_pnl=ZERO)


def _attribute(trips: Iterable[RoundTrip], funding: Iterable[BookedFunding]) -> None:
    """The exchange names funding by symbol alone: it goes to the oldest trip of the symbol that was open then."""
    by_symbol: dict[str, list[RoundTrip]] = defaultdict(list)
    for trip in trips:
        by_symbol[trip.symbol].append(trip)
    for payment in funding:
        holder = next((trip for trip in by_symbol[payment.symbol] if trip.covers(payment.at)), None)
        if holder is not None:
            holder.payments.append(payment)
