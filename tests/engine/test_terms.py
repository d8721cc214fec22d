"""Changing modes, margin types, leverage and isolated margin."""

from collections.abc import Callable

import pytest

from src.domain.enums import MarginType, OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.domain.messages import LeverageChanged
from tests.engine.rig import BTC, D, Rig, accounts_in

BOTH = PositionSide.BOTH
ISOLATED = MarginType.ISOLATED


def code_of(act: Callable[[], object]) -> int:
    with pytest.raises(Rejected) as refusal:
        act()
    return refusal.value.code


def isolated(money: int = 10_000) -> Rig:
    rig = Rig(money=money)
    rig.engine.set_margin_type(BTC, ISOLATED, rig.tick())
    return rig


def move(rig: Rig, amount: str, kind: int) -> object:
    return rig.engine.change_position_margin(BTC, BOTH, D(amount), kind, rig.tick())


def test_the_position_mode_changes_while_nothing_is_open() -> None:
    rig = Rig()

    rig.engine.set_position_mode(True)

    assert rig.engine.hedge_mode
    assert code_of(lambda: rig.engine.set_position_mode(True)) == -4059


def test_the_position_mode_stays_while_orders_or_positions_are_open() -> None:
    rig = Rig()
    order = rig.submit()
    assert code_of(lambda: rig.engine.set_position_mode(True)) == -4067

    rig.engine.cancel(BTC, rig.tick(), order_id=order.order_id)
    rig.buy()
    assert code_of(lambda: rig.engine.set_position_mode(True)) == -4068


def test_multi_assets_mode_does_not_go_with_isolated_symbols() -> None:
    rig = isolated()
    assert code_of(lambda: rig.engine.set_multi_assets(True)) == -4167

    rig.engine.set_margin_type(BTC, MarginType.CROSSED, rig.tick())
    rig.engine.set_multi_assets(True)
    assert rig.engine.multi_assets_mode
    assert code_of(lambda: rig.engine.set_multi_assets(True)) == -4171
    assert code_of(lambda: rig.engine.set_margin_type(BTC, ISOLATED, rig.tick())) == -4168


def test_multi_assets_mode_stays_while_orders_are_open() -> None:
    rig = Rig()
    rig.submit()

    assert code_of(lambda: rig.engine.set_multi_assets(True)) == -4170


def test_the_margin_type_changes_while_nothing_is_open_there() -> None:
    rig = Rig()

    (update,) = accounts_in(rig.engine.set_margin_type(BTC, ISOLATED, rig.tick()))

    assert update.reason == "MARGIN_TYPE_CHANGE"
    assert rig.position().margin_type is ISOLATED
    assert code_of(lambda: rig.engine.set_margin_type(BTC, ISOLATED, rig.tick())) == -4046


def test_the_margin_type_stays_while_orders_or_positions_are_open() -> None:
    rig = Rig()
    order = rig.submit()
    assert code_of(lambda: rig.engine.set_margin_type(BTC, ISOLATED, rig.tick())) == -4047

    rig.engine.cancel(BTC, rig.tick(), order_id=order.order_id)
    rig.buy()
    assert code_of(lambda: rig.engine.set_margin_type(BTC, ISOLATED, rig.tick())) == -4048


def test_leverage_changes_and_is_told() -> None:
    rig = Rig()

    assert rig.engine.set_leverage(BTC, 50, rig.tick()) == [LeverageChanged(BTC, 50, rig.now)]
    assert rig.position().leverage == 50


@pytest.mark.parametrize("leverage", [0, -1, 101, 126])
def test_a_leverage_the_symbol_does_not_have_is_refused(leverage: int) -> None:
    assert code_of(lambda: Rig().engine.set_leverage(BTC, leverage, 1)) == -4028


def test_a_position_too_large_for_a_leverage_forbids_it() -> None:
    rig = Rig()
    rig.buy("1.1")

    assert code_of(lambda: rig.engine.set_leverage(BTC, 100, rig.tick())) == -2027


def test_a_lower_leverage_needs_the_margin_it_binds() -> None:
    rig = Rig(money=300)
    rig.buy("0.1")

    assert code_of(lambda: rig.engine.set_leverage(BTC, 10, rig.tick())) == -2028
    assert rig.position().leverage == 20


def test_an_open_isolated_position_keeps_at_least_its_leverage() -> None:
    rig = isolated()
    rig.buy("0.1")

    assert code_of(lambda: rig.engine.set_leverage(BTC, 19, rig.tick())) == -4161
    assert rig.engine.set_leverage(BTC, 25, rig.tick())


def test_margin_moves_to_an_isolated_position_and_back() -> None:
    rig = isolated()
    rig.buy("0.1")
    before = rig.position()

    move(rig, "100", 1)
    assert rig.position().isolated_margin == before.isolated_margin + 100
    assert rig.position().liquidation_price < before.liquidation_price

    (update,) = accounts_in(rig.engine.change_position_margin(BTC, BOTH, D("99.9"), 2, rig.tick()))
    assert update.reason == "MARGIN_TRANSFER"
    assert update.positions[0].isolated_margin == before.isolated_margin + D("0.1")
    assert rig.wallet == 10_000


def test_margin_that_cannot_move_stays() -> None:
    rig = isolated(money=300)
    assert code_of(lambda: move(rig, "1", 1)) == -4054

    rig.buy("0.1")

    assert code_of(lambda: move(rig, "50", 1)) == -4050
    assert code_of(lambda: move(rig, "1", 2)) == -4051
    assert code_of(lambda: move(rig, "0", 1)) == -4055
    assert code_of(lambda: move(rig, "0.000000001", 1)) == -4055
    assert code_of(lambda: move(rig, "1", 3)) == -1130


def test_margin_moves_to_isolated_positions_only() -> None:
    rig = Rig()
    rig.buy("0.1")

    assert code_of(lambda: move(rig, "1", 1)) == -4049
    rig.sell("0.1")
    assert code_of(lambda: move(rig, "1", 1)) == -4049


def test_a_closed_position_takes_no_margin() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.submit(type=OrderType.MARKET, side=Side.SELL)

    assert code_of(lambda: move(rig, "1", 1)) == -4054
