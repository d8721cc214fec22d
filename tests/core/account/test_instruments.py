"""Exchange info that changes while the bot runs: orders follow new filters, delisted symbols are closed."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.domain.commands import FetchInstruments
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderType
from src.domain.events import CommandFailed, InstrumentsFetched, Task, TaskDue
from src.domain.instrument import IncompleteInstrument
from tests.builders import an_instrument
from tests.core.harness import Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
COARSE = {"tick": D(10), "min_price": D(10), "price_precision": 0}


def deliver_instruments(harness: Harness, **changes: Any) -> None:
    harness.feed(InstrumentsFetched((an_instrument(**changes),), harness.now))


def alerts(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == "error"]


@pytest.fixture
def unprotected(harness: Harness) -> Iterator[Harness]:
    """A position with the stop price 48,996.1 under the current filters."""
    entry = harness.enter()
    harness.fill(entry, price=49_996)
    yield harness


@pytest.mark.parametrize("code", [-1111, -4014, -4023])
def test_stop_rejected_by_filters_is_placed_again_with_new_filters(unprotected: Harness, code: int) -> None:
    first = unprotected.last(STOP)
    unprotected.reject(first, code)
    assert unprotected.commands_of(FetchInstruments) == [FetchInstruments()]
    assert unprotected.submitted(STOP) == [first]
    deliver_instruments(unprotected, **COARSE)
    assert unprotected.last(STOP).stop_price == D(49_000)
    assert unprotected.rows("SELECT tick FROM instruments")[0]["tick"] == "10"


def test_stop_waits_at_most_a_second_for_filters(unprotected: Harness) -> None:
    unprotected.reject(unprotected.last(STOP), -1111)
    unprotected.feed(CommandFailed(FetchInstruments(), None, "503", unprotected.now))
    unprotected.wait(900)
    assert len(unprotected.submitted(STOP)) == 1
    unprotected.wait(200)
    assert len(unprotected.submitted(STOP)) == 2
    unprotected.reject(unprotected.last(STOP), -1111)
    assert len(unprotected.commands_of(FetchInstruments)) == 2


def test_stop_rejected_by_fresh_filters_closes_position(unprotected: Harness) -> None:
    for _ in range(3):
        assert unprotected.submitted(CLOSE) == []
        unprotected.reject(unprotected.last(STOP), -4014)
        deliver_instruments(unprotected)
    assert unprotected.last(CLOSE).type is OrderType.MARKET


def test_entry_rejected_by_filters_is_not_retried(harness: Harness) -> None:
    harness.liquidate()
    harness.reject(harness.last(ENTRY), -1111)
    assert harness.commands_of(FetchInstruments) != []
    deliver_instruments(harness, **COARSE)
    assert len(harness.submitted(ENTRY)) == 1
    harness.wait(61_000)
    harness.snapshot()
    harness.liquidate()
    assert [each.price for each in harness.submitted(ENTRY)] == [D(50_000), D(49_990)]


def test_instruments_are_requested_once_at_a_time(harness: Harness) -> None:
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    assert len(harness.commands_of(FetchInstruments)) == 1
    deliver_instruments(harness)
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    assert len(harness.commands_of(FetchInstruments)) == 2


def test_position_of_settling_symbol_is_closed(harness: Harness) -> None:
    harness.open_position()
    deliver_instruments(harness, status="SETTLING")
    assert harness.last(CLOSE).type is OrderType.MARKET
    [alert] = alerts(harness)
    assert alert.startswith("BTCUSDT is not trading (SETTLING)")
    assert harness.cancelled() == []
    harness.wait(3000)
    assert len(alerts(harness)) == 1


@pytest.mark.parametrize("status", ["", "0", "SOMETHING_NEW"])
def test_status_that_is_not_known_closes_no_position(harness: Harness, status: str) -> None:
    harness.open_position()
    deliver_instruments(harness, status=status)
    harness.wait(3000)
    [alert] = alerts(harness)
    assert "Its position stays protected" in alert
    assert harness.submitted(CLOSE) == []
    harness.end_order(harness.last(STOP))
    assert len(harness.submitted(STOP)) == 2
    harness.liquidate()
    assert harness.verdicts()[-1] is not None


def test_unlisted_symbol_stays_protected_without_entries(harness: Harness) -> None:
    harness.open_position()
    deliver_instruments(harness, symbol="ETHUSDT")
    harness.wait(3000)
    [alert] = alerts(harness)
    assert alert.startswith("BTCUSDT is not listed by the exchange any more")
    assert harness.submitted(CLOSE) == []
    harness.end_order(harness.last(STOP))
    assert len(harness.submitted(STOP)) == 2
    harness.liquidate()
    assert harness.verdicts()[-1] is not None
    harness.close_position()
    assert harness.last(CLOSE).type is OrderType.MARKET


def test_settling_symbol_gets_no_entry(harness: Harness) -> None:
    entry = harness.enter()
    deliver_instruments(harness, status="SETTLING")
    assert harness.cancelled() == [entry.client_order_id]
    harness.wait(61_000)
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.CONFIGURED
    deliver_instruments(harness)
    assert harness.journal("alert")[-1]["message"] == "BTCUSDT is traded again"


def test_symbol_status_rejection_requests_instruments(harness: Harness) -> None:
    harness.liquidate()
    harness.reject(harness.last(ENTRY), -4140)
    assert harness.commands_of(FetchInstruments) == [FetchInstruments()]


def test_empty_instrument_list_is_ignored(harness: Harness) -> None:
    harness.open_position()
    harness.feed(InstrumentsFetched((), harness.now))
    assert harness.context.instruments["BTCUSDT"] == replace(an_instrument())
    assert alerts(harness) == []


LACKS_TICK = IncompleteInstrument("BTCUSDT", "tickSize is missing", "TRADING")


def test_start_says_which_rules_are_missing_and_protects_by_the_last_known(unprotected: Harness) -> None:
    unprotected.accept(unprotected.last(STOP))
    again = unprotected.restart()
    again.context.incomplete_instruments = {"BTCUSDT": "tickSize is missing"}
    again.connect(positions=(again.report(),), open_orders=())
    again.wait(5_000)
    assert [each for each in alerts(again) if "lacks trading rules" in each] == [
        "the exchange's list of symbols lacks trading rules of BTCUSDT (tickSize is missing): its last known rules are "
        "used. Check the symbol on the exchange's site"
    ]
    again.close()


def test_stop_is_placed_by_the_rules_known_before(unprotected: Harness) -> None:
    stop = unprotected.last(STOP)
    unprotected.accept(stop)
    unprotected.feed(InstrumentsFetched((an_instrument(symbol="ETHUSDT"),), unprotected.now, (LACKS_TICK,)))
    unprotected.end_order(stop)
    unprotected.audit()
    assert unprotected.submitted(STOP)[-1] != stop
    assert unprotected.last(STOP).stop_price == stop.stop_price
    assert any("lacks trading rules of BTCUSDT (tickSize is missing)" in each for each in alerts(unprotected))
    deliver_instruments(unprotected)
    unprotected.audit()
    warnings = [each["message"] for each in unprotected.journal("alert") if each["level"] == "warning"]
    assert "the exchange lists all trading rules of BTCUSDT again" in warnings


def test_symbol_whose_rules_were_never_known_is_named(harness: Harness) -> None:
    harness.context.instruments = {}
    harness.context.incomplete_instruments = {"BTCUSDT": "tickSize is missing", "OTHERUSDT": "stepSize is missing"}
    harness.audit()
    harness.liquidate()
    assert harness.submitted(ENTRY) == []
    [message] = alerts(harness)
    assert "BTCUSDT (tickSize is missing): no stop can be placed and no entry is made for it" in message
