"""An account outlives its engine: the one that takes it up does what the first would have done, to the last digit."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis.stateful import rule

from src.domain.enums import MarginType, OrderStatus, OrderType, Side, WorkingType
from src.domain.errors import ConfigError, InvariantError, Rejected
from src.domain.messages import MarginCall
from src.domain.positions import PositionReport
from src.engine.costs import Costs
from src.engine.engine import Engine
from src.exchange.paper_memory import parse_memory, render_memory
from tests.engine.rig import BRACKETS, BTC, ETH, FREE, INSTRUMENTS, D, Rig, accounts_in, fills_in
from tests.engine.test_invariants import Books

DEEDS = {
    *{"on_quote", "on_mark", "on_trade", "on_depth", "settle_funding", "submit", "cancel", "deposit"},
    *{"set_margin_type", "set_leverage", "change_position_margin"},
}


def taken_up(engine: Engine, costs: Costs = FREE) -> Engine:
    """A fresh engine with the account of another, which went through the ledger as text."""
    again = Engine(INSTRUMENTS, costs, {BTC: BRACKETS, ETH: BRACKETS})
    again.recall(parse_memory(json.loads(json.dumps(render_memory(engine.memory())))))
    return again


def restarted(rig: Rig) -> Rig:
    rig.engine = taken_up(rig.engine)
    return rig


def shown(engine: Engine) -> tuple[object, ...]:
    """Everything that can be asked but history; when a flat slot was last traded is history too."""
    return engine.account(), engine.balances(), engine.open_orders(), [_told(row) for row in engine.positions()]


def _told(row: PositionReport) -> PositionReport:
    return row if row.quantity else replace(row, updated_at=0)


class Twins:
    """Two engines that are asked the same; whatever the first does, the second must do."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self.first = first
        self.second = second

    def __getattr__(self, name: str) -> Any:
        if name not in DEEDS:
            return getattr(self.first, name)

        def ask_both(*values: Any, **named: Any) -> object:
            one, two = (_outcome(getattr(each, name), *values, **named) for each in (self.first, self.second))
            assert _without_warnings(one) == _without_warnings(two)
            assert shown(self.first) == shown(self.second)
            if isinstance(one, Rejected):
                raise one
            return one

        return ask_both


def _outcome(deed: Callable[..., object], *values: Any, **named: Any) -> object:
    try:
        return deed(*values, **named)
    except Rejected as error:
        return error


def _without_warnings(outcome: Any) -> object:
    """An account that is taken up has forgotten that it was warned."""
    if isinstance(outcome, Rejected):
        return outcome.code
    return [event for event in outcome if not isinstance(event, MarginCall)]


class BooksWithTwin(Books):
    """Random trading; at any moment the account is taken up by a second engine, which goes on beside the first."""

    @rule()
    def restart(self) -> None:
        first = getattr(self.engine, "first", self.engine)
        second = taken_up(first, Costs(D("0.00013"), D("0.00037"), D("0.001")))
        second._floor.books = deepcopy(first._floor.books)  # the market is not remembered, it is heard
        assert shown(first) == shown(second)
        self.engine = cast(Engine, Twins(first, second))


TestBooksWithTwin = BooksWithTwin.TestCase
TestBooksWithTwin.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def with_a_stop(working_type: WorkingType = WorkingType.CONTRACT_PRICE) -> Rig:
    """Long 0.1 at 50,000.1, a stop for all of it at 49,000."""
    rig = Rig()
    rig.buy("0.1")
    stop = {"type": OrderType.STOP_MARKET, "side": Side.SELL, "stop_price": D(49_000), "quantity": None}
    rig.submit(**stop, close_position=True, working_type=working_type)
    return rig


def test_before_any_price_is_heard_the_account_is_worth_what_it_was() -> None:
    rig = with_a_stop()
    before = shown(rig.engine)
    assert shown(restarted(rig).engine) == before


@pytest.mark.parametrize("working_type", WorkingType)
def test_a_stop_that_was_passed_meanwhile_fires_at_the_market_then(working_type: WorkingType) -> None:
    rig = restarted(with_a_stop(working_type))
    [fill] = fills_in(rig.market(40_000))  # far past the bound around the mark that was remembered
    assert (fill.price, fill.quantity) == (D(40_000), D("0.1"))
    assert rig.held == 0


def test_a_market_that_came_back_meanwhile_leaves_the_stop_where_it_rests() -> None:
    rig = restarted(with_a_stop())
    assert fills_in(rig.market(50_500)) == []
    assert [order.status for order in rig.engine.open_orders()] == [OrderStatus.NEW]


def test_funding_that_was_announced_is_paid_at_the_first_mark() -> None:
    rig = Rig()
    rig.buy("0.1")
    rig.mark(50_000, rate="0.001", next_funding_at=rig.now + 10)
    rig.now += 100
    wallet = restarted(rig).wallet
    assert accounts_in(rig.mark(51_000))[0].balance_change == D("-5")
    assert rig.wallet == wallet - 5
    assert rig.mark(51_000) == []


def test_numbers_never_repeat_even_when_the_clock_was_put_back() -> None:
    rig = with_a_stop()
    numbers = {order.order_id for order in rig.engine.all_orders(BTC)}
    trades = {fill.trade_id for fill in rig.engine.fills(BTC)}
    incomes = {income.transaction_id for income in rig.engine.incomes()}
    restarted(rig)
    rig.now -= 3_600_000
    rig.market(50_000)
    rig.sell("0.1")
    assert min({order.order_id for order in rig.engine.all_orders(BTC)} - numbers) > max(numbers)
    assert min(fill.trade_id for fill in rig.engine.fills(BTC)) > max(trades)
    assert min(income.transaction_id for income in rig.engine.incomes()) > max(incomes)


def test_terms_and_isolated_margin_are_taken_up() -> None:
    rig = Rig()
    rig.engine.set_margin_type(BTC, MarginType.ISOLATED, rig.tick())
    rig.engine.set_leverage(BTC, 7, rig.tick())
    rig.engine.set_leverage(ETH, 3, rig.tick())
    rig.buy("0.1")
    before = rig.position()
    restarted(rig)
    assert rig.position() == before
    assert (before.leverage, before.margin_type) == (7, MarginType.ISOLATED)
    assert rig.position(ETH).leverage == 3


def test_what_is_listed_no_more_is_gone_and_the_rest_goes_on() -> None:
    rig = with_a_stop()
    rig.market(2_000, ETH)
    rig.buy("0.1", symbol=ETH)
    again = Engine({ETH: INSTRUMENTS[ETH]}, FREE)
    again.recall(rig.engine.memory())
    assert [row.quantity for row in again.positions()] == [D("0.1")]
    assert again.open_orders() == []
    assert again.account().wallet_balance == rig.wallet


def test_an_account_that_has_begun_is_not_overwritten() -> None:
    rig = Rig()
    with pytest.raises(InvariantError):
        rig.engine.recall(rig.engine.memory())


def test_a_memory_that_cannot_be_read_is_said_in_one_sentence() -> None:
    document = render_memory(Rig().engine.memory())
    with pytest.raises(ConfigError, match="paper account"):
        parse_memory(document | {"wallets": {"USDT": "plenty"}})
