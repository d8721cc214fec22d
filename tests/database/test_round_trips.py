"""Grouping fills into round trips."""

from dataclasses import replace
from decimal import Decimal

from src.database.queries.fills import ExternalIncome, FillRecord, FundingRecord
from src.database.round_trips import EXTERNAL, round_trips, uncounted_amounts
from src.domain.enums import Side
from tests.builders import NOW, D

OPEN = FillRecord(
    symbol="BTCUSDT",
    trade_id=1,
    client_order_id="lh-a-e",
    side="BUY",
    position_side="LONG",
    quantity=D(1),
    price=D(100),
    realized_pnl=D(0),
    commission=D("0.04"),
    commission_asset="USDT",
    commission_value=D("0.04"),
    is_maker=True,
    traded_at=NOW,
    role="ENTRY",
    entry_client_order_id=None,
    is_simulated=False,
)
CLOSE = replace(
    OPEN,
    trade_id=2,
    client_order_id="lh-a-t1",
    side="SELL",
    price=D(110),
    realized_pnl=D(10),
    commission=D("0.044"),
    commission_value=D("0.044"),
    traded_at=NOW + 60,
    role="TAKE_PROFIT",
    entry_client_order_id="lh-a-e",
)


def a_payment(amount: str, at: int, symbol: str = "BTCUSDT") -> FundingRecord:
    return FundingRecord(at, symbol, "USDT", Decimal(amount), Decimal(amount), at)


def test_trip_runs_from_flat_to_flat() -> None:
    (trip,) = round_trips([OPEN, CLOSE])
    assert (trip.entry_client_order_id, trip.side, trip.exit_reason) == ("lh-a-e", Side.BUY, "TAKE_PROFIT")
    assert (trip.opened_at, trip.closed_at) == (NOW, NOW + 60)
    assert (trip.realized_pnl, trip.commission, trip.net_pnl) == (D(10), D("-0.084"), D("9.916"))
    assert trip.orders == {"lh-a-e", "lh-a-t1"}


def test_open_position_is_an_open_trip() -> None:
    (trip,) = round_trips([OPEN, replace(CLOSE, quantity=D("0.4"))])
    assert (trip.closed_at, trip.open_quantity) == (None, D("0.6"))


def test_partial_fills_belong_to_one_trip() -> None:
    half = replace(OPEN, quantity=D("0.5"))
    (trip,) = round_trips([half, replace(half, trade_id=3, traded_at=NOW + 1), CLOSE])
    assert (trip.quantity, trip.closed_quantity, trip.entry_value) == (D(1), D(1), D(100))


def test_next_position_is_another_trip() -> None:
    trips = round_trips([OPEN, CLOSE, replace(OPEN, client_order_id="lh-b-e", traded_at=NOW + 70)])
    assert [trip.entry_client_order_id for trip in trips] == ["lh-a-e", "lh-b-e"]


def test_hedge_mode_sides_are_separate_trips() -> None:
    short = replace(OPEN, side="SELL", position_side="SHORT", client_order_id="lh-s-e")
    trips = round_trips([OPEN, short, CLOSE])
    assert [(trip.side, trip.closed_at) for trip in trips] == [(Side.BUY, NOW + 60), (Side.SELL, None)]


def test_flipping_fill_is_split_between_two_trips() -> None:
    one_way = replace(OPEN, position_side="BOTH")
    flip = replace(
        CLOSE, position_side="BOTH", quantity=D(3), commission_value=D("0.1"), client_order_id="lh-b-e", role="ENTRY"
    )
    first, second = round_trips([one_way, flip])
    assert (first.closed_quantity, first.realized_pnl) == (D(1), D(10))
    assert (second.side, second.quantity, second.realized_pnl) == (Side.SELL, D(2), D(0))
    assert first.commission + second.commission == D("-0.14")


def test_close_of_an_unrecorded_open_is_a_trip_of_its_own() -> None:
    (trip,) = round_trips([CLOSE])
    assert (trip.closed_at, trip.realized_pnl) == (NOW + 60, D(10))


def test_liquidation_closes_a_trip_externally() -> None:
    (trip,) = round_trips([OPEN, replace(CLOSE, role=None, client_order_id="autoclose-1")])
    assert trip.exit_reason == EXTERNAL


def test_fee_in_another_asset_counts_by_its_value() -> None:
    unknown = replace(CLOSE, commission=D(7), commission_asset="ASTER", commission_value=None)
    (trip,) = round_trips([OPEN, replace(unknown, commission_value=D("5.6"))])
    assert trip.commission == D("-5.64")
    (trip,) = round_trips([OPEN, unknown])
    assert trip.commission == D("-0.04")
    assert uncounted_amounts([OPEN, unknown]) == ["-7 ASTER"]


def test_funding_goes_to_the_oldest_open_trip() -> None:
    payments = [a_payment("-0.3", NOW + 10), a_payment("0.1", NOW + 20), a_payment("-9", NOW + 99)]
    other = [a_payment("-5", NOW + 10, "ETHUSDT")]
    (trip,) = round_trips([OPEN, CLOSE], [*payments, *other])
    assert trip.funding_fee == D("-0.2")
    assert trip.net_pnl == D("9.716")


def by_hand(amount: str, at: int, kind: str = "REALIZED_PNL") -> ExternalIncome:
    return ExternalIncome(kind, "BTCUSDT", "USDT", D(amount), D(amount), at)


def test_position_closed_by_hand_ends_with_its_results() -> None:
    results = [by_hand("-7", NOW + 40), by_hand("-0.05", NOW + 40, "COMMISSION"), by_hand("99", NOW, "TRANSFER")]
    (trip,) = round_trips([OPEN], (), results, open_positions=())
    assert (trip.closed_at, trip.exit_reason, trip.has_manual_trades) == (NOW + 40, EXTERNAL, True)
    assert (trip.realized_pnl, trip.commission, trip.net_pnl) == (D(-7), D("-0.09"), D("-7.09"))
    (still_open,) = round_trips([OPEN], (), results, open_positions={("BTCUSDT", "LONG")})
    assert (still_open.closed_at, still_open.realized_pnl) == (None, D(-7))


def test_entry_after_a_close_by_hand_begins_a_new_trip() -> None:
    later = replace(OPEN, trade_id=3, client_order_id="lh-b-e", traded_at=NOW + 50)
    first, second = round_trips([OPEN, later], (), [by_hand("-7", NOW + 40)])
    assert (first.closed_at, first.net_pnl) == (NOW + 40, D("-7.04"))
    assert (second.opened_at, second.closed_at, second.has_manual_trades) == (NOW + 50, None, False)


def test_trip_without_trades_by_hand_is_not_marked() -> None:
    (trip,) = round_trips([OPEN, CLOSE], (), [by_hand("-7", NOW + 4000)], open_positions=())
    assert (trip.closed_at, trip.has_manual_trades, trip.realized_pnl) == (NOW + 60, False, D(10))
