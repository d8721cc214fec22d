"""Closed positions and daily results: always what the fills and payments add up to."""

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from src.database.queries.fills import FillRecord, external_income, fills, funding
from src.database.queries.results import closed_trips, daily_results
from src.database.repositories import Store
from src.database.results import Result
from src.database.round_trips import RoundTrip, round_trips
from src.database.tables.history import StaleResultRow
from src.domain.clock import DAY_MS
from src.domain.enums import MarginType, OrderRole, PositionSide, Side
from src.domain.orders import ClientOrderId, Fill, Order
from src.domain.positions import Income, Position, PositionRecord, Protection
from tests.builders import NOW, D, a_fill, a_request, an_order

SYMBOL = "BTCUSDT"


def trips(store: Store) -> list[dict[str, Any]]:
    """The stored trips, oldest first."""
    return store.read(lambda connection: closed_trips(connection, 1000, is_simulated=False))[::-1]


def an_entry(number: int, at: int, side: Side = Side.BUY, **changes: Any) -> tuple[Order, Fill]:
    name = str(ClientOrderId(f"entry{number:07}", OrderRole.ENTRY))
    request = a_request(client_order_id=name, side=side, **changes)
    order = an_order(request={"client_order_id": name, "side": side, **changes}, order_id=number, created_at=at)
    return order, a_fill(request, trade_id=number, order_id=number, traded_at=at, price=D(100), quantity=D(1))


def an_exit(
    entry: Order, number: int, at: int, role: OrderRole = OrderRole.TAKE_PROFIT, **changes: Any
) -> tuple[Order, Fill]:
    name = str(ClientOrderId(f"exit{number:08}", role, 1))
    side = entry.request.side.opposite
    shared: dict[str, Any] = {"client_order_id": name, "side": side, "position_side": entry.request.position_side}
    order = an_order(role, request=shared, order_id=number, created_at=at, entry_client_order_id=entry.client_order_id)
    fill = a_fill(a_request(role, **shared), trade_id=number, order_id=number, side=side, traded_at=at)
    values: dict[str, Any] = {"price": D(110), "quantity": D(1), "realized_pnl": D(10), **changes}
    return order, replace(fill, position_side=entry.request.position_side, **values)


def record(store: Store, *pairs: tuple[Order, Fill]) -> None:
    with store.transaction():
        for order, fill in pairs:
            store.record_order(order, simulated=False)
            assert store.record_fill(fill)


def maintain(store: Store) -> None:
    with store.transaction():
        store.maintenance.step()


def test_closed_position_is_a_row_with_its_result(store: Store) -> None:
    entry = an_entry(1, NOW)
    stop = an_order(OrderRole.STOP_LOSS, request={"stop_price": D(95)}, entry_client_order_id=entry[0].client_order_id)
    record(store, entry)
    with store.transaction():
        store.record_order(stop, simulated=False)
    maintain(store)
    assert store_trips(store) == []
    record(store, an_exit(entry[0], 2, NOW + 60_000))
    maintain(store)
    (trip,) = store_trips(store)
    assert (trip["opened_at"], trip["closed_at"], trip["exit_reason"]) == (NOW, NOW + 60_000, "TAKE_PROFIT")
    assert (trip["entry_price"], trip["exit_price"], trip["quantity"]) == (100, 110, 1)
    fees = -2 * a_fill().commission
    assert (trip["commission"], trip["net_pnl"]) == (fees, 10 + fees)
    assert (trip["initial_risk"], trip["r_multiple"]) == (5, ((10 + fees) / 5).quantize(D("0.0001")))
    assert (trip["mfe"], trip["mae"], trip["is_complete"]) == (None, None, True)


def store_trips(store: Store) -> list[dict[str, Any]]:
    with store.transaction():
        return trips(store)


def test_excursions_are_known_only_if_the_mark_was_seen_throughout(store: Store) -> None:
    for number, pause_ms in ((1, 1_000), (2, 120_000)):
        at = NOW + number * DAY_MS
        entry = an_entry(number * 10, at)
        record(store, entry)
        for step, mark in enumerate((100, 108, 97, 104)):
            with store.transaction():
                store.save_position(a_position(at, at + step * pause_ms, D(mark)))
        record(store, an_exit(entry[0], number * 10 + 1, at + 3 * pause_ms + 1))
        with store.transaction():
            store.remove_position(SYMBOL, PositionSide.LONG)
        maintain(store)
    assert [(trip["mfe"], trip["mae"]) for trip in store_trips(store)] == [(8, -3), (None, None)]


def a_position(opened_at: int, as_of: int, mark: Decimal) -> PositionRecord:
    return PositionRecord(
        position=Position(SYMBOL, PositionSide.LONG, D(1), D(100)),
        mark_price=mark,
        leverage=5,
        margin_type=MarginType.CROSSED,
        liquidation_price=None,
        take_profit_price=None,
        stop_loss_price=None,
        protection=Protection.OK,
        opened_at=opened_at,
        as_of=as_of,
        entry_client_order_id=None,
    )


def test_late_fee_and_funding_complete_a_closed_position(store: Store) -> None:
    entry = an_entry(1, NOW)
    out = an_exit(entry[0], 2, NOW + 60_000, commission_asset="", commission=D(0), commission_value=None)
    record(store, entry, out)
    maintain(store)
    (before,) = store_trips(store)
    assert not before["is_complete"]
    with store.transaction():
        fee = Income(7, SYMBOL, "COMMISSION", "USDT", D("-0.5"), NOW + 60_000, 2)
        assert store.complete_fee(fee, None)
        assert store.record_funding(Income(8, SYMBOL, "FUNDING_FEE", "USDT", D("-0.25"), NOW + 30_000))
    maintain(store)
    (after,) = store_trips(store)
    assert after["is_complete"]
    assert (after["id"], after["funding_fee"]) == (before["id"], D("-0.25"))
    assert after["net_pnl"] == before["net_pnl"] - D("0.75")


def test_position_closed_by_hand_is_stored_when_it_is_gone(store: Store) -> None:
    record(store, an_entry(1, NOW))
    with store.transaction():
        store.save_position(a_position(NOW, NOW, D(100)))
        income = Income(5, SYMBOL, "REALIZED_PNL", "USDT", D(3), NOW + 5_000, 99)
        assert store.record_external_income(income, D(3))
    maintain(store)
    assert store_trips(store) == []
    with store.transaction():
        store.remove_position(SYMBOL, PositionSide.LONG)
    maintain(store)
    (trip,) = store_trips(store)
    assert (trip["exit_reason"], trip["closed_at"], trip["has_manual_trades"]) == ("EXTERNAL", NOW + 5_000, True)


def some_records(random: Random) -> list[Any]:
    """Positions of both sides that open, grow, close and flip within days, with fees, funding and manual results."""
    found: list[Any] = []
    at, number = NOW - 20 * DAY_MS, 0
    held: dict[PositionSide, tuple[Order, Decimal]] = {}
    while len(found) < 60:
        number += 1
        at += random.choice((0, 1, 1_000, 3_600_000, 5 * 3_600_000))
        side = random.choice((PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH))
        open_now = held.get(side)
        if random.random() < 0.2:
            found.append(Income(number, SYMBOL, "FUNDING_FEE", "USDT", D(random.randrange(-9, 9)) / 10, at))
        elif random.random() < 0.1:
            found.append(Income(number, SYMBOL, "REALIZED_PNL", "USDT", D(random.randrange(-9, 9)), at, -number))
        elif open_now is None or random.random() < 0.2:
            direction = Side.SELL if side is PositionSide.SHORT else Side.BUY
            order, fill = an_entry(number, at, direction, position_side=side)
            found.append((order, replace(fill, position_side=side, side=direction)))
            held[side] = order, (open_now[1] if open_now else D(0)) + 1
        else:
            order, quantity = open_now
            extra = D(1) if side is PositionSide.BOTH and random.random() < 0.3 else D(0)
            part = quantity if random.random() < 0.7 else quantity / 2
            found.append(an_exit(order, number, at, random.choice((OrderRole.STOP_LOSS, OrderRole.CLOSE)),
                                 quantity=part + extra, realized_pnl=D(random.randrange(-20, 20))))  # fmt: skip
            if part == quantity:
                del held[side]
            else:
                held[side] = order, quantity - part
    return found


def add(store: Store, each: Any) -> None:
    with store.transaction():
        if not isinstance(each, Income):
            store.record_order(each[0], simulated=False)
            assert store.record_fill(each[1])
        elif each.type == "FUNDING_FEE":
            assert store.record_funding(each)
        else:
            assert store.record_external_income(each, each.amount)


@pytest.mark.parametrize("seed", range(8))
def test_stored_results_equal_those_of_all_records(store: Store, seed: int) -> None:
    """Whatever comes in whatever order, step by step: the rows are those that one pass over everything makes."""
    random = Random(seed)
    records = some_records(random)
    for number in range(0, len(records) - 3, 7):  # some come late
        records.insert(min(len(records) - 1, number + random.randrange(1, 6)), records.pop(number))
    for each in records:
        add(store, each)
        if random.random() < 0.6:
            maintain(store)
    with store.transaction():
        live = summed(store)
    maintain(store)
    with store.transaction():
        assert store.read(lambda connection: connection.execute(select(StaleResultRow.symbol)).all()) == []
        assert summed(store) == live
        expected = store.read(all_trips)
        found = [
            (each["position_side"], each["opened_at"], each["closed_at"], each["net_pnl"], each["exit_reason"])
            for each in trips(store)
        ]
    assert sorted(found) == sorted(
        (trip.position_side, trip.opened_at, trip.closed_at or 0, trip.net_pnl, trip.exit_reason or "")
        for trip in expected
        if trip.closed_at is not None
    )
    by_day = sum((result.net_pnl for result in live.values()), D(0))
    traded = [each[1] for each in records if not isinstance(each, Income)]
    paid = [each.amount for each in records if isinstance(each, Income)]
    assert by_day == sum((fill.realized_pnl - fill.commission for fill in traded), D(0)) + sum(paid, D(0))


def summed(store: Store) -> dict[int, Result]:
    return {day: result for day, _, result in store.read(lambda each: daily_results(each, 0, is_simulated=False))}


def all_trips(connection: Any) -> list[RoundTrip]:
    recorded: list[FillRecord] = fills(connection, 0, SYMBOL)
    payments = funding(connection, 0, is_simulated=False)
    return round_trips(recorded, payments, external_income(connection, 0, is_simulated=False), set())


def test_faulty_records_do_not_stop_the_trader(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise ArithmeticError("no such number")

    monkeypatch.setattr("src.database.maintenance.refresh", fail)
    record(store, an_entry(1, NOW))
    maintain(store)
    monkeypatch.undo()
    record(store, an_entry(2, NOW + 1))
    maintain(store)
    with store.transaction():
        assert len(summed(store)) == 1
