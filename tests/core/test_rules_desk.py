"""The exchange's rules change while the bot runs: orders follow them, and symbols that are not traded are left."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderType
from src.domain.messages import CommandFailed, Due, Duty, FetchInstruments, InstrumentsFetched
from tests.builders import an_instrument
from tests.core.rig import Rig

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
COARSE = {"tick": D(10), "min_price": D(10), "price_precision": 0}


def fetched(rig: Rig, **changes: Any) -> None:
    rig.feed(InstrumentsFetched((an_instrument(**changes),), rig.now))


def alarms(rig: Rig) -> list[str]:
    return [each["message"] for each in rig.journal("alert") if each["level"] == "error"]


@pytest.fixture
def odd(rig: Rig) -> Iterator[Rig]:
    """A position whose stop belongs at 48,996.1 by the rules the bot knows."""
    entry = rig.enter()
    rig.fill(entry, price=49_996)
    yield rig


@pytest.mark.parametrize("code", [-1111, -4014, -4023])
def test_a_stop_off_the_grid_is_placed_anew_by_the_rules_of_now(odd: Rig, code: int) -> None:
    first = odd.last(STOP)
    odd.refuse(first, code)
    assert odd.of(FetchInstruments) == [FetchInstruments()]
    assert odd.submitted(STOP) == [first]
    fetched(odd, **COARSE)
    assert odd.last(STOP).stop_price == D(49_000)
    assert odd.rows("SELECT tick FROM instruments")[0]["tick"] == "10"


def test_a_stop_waits_a_second_at_most_for_rules_that_do_not_come(odd: Rig) -> None:
    odd.refuse(odd.last(STOP), -1111)
    odd.feed(CommandFailed(FetchInstruments(), None, "503", odd.now))
    odd.wait(900)
    assert len(odd.submitted(STOP)) == 1
    odd.wait(200)
    assert len(odd.submitted(STOP)) == 2
    odd.refuse(odd.last(STOP), -1111)
    assert len(odd.of(FetchInstruments)) == 2


def test_a_stop_that_no_rules_please_leads_to_a_close(odd: Rig) -> None:
    for _ in range(3):
        assert odd.submitted(CLOSE) == []
        odd.refuse(odd.last(STOP), -4014)
        fetched(odd)
    assert odd.last(CLOSE).type is OrderType.MARKET


def test_an_entry_off_the_grid_is_dropped_and_the_next_fits(rig: Rig) -> None:
    rig.liquidate()
    rig.refuse(rig.last(ENTRY), -1111)
    assert rig.of(FetchInstruments) != []
    fetched(rig, **COARSE)
    assert len(rig.submitted(ENTRY)) == 1
    rig.wait(61_000)
    rig.snapshot()
    rig.liquidate()
    assert [each.price for each in rig.submitted(ENTRY)] == [D(50_000), D(49_990)]


def test_the_rules_are_read_when_it_is_time_and_never_twice_at_once(rig: Rig) -> None:
    rig.feed(Due(Duty.RULES, rig.now))
    rig.feed(Due(Duty.RULES, rig.now))
    assert len(rig.of(FetchInstruments)) == 1
    fetched(rig)
    rig.feed(Due(Duty.RULES, rig.now))
    assert len(rig.of(FetchInstruments)) == 2


def test_a_symbol_that_is_not_traded_any_more_is_left(rig: Rig) -> None:
    rig.open_position()
    fetched(rig, status="SETTLING")
    assert rig.last(CLOSE).type is OrderType.MARKET
    [alarm] = alarms(rig)
    assert alarm.startswith("BTCUSDT is not traded now (SETTLING)")
    assert rig.cancelled() == []
    rig.wait(3000)
    assert len(alarms(rig)) == 1


def test_a_symbol_that_a_list_leaves_out_gets_no_entry_and_stays_protected_by_its_last_rules(rig: Rig) -> None:
    rig.open_position()
    fetched(rig, symbol="ETHUSDT")
    rig.wait(3000)
    [alarm] = alarms(rig)
    assert alarm.startswith("BTCUSDT is missing in the exchange's list")
    assert rig.submitted(CLOSE) == []
    rig.ended(rig.last(STOP))
    assert len(rig.submitted(STOP)) == 2
    rig.liquidate()
    assert rig.verdicts()[-1] is not None
    rig.close_position()
    assert rig.last(CLOSE).type is OrderType.MARKET


def test_a_symbol_that_is_not_traded_gets_no_entry_until_it_is_again(rig: Rig) -> None:
    resting = rig.enter()
    fetched(rig, status="SETTLING")
    assert rig.cancelled() == [resting.client_order_id]
    rig.wait(61_000)
    rig.snapshot()
    rig.liquidate()
    assert rig.verdicts()[-1] == Gate.CONFIGURED
    fetched(rig)
    assert rig.journal("alert")[-1]["message"] == "BTCUSDT is traded again"


def test_an_entry_refused_for_the_symbols_state_has_the_rules_read(rig: Rig) -> None:
    rig.liquidate()
    rig.refuse(rig.last(ENTRY), -4140)
    assert rig.of(FetchInstruments) == [FetchInstruments()]


def test_an_empty_list_is_no_news(rig: Rig) -> None:
    rig.open_position()
    rig.feed(InstrumentsFetched((), rig.now))
    assert rig.desk.instruments["BTCUSDT"] == replace(an_instrument())
    assert alarms(rig) == []
