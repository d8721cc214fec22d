"""Closed positions and results by day, made from the recorded fills and payments.

Triggers mark a symbol as stale with every record about it. ``refresh`` makes its rows again, from the time of that
record on; readers do the same in memory meanwhile (``recompute``), so that both always agree with the records.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select

from src.database.models import PositionRow, TradeRow
from src.database.queries.fills import (
    END_OF_TIME,
    ExternalIncome,
    FillRecord,
    FundingRecord,
    external_income,
    fills_of_position,
    funding,
)
from src.database.round_trips import RoundTrip, round_trips, signed_fee
from src.database.tables.history import DailyResultRow, PositionMarksRow, RoundTripRow, StaleResultRow
from src.domain.clock import DAY_MS
from src.domain.enums import IncomeType, OrderRole, PositionSide, Side
from src.domain.numbers import ZERO

_FINAL_AFTER_MS = 7 * DAY_MS
"""A position closed for longer changes no more, unless a record of its own time comes."""
_UNSEEN_MS = 60_000
"""A position whose mark price was not seen for longer has no known extremes."""
_R_DIGITS = Decimal("0.0001")
UNCOUNTED, TRANSFERS, THEIR_FUNDING = "uncounted", "transfers", "their_funding"
"""Amounts by asset that are in no sum: of unknown price, deposits and withdrawals, funding of a person's positions."""

_Amounts = defaultdict[str, defaultdict[str, Decimal]]


@dataclass(slots=True)
class Result:
    """The totals of a set of trades. Costs are signed: amounts paid are negative."""

    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    funding_fee: Decimal = ZERO
    trades: int = 0
    """Closed round trips."""
    winning_trades: int = 0
    losing_trades: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    best_trade: Decimal | None = None
    worst_trade: Decimal | None = None
    exits: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    """Number and net PnL of the round trips by exit reason."""
    amounts: _Amounts = field(default_factory=lambda: defaultdict(lambda: defaultdict(Decimal)))

    @property
    def net_pnl(self) -> Decimal:
        return self.realized_pnl + self.commission + self.funding_fee

    @property
    def is_listed(self) -> bool:
        """Whether it has a result of the bot; transfers and a person's own funding are none."""
        return bool(self.trades or self.realized_pnl or self.commission or self.funding_fee or self.amounts[UNCOUNTED])

    def add_fill(self, fill: FillRecord) -> None:
        self.realized_pnl += fill.realized_pnl
        self.commission += signed_fee(fill)
        if fill.commission_value is None:
            self.amounts[UNCOUNTED][fill.commission_asset] -= fill.commission

    def add_funding(self, payment: FundingRecord) -> None:
        self.funding_fee += payment.value or ZERO
        if payment.value is None:
            self.amounts[UNCOUNTED][payment.asset] += payment.amount

    def add_external(self, income: ExternalIncome) -> None:
        """Count the result of a manual trade in a position of the bot; a transfer is no result."""
        if income.is_transfer:
            self.amounts[TRANSFERS][income.asset] += income.amount
        elif income.type == IncomeType.COMMISSION:
            self.commission += income.value or ZERO
        else:
            self.realized_pnl += income.value or ZERO

    def add_trip(self, net: Decimal, exit_reason: str) -> None:
        self.trades += 1
        self.winning_trades += net > 0
        self.losing_trades += net < 0
        self.gross_profit += max(net, ZERO)
        self.gross_loss += min(net, ZERO)
        self._add_extremes(net, net)
        self._add_exits({exit_reason: (1, net)})

    def add(self, other: "Result") -> None:
        """Add the totals of other trades."""
        self.realized_pnl += other.realized_pnl
        self.commission += other.commission
        self.funding_fee += other.funding_fee
        self.trades += other.trades
        self.winning_trades += other.winning_trades
        self.losing_trades += other.losing_trades
        self.gross_profit += other.gross_profit
        self.gross_loss += other.gross_loss
        if other.best_trade is not None and other.worst_trade is not None:
            self._add_extremes(other.best_trade, other.worst_trade)
        self._add_exits(other.exits)
        for kind, by_asset in other.amounts.items():
            for asset, amount in by_asset.items():
                self.amounts[kind][asset] += amount

    def _add_extremes(self, best: Decimal, worst: Decimal) -> None:
        self.best_trade = best if self.best_trade is None else max(self.best_trade, best)
        self.worst_trade = worst if self.worst_trade is None else min(self.worst_trade, worst)

    def _add_exits(self, exits: dict[str, tuple[int, Decimal]]) -> None:
        for reason, (count, net) in exits.items():
            known_count, known_net = self.exits.get(reason, (0, ZERO))
            self.exits[reason] = known_count + count, known_net + net


SUMS = (
    *("realized_pnl", "commission", "funding_fee", "trades", "winning_trades", "losing_trades"),
    *("gross_profit", "gross_loss", "best_trade", "worst_trade"),
)
"""Columns of ``daily_results`` named as the fields of ``Result``."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The trips of a symbol, made from its fills."""

    starts: dict[PositionSide, int]
    """Trips that opened at or after these times replace the stored ones."""
    trips: list[RoundTrip]
    """In the order of their opening, open ones too."""
    replaced: list[Row[Any]]

    def replaces(self, row: Any) -> bool:
        """Whether a stored trip is among those grouped again."""
        start = self.starts.get(PositionSide(row.position_side))
        return start is not None and bool(row.opened_at >= start)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the records of one symbol add up to now."""

    symbol: str
    is_simulated: bool
    grouped: Grouped
    first_day: int
    days: dict[int, Result]
    """Results by day from ``first_day`` on."""

    @property
    def closed(self) -> list[RoundTrip]:
        return [trip for trip in self.grouped.trips if trip.closed_at is not None]


def stale_symbols(connection: Connection, *, is_simulated: bool) -> dict[str, int]:
    """Return the symbols with stale results, and from which time on."""
    row = StaleResultRow
    query = select(row.symbol, row.since).where(row.is_simulated == is_simulated)
    return {each.symbol: each.since for each in connection.execute(query)}


def recompute(connection: Connection, symbol: str, since_ms: int, *, is_simulated: bool) -> Recomputed:
    """Group the records of a symbol from ``since_ms`` on, beginning with the trips that reach into that time."""
    grouped = group(connection, symbol, since_ms, is_simulated=is_simulated)
    closed = [trip for trip in grouped.trips if trip.closed_at is not None]
    before = {(each.position_side, each.opened_at, each.closed_at, each.net_pnl) for each in grouped.replaced}
    after = {(trip.position_side, trip.opened_at, trip.closed_at or 0, trip.net_pnl) for trip in closed}
    first_day = _day_of(min([since_ms, *(closed_at for _, _, closed_at, _ in before ^ after)]))
    days = _results(connection, symbol, first_day, is_simulated=is_simulated)
    for trip in closed:
        if (trip.closed_at or 0) >= first_day:
            days[_day_of(trip.closed_at or 0)].add_trip(trip.net_pnl, trip.exit_reason or "")
    for each in _trips_closed_since(connection, symbol, first_day, is_simulated=is_simulated):
        if not grouped.replaces(each):
            days[_day_of(each.closed_at)].add_trip(each.net_pnl, each.exit_reason)
    return Recomputed(symbol, is_simulated, grouped, first_day, dict(days))


def group(
    connection: Connection, symbol: str, since_ms: int, *, is_simulated: bool, until_ms: int = END_OF_TIME
) -> Grouped:
    """Group the fills of a symbol, beginning with the trips that reach into the time; what is later is left out."""
    row = PositionRow
    is_held = (row.symbol == symbol) & (row.is_simulated == is_simulated)
    found = connection.scalars(select(row.position_side).where(is_held)) if until_ms == END_OF_TIME else ()
    held = {PositionSide(side) for side in found}
    starts: dict[PositionSide, int] = {}
    recorded: list[FillRecord] = []
    for side in PositionSide:
        start = _last_flat(connection, symbol, side, since_ms, is_simulated=is_simulated)
        fills = fills_of_position(connection, symbol, side, start, is_simulated=is_simulated, until_ms=until_ms)
        if fills and (side in held or not start or fills[-1].traded_at >= since_ms - _FINAL_AFTER_MS):
            starts[side] = start
            recorded += fills
    recorded.sort(key=lambda fill: (fill.traded_at, fill.trade_id))
    paid_since = min([*starts.values(), since_ms])
    payments = funding(connection, paid_since, symbol=symbol, is_simulated=is_simulated, until_ms=until_ms)
    by_hand = external_income(connection, paid_since, symbol=symbol, is_simulated=is_simulated, until_ms=until_ms)
    stored = _trips_closed_since(connection, symbol, paid_since, is_simulated=is_simulated, until_ms=until_ms)
    grouped = Grouped(starts, [], [])
    for each in stored:
        if grouped.replaces(each):
            grouped.replaced.append(each)
    others = [_known_trip(each) for each in stored if not grouped.replaces(each)]
    grouped.trips.extend(round_trips(recorded, payments, by_hand, {(symbol, side) for side in held}, others))
    return grouped


def _trips_closed_since(
    connection: Connection, symbol: str, since_ms: int, *, is_simulated: bool, until_ms: int = END_OF_TIME
) -> Sequence[Row[Any]]:
    """The stored trips that were open in a time, or closed in it."""
    row = RoundTripRow
    own = and_(row.symbol == symbol, row.is_simulated == is_simulated, row.closed_at >= since_ms)
    return connection.execute(select(row.__table__).where(own, row.opened_at <= until_ms)).all()


def _day_of(at: int) -> int:
    return at - at % DAY_MS


def _last_flat(connection: Connection, symbol: str, side: PositionSide, since_ms: int, *, is_simulated: bool) -> int:
    """When the last trip that closed before ``since_ms`` opened; 0 if there is none.

    One that opened in the millisecond in which another closed may share a fill with it: then that one counts.
    """
    row = RoundTripRow
    own = and_(row.symbol == symbol, row.position_side == side.value, row.is_simulated == is_simulated)
    newest = select(row.opened_at).where(own, row.closed_at < since_ms).order_by(row.closed_at.desc()).limit(1)
    opened_at = connection.scalar(newest)
    while opened_at:
        touching = select(func.min(row.opened_at)).where(
            own, row.closed_at >= opened_at, row.closed_at <= opened_at, row.opened_at < opened_at
        )
        earlier = connection.scalar(touching)
        if earlier is None:
            break
        opened_at = earlier
    return opened_at or 0


def _known_trip(row: Any) -> RoundTrip:
    """A stored trip, as far as it decides to which trip a payment belongs."""
    return RoundTrip(
        row.symbol, row.position_side, Side(row.side), row.opened_at, row.entry_client_order_id, closed_at=row.closed_at
    )


def _results(connection: Connection, symbol: str, since_ms: int, *, is_simulated: bool) -> defaultdict[int, Result]:
    """Results by day without the round trips."""
    days: defaultdict[int, Result] = defaultdict(Result)
    for side in PositionSide:
        for fill in fills_of_position(connection, symbol, side, since_ms, is_simulated=is_simulated):
            days[_day_of(fill.traded_at)].add_fill(fill)
    for payment in funding(connection, since_ms, symbol=symbol, is_simulated=is_simulated):
        days[_day_of(payment.paid_at)].add_funding(payment)
    for income in external_income(connection, since_ms, symbol=symbol, is_simulated=is_simulated):
        days[_day_of(income.paid_at)].add_external(income)
    for payment in funding(connection, since_ms, is_external=True, symbol=symbol, is_simulated=is_simulated):
        days[_day_of(payment.paid_at)].amounts[THEIR_FUNDING][payment.asset] += payment.amount
    return days


def refresh(connection: Connection, limit: int = 1) -> int:
    """Write the round trips and daily results of up to ``limit`` stale symbols; return how many there were."""
    row = StaleResultRow
    found = connection.execute(select(row.symbol, row.since, row.is_simulated).limit(limit)).all()
    for symbol, since, is_simulated in found:
        _store(connection, recompute(connection, symbol, since, is_simulated=is_simulated))
        connection.execute(delete(row).where(row.symbol == symbol, row.is_simulated == is_simulated))
    return len(found)


def _store(connection: Connection, found: Recomputed) -> None:
    row, day = RoundTripRow, DailyResultRow
    replaced = found.grouped.replaced
    ids = {(each.position_side, each.opened_at, each.entry_client_order_id): each.id for each in replaced}
    for part in _parts([each.id for each in replaced]):
        connection.execute(delete(row).where(row.id.in_(part)))
    new = []
    for values in trip_rows(connection, found):
        known = ids.pop((values["position_side"], values["opened_at"], values["entry_client_order_id"]), None)
        if known is None:
            new.append(values)
        else:  # a trip keeps its id, by which lists are continued
            connection.execute(insert(row), {**values, "id": known})
    if new:
        connection.execute(insert(row), new)
    own_days = (day.symbol == found.symbol, day.is_simulated == found.is_simulated, day.day >= found.first_day)
    connection.execute(delete(day).where(*own_days))
    days = [
        {"symbol": found.symbol, "is_simulated": found.is_simulated, "day": at, **_day_values(result)}
        for at, result in found.days.items()
    ]
    if days:
        connection.execute(insert(day), days)


def _day_values(result: Result) -> dict[str, Any]:
    amounts = {kind: dict(by_asset) for kind, by_asset in result.amounts.items()}
    details = {"exits": {reason: list(found) for reason, found in result.exits.items()}, "amounts": amounts}
    return {name: getattr(result, name) for name in SUMS} | {"details": details}


def day_result(row: Any) -> Result:
    """The result in a row of ``daily_results``."""
    result = Result(*(getattr(row, name) for name in SUMS))
    for reason, (count, net) in row.details["exits"].items():
        result.exits[reason] = count, Decimal(net)
    for kind, by_asset in row.details["amounts"].items():
        for asset, amount in by_asset.items():
            result.amounts[kind][asset] += Decimal(amount)
    return result


def trip_rows(connection: Connection, found: Recomputed) -> list[dict[str, Any]]:
    """The column values of the closed trips, with what their first stop loss risked and how far the price went."""
    trips = found.closed
    stops = _first_stops(connection, [trip.entry_client_order_id for trip in trips])
    marks = _marks(connection, found, trips)
    return [_trip_values(trip, found, stops, marks) for trip in trips]


def _trip_values(
    trip: RoundTrip, found: Recomputed, stops: dict[str, Decimal], marks: dict[tuple[str, int], tuple[Decimal, Decimal]]
) -> dict[str, Any]:
    risk = _initial_risk(trip, stops.get(trip.entry_client_order_id))
    mfe, mae = _excursions(trip, marks.get((trip.position_side, trip.opened_at)))
    return {
        "symbol": trip.symbol,
        "position_side": trip.position_side,
        "side": trip.side.value,
        "entry_client_order_id": trip.entry_client_order_id,
        "exit_reason": trip.exit_reason or "",
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "quantity": trip.quantity,
        "entry_price": trip.entry_price,
        "exit_price": trip.exit_price,
        "realized_pnl": trip.realized_pnl,
        "commission": trip.commission,
        "funding_fee": trip.funding_fee,
        "net_pnl": trip.net_pnl,
        "initial_risk": risk,
        "r_multiple": None if risk is None else (trip.net_pnl / risk).quantize(_R_DIGITS),
        "mfe": mfe,
        "mae": mae,
        "has_manual_trades": trip.has_manual_trades,
        "is_complete": trip.is_complete,
        "is_simulated": found.is_simulated,
    }


def _initial_risk(trip: RoundTrip, stop_price: Decimal | None) -> Decimal | None:
    """What the first stop loss risked; None without one, or if it was on the winning side."""
    if stop_price is None or trip.entry_price is None:
        return None
    distance = (trip.entry_price - stop_price) * trip.side.sign
    return distance * trip.quantity if distance > 0 else None


def _excursions(trip: RoundTrip, marks: tuple[Decimal, Decimal] | None) -> tuple[Decimal | None, Decimal | None]:
    """MFE and MAE of the whole quantity in dollars, from the highest and lowest mark price."""
    if marks is None or trip.entry_price is None:
        return None, None
    results = sorted((price - trip.entry_price) * trip.side.sign * trip.quantity for price in marks)
    return max(results[1], ZERO), min(results[0], ZERO)


def _first_stops(connection: Connection, entries: Sequence[str]) -> dict[str, Decimal]:
    """The price of the first stop loss of each entry."""
    row, found = TradeRow, dict[str, Decimal]()
    for part in _parts(entries):
        query = (
            select(row.entry_client_order_id, row.stop_price)
            .where(
                row.entry_client_order_id.in_(part), row.role == OrderRole.STOP_LOSS.value, row.stop_price.is_not(None)
            )
            .order_by(row.created_at.desc(), row.id.desc())
        )
        found |= {entry: price for entry, price in connection.execute(query) if entry is not None and price is not None}
    return found


def _marks(
    connection: Connection, found: Recomputed, trips: Iterable[RoundTrip]
) -> dict[tuple[str, int], tuple[Decimal, Decimal]]:
    """The highest and lowest mark price of the trips that were seen throughout."""
    row = PositionMarksRow
    known: dict[tuple[str, int], tuple[Decimal, Decimal]] = {}
    own = and_(row.symbol == found.symbol, row.is_simulated == found.is_simulated, row.has_gap.is_(False))
    sides = row.position_side.in_([side.value for side in PositionSide])  # all of them: the key begins with them
    closed_at = {(trip.position_side, trip.opened_at): trip.closed_at or 0 for trip in trips}
    for part in _parts([trip.opened_at for trip in trips]):
        query = select(row.__table__).where(own, sides, row.opened_at.in_(part))
        for each in connection.execute(query):
            key = each.position_side, each.opened_at
            if closed_at.get(key, END_OF_TIME) - each.seen_at <= _UNSEEN_MS:
                known[key] = each.highest, each.lowest
    return known


def _parts(values: Sequence[Any], size: int = 5_000) -> Iterable[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
