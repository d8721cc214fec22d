"""The exchange's rules change while the bot runs: orders follow them, and symbols that are not traded are left."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.domain.commands import FetchInstruments
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderType
from src.domain.events import CommandFailed, InstrumentsFetched, Task, TaskDue
from tests.builders import an_instrument
from tests.core.harness import Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
COARSE = {"tick": D(10), "min_price": D(10), "price_precision": 0}


def fetched(harness: Harness, **changes: Any) -> None:
    harness.feed(InstrumentsFetched((an_instrument(**changes),), harness.now))


def alarms(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == "error"]


@pytest.fixture
def odd(harness: Harness) -> Iterator[Harness]:
    """A position whose stop belongs at 48,996.1 by the rules the bot knows."""
    entry = harness.enter()
    harness.fill(entry, price=49_996)
    yield harness


@pytest.mark.parametrize("code", [-1111, -4014, -4023])
def test_stop_rejected_by_filters_is_placed_again_with_new_filters(odd: Harness, code: int) -> None:
    first = odd.last(STOP)
    odd.reject(first, code)
    assert odd.commands_of(FetchInstruments) == [FetchInstruments()]
    assert odd.submitted(STOP) == [first]
    fetched(odd, **COARSE)
    assert odd.last(STOP).stop_price == D(49_000)
    assert odd.rows("SELECT tick FROM instruments")[0]["tick"] == "10"


def test_a_stop_waits_a_second_at_most_for_rules_that_do_not_come(odd: Harness) -> None:
    odd.reject(odd.last(STOP), -1111)
    odd.feed(CommandFailed(FetchInstruments(), None, "503", odd.now))
    odd.wait(900)
    assert len(odd.submitted(STOP)) == 1
    odd.wait(200)
    assert len(odd.submitted(STOP)) == 2
    odd.reject(odd.last(STOP), -1111)
    assert len(odd.commands_of(FetchInstruments)) == 2


def test_a_stop_that_no_rules_please_leads_to_a_close(odd: Harness) -> None:
    for _ in range(3):
        assert odd.submitted(CLOSE) == []
        odd.reject(odd.last(STOP), -4014)
        fetched(odd)
    assert odd.last(CLOSE).type is OrderType.MARKET


def test_an_entry_off_the_grid_is_dropped_and_the_next_fits(harness: Harness) -> None:
    harness.liquidate()
    harness.reject(harness.last(ENTRY), -1111)
    assert harness.commands_of(FetchInstruments) != []
    fetched(harness, **COARSE)
    assert len(harness.submitted(ENTRY)) == 1
    harness.wait(61_000)
    harness.snapshot()
    harness.liquidate()
    assert [each.price for each in harness.submitted(ENTRY)] == [D(50_000), D(49_990)]


def test_the_rules_are_read_when_it_is_time_and_never_twice_at_once(harness: Harness) -> None:
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    assert len(harness.commands_of(FetchInstruments)) == 1
    fetched(harness)
    harness.feed(TaskDue(Task.REFRESH_INSTRUMENTS, harness.now))
    assert len(harness.commands_of(FetchInstruments)) == 2


def test_a_symbol_that_is_not_traded_any_more_is_left(harness: Harness) -> None:
    harness.open_position()
    fetched(harness, status="SETTLING")
    assert harness.last(CLOSE).type is OrderType.MARKET
    [alarm] = alarms(harness)
    assert alarm.startswith("BTCUSDT is not trading (SETTLING)")
    assert harness.cancelled() == []
    harness.wait(3000)
    assert len(alarms(harness)) == 1


def test_a_symbol_that_a_list_leaves_out_gets_no_entry_and_stays_protected_by_its_last_rules(harness: Harness) -> None:
    harness.open_position()
    fetched(harness, symbol="ETHUSDT")
    harness.wait(3000)
    [alarm] = alarms(harness)
    assert alarm.startswith("BTCUSDT is not listed by the exchange any more")
    assert harness.submitted(CLOSE) == []
    harness.end_order(harness.last(STOP))
    assert len(harness.submitted(STOP)) == 2
    harness.liquidate()
    assert harness.verdicts()[-1] is not None
    harness.close_position()
    assert harness.last(CLOSE).type is OrderType.MARKET


def test_a_symbol_that_is_not_traded_gets_no_entry_until_it_is_again(harness: Harness) -> None:
    resting = harness.enter()
    fetched(harness, status="SETTLING")
    assert harness.cancelled() == [resting.client_order_id]
    harness.wait(61_000)
    harness.snapshot()
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.CONFIGURED
    fetched(harness)
    assert harness.journal("alert")[-1]["message"] == "BTCUSDT is traded again"


def test_an_entry_refused_for_the_symbols_state_has_the_rules_read(harness: Harness) -> None:
    harness.liquidate()
    harness.reject(harness.last(ENTRY), -4140)
    assert harness.commands_of(FetchInstruments) == [FetchInstruments()]


def test_an_empty_list_is_no_news(harness: Harness) -> None:
    harness.open_position()
    harness.feed(InstrumentsFetched((), harness.now))
    assert harness.context.instruments["BTCUSDT"] == replace(an_instrument())
    assert alarms(harness) == []
