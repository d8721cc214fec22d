"""Changing modes, margin types, leverage and isolated margin."""

from collections.abc import Callable

import pytest

from src.domain.enums import MarginType, OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.domain.events import LeverageChanged
from tests.engine.harness import BTC, D, EngineHarness, accounts_in

BOTH = PositionSide.BOTH
ISOLATED = MarginType.ISOLATED


def code_of(act: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as refusal:
        act()
    return refusal.value.code


def isolated(money: int = 10_000) -> EngineHarness:
    harness = EngineHarness(money=money)
    harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())
    return harness


def move(harness: EngineHarness, amount: str, kind: int) -> object:
    return harness.engine.change_position_margin(BTC, BOTH, D(amount), kind, harness.tick())


def test_the_position_mode_changes_while_nothing_is_open() -> None:
    harness = EngineHarness()

    harness.engine.set_position_mode(True)

    assert harness.engine.hedge_mode
    assert code_of(lambda: harness.engine.set_position_mode(True)) == -4059


def test_the_position_mode_stays_while_orders_or_positions_are_open() -> None:
    harness = EngineHarness()
    order = harness.submit()
    assert code_of(lambda: harness.engine.set_position_mode(True)) == -4067

    harness.engine.cancel(BTC, harness.tick(), order_id=order.order_id)
    harness.buy()
    assert code_of(lambda: harness.engine.set_position_mode(True)) == -4068


def test_multi_assets_mode_does_not_go_with_isolated_symbols() -> None:
    harness = isolated()
    assert code_of(lambda: harness.engine.set_multi_assets(True)) == -4167

    harness.engine.set_margin_type(BTC, MarginType.CROSSED, harness.tick())
    harness.engine.set_multi_assets(True)
    assert harness.engine.multi_assets_mode
    assert code_of(lambda: harness.engine.set_multi_assets(True)) == -4171
    assert code_of(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4168


def test_multi_assets_mode_stays_while_orders_are_open() -> None:
    harness = EngineHarness()
    harness.submit()

    assert code_of(lambda: harness.engine.set_multi_assets(True)) == -4170


def test_the_margin_type_changes_while_nothing_is_open_there() -> None:
    harness = EngineHarness()

    (update,) = accounts_in(harness.engine.set_margin_type(BTC, ISOLATED, harness.tick()))

    assert update.reason == "MARGIN_TYPE_CHANGE"
    assert harness.position().margin_type is ISOLATED
    assert code_of(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4046


def test_the_margin_type_stays_while_orders_or_positions_are_open() -> None:
    harness = EngineHarness()
    order = harness.submit()
    assert code_of(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4047

    harness.engine.cancel(BTC, harness.tick(), order_id=order.order_id)
    harness.buy()
    assert code_of(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4048


def test_leverage_change_is_reported() -> None:
    harness = EngineHarness()

    assert harness.engine.set_leverage(BTC, 50, harness.tick()) == [LeverageChanged(BTC, 50, harness.now)]
    assert harness.position().leverage == 50


@pytest.mark.parametrize("leverage", [0, -1, 101, 126])
def test_invalid_leverage_is_rejected(leverage: int) -> None:
    assert code_of(lambda: EngineHarness().engine.set_leverage(BTC, leverage, 1)) == -4028


def test_a_position_too_large_for_a_leverage_forbids_it() -> None:
    harness = EngineHarness()
    harness.buy("1.1")

    assert code_of(lambda: harness.engine.set_leverage(BTC, 100, harness.tick())) == -2027


def test_a_lower_leverage_needs_the_margin_it_binds() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")

    assert code_of(lambda: harness.engine.set_leverage(BTC, 10, harness.tick())) == -2028
    assert harness.position().leverage == 20


def test_an_open_isolated_position_keeps_at_least_its_leverage() -> None:
    harness = isolated()
    harness.buy("0.1")

    assert code_of(lambda: harness.engine.set_leverage(BTC, 19, harness.tick())) == -4161
    assert harness.engine.set_leverage(BTC, 25, harness.tick())


def test_margin_moves_to_an_isolated_position_and_back() -> None:
    harness = isolated()
    harness.buy("0.1")
    before = harness.position()

    move(harness, "100", 1)
    assert harness.position().isolated_margin == before.isolated_margin + 100
    assert harness.position().liquidation_price < before.liquidation_price

    (update,) = accounts_in(harness.engine.change_position_margin(BTC, BOTH, D("99.9"), 2, harness.tick()))
    assert update.reason == "MARGIN_TRANSFER"
    assert update.positions[0].isolated_margin == before.isolated_margin + D("0.1")
    assert harness.wallet == 10_000


def test_margin_that_cannot_move_stays() -> None:
    harness = isolated(money=300)
    assert code_of(lambda: move(harness, "1", 1)) == -4054

    harness.buy("0.1")

    assert code_of(lambda: move(harness, "50", 1)) == -4050
    assert code_of(lambda: move(harness, "1", 2)) == -4051
    assert code_of(lambda: move(harness, "0", 1)) == -4055
    assert code_of(lambda: move(harness, "0.000000001", 1)) == -4055
    assert code_of(lambda: move(harness, "1", 3)) == -1130


def test_margin_moves_to_isolated_positions_only() -> None:
    harness = EngineHarness()
    harness.buy("0.1")

    assert code_of(lambda: move(harness, "1", 1)) == -4049
    harness.sell("0.1")
    assert code_of(lambda: move(harness, "1", 1)) == -4049


def test_a_closed_position_takes_no_margin() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.submit(type=OrderType.MARKET, side=Side.SELL)

    assert code_of(lambda: move(harness, "1", 1)) == -4054
