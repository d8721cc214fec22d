"""Changes of modes, margin types, leverage and isolated margin."""

from collections.abc import Callable

import pytest

from src.domain.enums import MarginType, OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.domain.events import LeverageChanged
from tests.engine.harness import BTC, D, EngineHarness, accounts_in

BOTH = PositionSide.BOTH
ISOLATED = MarginType.ISOLATED


def rejection_code(action: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as caught:
        action()
    return caught.value.code


def isolated(money: int = 10_000) -> EngineHarness:
    harness = EngineHarness(money=money)
    harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())
    return harness


def change_margin(harness: EngineHarness, amount: str, kind: int) -> object:
    return harness.engine.change_position_margin(BTC, BOTH, D(amount), kind, harness.tick())


def test_position_mode_can_change_without_orders_or_positions() -> None:
    harness = EngineHarness()

    harness.engine.set_position_mode(True)

    assert harness.engine.hedge_mode
    assert rejection_code(lambda: harness.engine.set_position_mode(True)) == -4059


def test_position_mode_is_fixed_while_anything_is_open() -> None:
    harness = EngineHarness()
    order = harness.submit()
    assert rejection_code(lambda: harness.engine.set_position_mode(True)) == -4067

    harness.engine.cancel(BTC, harness.tick(), order_id=order.order_id)
    harness.buy()
    assert rejection_code(lambda: harness.engine.set_position_mode(True)) == -4068


def test_multi_assets_mode_excludes_isolated_symbols() -> None:
    harness = isolated()
    assert rejection_code(lambda: harness.engine.set_multi_assets(True)) == -4167

    harness.engine.set_margin_type(BTC, MarginType.CROSSED, harness.tick())
    harness.engine.set_multi_assets(True)
    assert harness.engine.multi_assets_mode
    assert rejection_code(lambda: harness.engine.set_multi_assets(True)) == -4171
    assert rejection_code(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4168


def test_multi_assets_mode_is_fixed_while_orders_are_open() -> None:
    harness = EngineHarness()
    harness.submit()

    assert rejection_code(lambda: harness.engine.set_multi_assets(True)) == -4170


def test_margin_type_can_change_without_orders_or_positions() -> None:
    harness = EngineHarness()

    (update,) = accounts_in(harness.engine.set_margin_type(BTC, ISOLATED, harness.tick()))

    assert update.reason == "MARGIN_TYPE_CHANGE"
    assert harness.position().margin_type is ISOLATED
    assert rejection_code(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4046


def test_margin_type_is_fixed_while_anything_is_open() -> None:
    harness = EngineHarness()
    order = harness.submit()
    assert rejection_code(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4047

    harness.engine.cancel(BTC, harness.tick(), order_id=order.order_id)
    harness.buy()
    assert rejection_code(lambda: harness.engine.set_margin_type(BTC, ISOLATED, harness.tick())) == -4048


def test_leverage_change_is_reported() -> None:
    harness = EngineHarness()

    assert harness.engine.set_leverage(BTC, 50, harness.tick()) == [LeverageChanged(BTC, 50, harness.now)]
    assert harness.position().leverage == 50


@pytest.mark.parametrize("leverage", [0, -1, 101, 126])
def test_invalid_leverage_is_rejected(leverage: int) -> None:
    assert rejection_code(lambda: EngineHarness().engine.set_leverage(BTC, leverage, 1)) == -4028


def test_leverage_too_high_for_the_position_is_rejected() -> None:
    harness = EngineHarness()
    harness.buy("1.1")

    assert rejection_code(lambda: harness.engine.set_leverage(BTC, 100, harness.tick())) == -2027


def test_lower_leverage_without_enough_margin_is_rejected() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")

    assert rejection_code(lambda: harness.engine.set_leverage(BTC, 10, harness.tick())) == -2028
    assert harness.position().leverage == 20


def test_leverage_of_an_isolated_position_cannot_be_lowered() -> None:
    harness = isolated()
    harness.buy("0.1")

    assert rejection_code(lambda: harness.engine.set_leverage(BTC, 19, harness.tick())) == -4161
    assert harness.engine.set_leverage(BTC, 25, harness.tick())


def test_isolated_margin_can_be_added_and_removed() -> None:
    harness = isolated()
    harness.buy("0.1")
    before = harness.position()

    change_margin(harness, "100", 1)
    assert harness.position().isolated_margin == before.isolated_margin + 100
    assert harness.position().liquidation_price < before.liquidation_price

    (update,) = accounts_in(harness.engine.change_position_margin(BTC, BOTH, D("99.9"), 2, harness.tick()))
    assert update.reason == "MARGIN_TRANSFER"
    assert update.positions[0].isolated_margin == before.isolated_margin + D("0.1")
    assert harness.wallet == 10_000


def test_invalid_margin_changes_are_rejected() -> None:
    harness = isolated(money=300)
    assert rejection_code(lambda: change_margin(harness, "1", 1)) == -4054

    harness.buy("0.1")

    assert rejection_code(lambda: change_margin(harness, "50", 1)) == -4050
    assert rejection_code(lambda: change_margin(harness, "1", 2)) == -4051
    assert rejection_code(lambda: change_margin(harness, "0", 1)) == -4055
    assert rejection_code(lambda: change_margin(harness, "0.000000001", 1)) == -4055
    assert rejection_code(lambda: change_margin(harness, "1", 3)) == -1130


def test_margin_of_a_crossed_position_cannot_be_changed() -> None:
    harness = EngineHarness()
    harness.buy("0.1")

    assert rejection_code(lambda: change_margin(harness, "1", 1)) == -4049
    harness.sell("0.1")
    assert rejection_code(lambda: change_margin(harness, "1", 1)) == -4049


def test_margin_of_a_closed_position_cannot_be_changed() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.submit(type=OrderType.MARKET, side=Side.SELL)

    assert rejection_code(lambda: change_margin(harness, "1", 1)) == -4054
