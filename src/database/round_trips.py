"""Groups fills into round trips: a position from its first opening fill to the fill that closed it. Pure."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar

from src.database.queries.fills import ExternalIncome, FillRecord, FundingRecord
from src.domain.enums import IncomeType, OrderRole, PositionSide, Side
from src.domain.numbers import ZERO, trimmed

TripKey = tuple[str, str]
"""Symbol and position side."""

EXTERNAL = "EXTERNAL"
"""Exit reason of a trip not closed by the bot: manually, by liquidation, or by another program."""


@dataclass(slots=True)
class RoundTrip:
    """One position from open to close. Costs are signed: amounts paid are negative, so that the parts add up."""

    symbol: str
    position_side: str
    side: Side
    opened_at: int
    entry_client_order_id: str
    """Client order id of the order that opened it."""
    quantity: Decimal = ZERO
    """Total quantity opened, unsigned."""
    entry_value: Decimal = ZERO
    closed_quantity: Decimal = ZERO
    exit_value: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    payments: list[FundingRecord] = field(default_factory=list)
    closed_at: int | None = None
    exit_reason: str | None = None
    """The role of the order that closed the rest of it."""
    orders: set[str] = field(default_factory=set)
    changed_at: int = 0
    """Time of its newest fill."""
    external: list[ExternalIncome] = field(default_factory=list)
    """Results of manual trades in it, from the income history."""
    lacks_amounts: bool = False
    """A fee of it was not reported, or is in an asset whose price is unknown."""

    @property
    def has_manual_trades(self) -> bool:
        return bool(self.external)

    @property
    def open_quantity(self) -> Decimal:
        return self.quantity - self.closed_quantity

    @property
    def funding_fee(self) -> Decimal:
        return sum((payment.value or ZERO for payment in self.payments), ZERO)

    @property
    def net_pnl(self) -> Decimal:
        return self.realized_pnl + self.commission + self.funding_fee

    @property
    def entry_price(self) -> Decimal | None:
        """The average price of its opening fills; None if they were not recorded."""
        return self.entry_value / self.quantity if self.quantity else None

    @property
    def exit_price(self) -> Decimal | None:
        """The average price of its closing fills; None if there are none."""
        return self.exit_value / self.closed_quantity if self.closed_quantity else None

    @property
    def is_complete(self) -> bool:
        """Whether every fill, fee and payment is known, with its value in dollars."""
        amounts = [*(each.value for each in self.payments), *(each.value for each in self.external)]
        return not self.lacks_amounts and self.open_quantity == 0 and None not in amounts


def signed_fee(fill: FillRecord) -> Decimal:
    """The fee in dollars, negative; zero if its value is unknown, see ``uncounted_amounts``."""
    return -(fill.commission_value or ZERO)


def signed_amounts(amounts: Iterable[tuple[str, Decimal]]) -> list[str]:
    """Sum up amounts by asset, such as "+500 USDT" and "-3 ASTER"."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for asset, amount in amounts:
        sums[asset] += amount
    return [f"{'+' if sums[asset] > 0 else ''}{trimmed(sums[asset])} {asset}" for asset in sorted(sums)]


def uncounted_amounts(fills: Iterable[FillRecord], funding: Iterable[FundingRecord] = ()) -> list[str]:
    """Fees and funding in assets of unknown price, such as "3 ASTER"; they are part of no result."""
    fees = [(fill.commission_asset, -fill.commission) for fill in fills if fill.commission_value is None]
    return signed_amounts([*fees, *((each.asset, each.amount) for each in funding if each.value is None)])


def round_trips(
    fills: Iterable[FillRecord],
    funding: Sequence[FundingRecord] = (),
    external: Iterable[ExternalIncome] = (),
    open_positions: Collection[TripKey] | None = None,
    others: Sequence[RoundTrip] = (),
) -> list[RoundTrip]:
    """The trips in the order of their opening; open ones have no ``closed_at``. ``fills`` must be sorted by time.

    A trip that a person closed has no fill for it: it ends with the last manual result before the next entry, or if
    its position is not among ``open_positions``. Payments and manual results belong to the symbol's oldest trip open
    at that time, also among ``others``: trips that are known already.
    """
    results = [each for each in external if not each.is_transfer]
    open_trips: dict[tuple[str, str], RoundTrip] = {}
    trips: list[RoundTrip] = []
    for fill in fills:
        key = (fill.symbol, fill.position_side)
        trip = open_trips.get(key)
        if trip is not None and fill.role == OrderRole.ENTRY and fill.client_order_id not in trip.orders:
            _close_by_hand(trip, results, fill.traded_at)
        if trip is None or trip.closed_at is not None:
            trip = open_trips[key] = _open_trip(fill)
            trips.append(trip)
        leftover = _add_fill(trip, fill)
        if trip.closed_at is not None:
            del open_trips[key]
        if leftover is not None:
            flipped = open_trips[key] = _open_trip(leftover)
            trips.append(flipped)
            _add_fill(flipped, leftover)
    for key, trip in open_trips.items():
        if open_positions is not None and key not in open_positions:
            _close_by_hand(trip, results, None)
    owners = sorted((*others, *trips), key=lambda trip: trip.opened_at)
    for payment, trip in _owned(owners, funding):
        trip.payments.append(payment)
    for result, trip in _owned(owners, results):
        _add_result(trip, result)
    return trips


def _close_by_hand(trip: RoundTrip, results: Iterable[ExternalIncome], before_ms: int | None) -> None:
    """End the trip with the last manual result since its newest fill, if there is one."""
    times = [
        each.paid_at
        for each in results
        if each.symbol == trip.symbol
        and each.type == IncomeType.REALIZED_PNL
        and trip.changed_at <= each.paid_at
        and (before_ms is None or each.paid_at <= before_ms)
    ]
    if times:
        trip.closed_at, trip.exit_reason = max(times), EXTERNAL


def _open_trip(fill: FillRecord) -> RoundTrip:
    side = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}.get(PositionSide(fill.position_side))
    return RoundTrip(
        symbol=fill.symbol,
        position_side=fill.position_side,
        side=side or Side(fill.side),
        opened_at=fill.traded_at,
        entry_client_order_id=fill.entry_client_order_id or fill.client_order_id,
    )


def _add_fill(trip: RoundTrip, fill: FillRecord) -> FillRecord | None:
    """Add a fill to a trip; the quantity beyond flat is returned as a fill of the opposite trip."""
    trip.orders.add(fill.client_order_id)
    trip.changed_at = fill.traded_at
    trip.lacks_amounts |= fill.commission_value is None or not fill.commission_asset
    if fill.side == trip.side:
        trip.quantity += fill.quantity
        trip.entry_value += fill.quantity * fill.price
        trip.realized_pnl += fill.realized_pnl
        trip.commission += signed_fee(fill)
        return None
    # A hedge mode position cannot flip: a close beyond the recorded quantity closes a part opened before our records.
    can_flip = fill.position_side == PositionSide.BOTH
    closed = min(fill.quantity, trip.open_quantity) if can_flip else fill.quantity
    _close_part(trip, fill, closed)
    return None if closed == fill.quantity else _remainder(fill, closed)


def _close_part(trip: RoundTrip, fill: FillRecord, quantity: Decimal) -> None:
    trip.closed_quantity += quantity
    trip.exit_value += quantity * fill.price
    trip.realized_pnl += fill.realized_pnl
    trip.commission += _proportion(signed_fee(fill), quantity, fill.quantity)
    if trip.open_quantity <= 0:
        trip.closed_at = fill.traded_at
        trip.exit_reason = fill.role or EXTERNAL


def _proportion(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return amount if part == whole else amount * part / whole


def _remainder(fill: FillRecord, closed: Decimal) -> FillRecord:
    rest = fill.quantity - closed
    commission = _proportion(fill.commission, rest, fill.quantity)
    value = None if fill.commission_value is None else _proportion(fill.commission_value, rest, fill.quantity)
    # Only closing realises PnL, so all of it belongs to the closed trip.
    return replace(fill, quantity=rest, commission=commission, commission_value=value, realized_pnl=ZERO)


Paid = TypeVar("Paid", FundingRecord, ExternalIncome)


def _owned(trips: Iterable[RoundTrip], paid: Iterable[Paid]) -> Iterator[tuple[Paid, RoundTrip]]:
    """Each amount with the symbol's oldest trip open at that time: the exchange reports funding by symbol only."""
    waiting: defaultdict[str, deque[RoundTrip]] = defaultdict(deque)
    for trip in trips:
        waiting[trip.symbol].append(trip)
    opened: defaultdict[str, list[RoundTrip]] = defaultdict(list)
    for each in sorted(paid, key=lambda each: each.paid_at):
        later, current, at = waiting[each.symbol], opened[each.symbol], each.paid_at
        while later and later[0].opened_at <= at:
            current.append(later.popleft())
        current[:] = [trip for trip in current if trip.closed_at is None or at <= trip.closed_at]
        if current:
            yield each, current[0]


def _add_result(trip: RoundTrip, result: ExternalIncome) -> None:
    trip.external.append(result)
    if result.type == IncomeType.COMMISSION:
        trip.commission += result.value or ZERO
    else:
        trip.realized_pnl += result.value or ZERO
