"""A restored account behaves exactly like the account it was saved from."""

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
from src.domain.events import MarginCall
from src.domain.positions import PositionReport
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.exchange.paper import parse_account_state, render_account_state
from tests.engine.harness import BRACKETS, BTC, ETH, INSTRUMENTS, NO_FEES, D, EngineHarness, accounts_in, fills_in
from tests.engine.test_invariants import RandomTrading

ACTIONS = {
    *{"on_quote", "on_mark", "on_trade", "on_depth", "settle_funding", "submit", "cancel", "deposit"},
    *{"set_margin_type", "set_leverage", "change_position_margin"},
}


def restored(engine: Engine, fees: Fees = NO_FEES) -> Engine:
    """Return a new engine with the account of another, passed through JSON text as by the database."""
    new_engine = Engine(INSTRUMENTS, fees, {BTC: BRACKETS, ETH: BRACKETS})
    new_engine.restore(parse_account_state(json.loads(json.dumps(render_account_state(engine.save())))))
    return new_engine


def restarted(harness: EngineHarness) -> EngineHarness:
    harness.engine = restored(harness.engine)
    return harness


def visible_state(engine: Engine) -> tuple[object, ...]:
    """Everything that can be queried, without history such as the last trade of a flat position."""
    return (
        engine.account(),
        engine.balances(),
        engine.open_orders(),
        [_without_history(row) for row in engine.positions()],
    )


def _without_history(row: PositionReport) -> PositionReport:
    return row if row.quantity else replace(row, updated_at=0)


class EnginePair:
    """Two engines that receive the same calls; the second must behave like the first."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self.first = first
        self.second = second

    def __getattr__(self, name: str) -> Any:
        if name not in ACTIONS:
            return getattr(self.first, name)

        def call_both(*values: Any, **named: Any) -> object:
            one, two = (_outcome(getattr(each, name), *values, **named) for each in (self.first, self.second))
            assert _without_warnings(one) == _without_warnings(two)
            assert visible_state(self.first) == visible_state(self.second)
            if isinstance(one, Rejected):
                raise one
            return one

        return call_both


def _outcome(action: Callable[..., object], *values: Any, **named: Any) -> object:
    try:
        return action(*values, **named)
    except Rejected as error:
        return error


def _without_warnings(outcome: Any) -> object:
    """Drop margin calls: a restored account does not remember them."""
    if isinstance(outcome, Rejected):
        return outcome.code
    return [event for event in outcome if not isinstance(event, MarginCall)]


class TradingWithRestarts(RandomTrading):
    """Random trading; at random moments the account is restored into a second engine, which then runs in parallel."""

    @rule()
    def restart(self) -> None:
        first = getattr(self.engine, "first", self.engine)
        second = restored(first, Fees(D("0.00013"), D("0.00037"), D("0.001")))
        second._state.books = deepcopy(first._state.books)  # the market is not saved
        assert visible_state(first) == visible_state(second)
        self.engine = cast(Engine, EnginePair(first, second))


TestTradingWithRestarts = TradingWithRestarts.TestCase
TestTradingWithRestarts.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def with_a_stop(working_type: WorkingType = WorkingType.CONTRACT_PRICE) -> EngineHarness:
    """Long 0.1 at 50,000.1 with a closePosition stop at 49,000."""
    harness = EngineHarness()
    harness.buy("0.1")
    stop = {"type": OrderType.STOP_MARKET, "side": Side.SELL, "stop_price": D(49_000), "quantity": None}
    harness.submit(**stop, close_position=True, working_type=working_type)
    return harness


def test_restored_account_is_unchanged_before_any_price() -> None:
    harness = with_a_stop()
    before = visible_state(harness.engine)
    assert visible_state(restarted(harness).engine) == before


@pytest.mark.parametrize("working_type", WorkingType)
def test_stop_passed_while_down_triggers_at_market(working_type: WorkingType) -> None:
    harness = restarted(with_a_stop(working_type))
    [fill] = fills_in(harness.move_market(40_000))  # far beyond the price limit around the saved mark
    assert (fill.price, fill.quantity) == (D(40_000), D("0.1"))
    assert harness.held == 0


def test_stop_stays_when_the_price_has_recovered() -> None:
    harness = restarted(with_a_stop())
    assert fills_in(harness.move_market(50_500)) == []
    assert [order.status for order in harness.engine.open_orders()] == [OrderStatus.NEW]


def test_announced_funding_is_paid_at_the_first_mark() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    harness.mark(50_000, rate="0.001", next_funding_at=harness.now + 10)
    harness.now += 100
    wallet = restarted(harness).wallet
    assert accounts_in(harness.mark(51_000))[0].balances[0].change == D("-5")
    assert harness.wallet == wallet - 5
    assert harness.mark(51_000) == []


def test_ids_never_repeat_after_a_clock_step_back() -> None:
    harness = with_a_stop()
    orders = {order.order_id for order in harness.engine.all_orders(BTC)}
    trades = {fill.trade_id for fill in harness.engine.fills(BTC)}
    incomes = {income.transaction_id for income in harness.engine.incomes()}
    restarted(harness)
    harness.now -= 3_600_000
    harness.move_market(50_000)
    harness.sell("0.1")
    assert min({order.order_id for order in harness.engine.all_orders(BTC)} - orders) > max(orders)
    assert min(fill.trade_id for fill in harness.engine.fills(BTC)) > max(trades)
    assert min(income.transaction_id for income in harness.engine.incomes()) > max(incomes)


def test_symbol_config_and_isolated_margin_are_restored() -> None:
    harness = EngineHarness()
    harness.engine.set_margin_type(BTC, MarginType.ISOLATED, harness.tick())
    harness.engine.set_leverage(BTC, 7, harness.tick())
    harness.engine.set_leverage(ETH, 3, harness.tick())
    harness.buy("0.1")
    before = harness.position()
    restarted(harness)
    assert harness.position() == before
    assert (before.leverage, before.margin_type) == (7, MarginType.ISOLATED)
    assert harness.position(ETH).leverage == 3


def test_delisted_symbols_are_dropped_on_restore() -> None:
    harness = with_a_stop()
    harness.move_market(2_000, ETH)
    harness.buy("0.1", symbol=ETH)
    new_engine = Engine({ETH: INSTRUMENTS[ETH]}, NO_FEES)
    new_engine.restore(harness.engine.save())
    assert [row.quantity for row in new_engine.positions()] == [D("0.1")]
    assert new_engine.open_orders() == []
    assert new_engine.account().wallet_balance == harness.wallet


def test_restore_into_a_used_account_fails() -> None:
    harness = EngineHarness()
    with pytest.raises(InvariantError):
        harness.engine.restore(harness.engine.save())


def test_unreadable_account_state_is_a_config_error() -> None:
    document = render_account_state(EngineHarness().engine.save())
    with pytest.raises(ConfigError, match="paper account"):
        parse_account_state(document | {"wallets": {"USDT": "plenty"}})
