"""A wallet of several assets: collateral, and fees and funding paid in another asset."""

import pytest

from src.domain.enums import MarginType, OrderStatus
from src.domain.errors import Rejected
from src.domain.positions import Income
from src.engine.engine import Engine
from src.engine.margin import Fees
from tests.builders import an_instrument
from tests.engine.harness import BTC, INSTRUMENTS, D, EngineHarness, accounts_in, fills_in

ASTER_SYMBOL = "ASTERUSDT"
WITH_ASTER = {
    **INSTRUMENTS,
    ASTER_SYMBOL: an_instrument(symbol=ASTER_SYMBOL, base_asset="ASTER"),
    "BTCUSD1": an_instrument(symbol="BTCUSD1", quote_asset="USD1"),
}
FEES = Fees(D("0.0002"), D("0.0004"))


def with_aster(amount: str, *, fees: Fees = FEES) -> EngineHarness:
    """10,000 USDT and this amount of ASTER, at 2 USDT each."""
    harness = EngineHarness(fees, instruments=WITH_ASTER)
    harness.mark("2", ASTER_SYMBOL)
    harness.engine.deposit("ASTER", D(amount), harness.tick())
    return harness


def wallets(engine: Engine) -> dict[str, object]:
    return {each.asset: each.wallet_balance for each in engine.balances()}


def incomes(harness: EngineHarness, income_type: str) -> list[Income]:
    return [each for each in harness.engine.incomes() if each.type == income_type]


def test_totals_are_of_one_asset_in_single_asset_mode() -> None:
    harness = with_aster("1000")

    assert harness.wallet == harness.engine.cross_wallet_balance() == 10_000
    assert harness.engine.asset_summary("ASTER").available_balance == 1_000


def test_totals_value_every_asset_in_multi_assets_mode() -> None:
    harness = with_aster("1000")
    harness.engine.deposit("USD1", D(500), harness.tick())
    harness.engine.set_multi_assets(True)

    assert harness.wallet == harness.engine.cross_wallet_balance() == 10_000 + 500 + D("1900")
    assert harness.engine.account().available_balance == D(12_400)
    harness.mark("4", ASTER_SYMBOL)
    assert harness.wallet == 10_000 + 500 + D("3800")


def test_asset_without_a_price_gives_no_margin() -> None:
    harness = EngineHarness(FEES)
    harness.engine.deposit("ASTER", D(1000), harness.tick())
    harness.engine.set_multi_assets(True)

    assert harness.wallet == 10_000
    assert harness.engine.asset_summary("ASTER").available_balance == 0


def test_part_of_an_asset_holds_only_its_own_positions() -> None:
    harness = with_aster("0.5")
    harness.move_market(50_000, "BTCUSD1")
    harness.engine.deposit("USD1", D(1000), harness.tick())
    harness.engine.set_multi_assets(True)
    assert harness.buy("0.1", symbol="BTCUSD1").status is OrderStatus.FILLED
    harness.move_market(50_100, "BTCUSD1")
    usdt, usd1 = (harness.engine.asset_summary(asset) for asset in ("USDT", "USD1"))

    assert usd1.unrealized_pnl == D("9.99")
    assert usdt.unrealized_pnl == usdt.initial_margin == 0
    assert harness.engine.account().unrealized_pnl == usd1.unrealized_pnl


def test_collateral_of_another_asset_prevents_a_liquidation() -> None:
    shared, separate = (with_aster("10000") for _ in range(2))
    shared.engine.set_multi_assets(True)
    for harness in (shared, separate):
        harness.engine.set_leverage(BTC, 100, harness.tick())
        harness.engine.deposit("USDT", D(-9_900), harness.tick())
        harness.buy("0.15")
        harness.move_market(49_300)

    assert (shared.held, separate.held) == (D("0.15"), D(0))


def test_fee_is_paid_in_another_asset() -> None:
    harness = with_aster("1000")
    harness.engine.set_payment_assets(fees="ASTER", funding=None)
    events = harness.submit_events(price=D(50_001))
    (fill,), (update,) = fills_in(events), accounts_in(events)

    assert (fill.commission_asset, fill.commission) == ("ASTER", D("1.000002"))
    assert [each.asset for each in update.balances] == ["USDT", "ASTER"]
    assert wallets(harness.engine) == {"USDT": 10_000, "ASTER": 1000 - fill.commission}
    assert [(each.asset, each.amount) for each in incomes(harness, "COMMISSION")] == [("ASTER", -fill.commission)]


@pytest.mark.parametrize("amount", ["0.1", "0.5"])
def test_fee_is_paid_in_the_quote_asset_if_the_other_is_used_up(amount: str) -> None:
    harness = with_aster(amount)
    harness.engine.set_payment_assets(fees="ASTER", funding=None)
    (fill,) = fills_in(harness.submit_events(price=D(50_001)))

    assert (fill.commission_asset, fill.commission) == ("USDT", D("2.000004"))


@pytest.mark.parametrize(("rate", "change"), [("0.001", "-2.5"), ("-0.001", "2.5")])
def test_funding_is_paid_in_another_asset(rate: str, change: str) -> None:
    harness = with_aster("1000", fees=Fees(D(0), D(0)))
    harness.engine.set_payment_assets(fees=None, funding="ASTER")
    harness.engine.set_margin_type(BTC, MarginType.ISOLATED, harness.tick())
    harness.buy("0.1")
    margin = harness.position().isolated_margin
    (update,) = accounts_in(harness.engine.settle_funding(BTC, D(rate), harness.tick()))

    assert ([each.asset for each in update.balances], update.balances[0].change) == (["ASTER"], D(change))
    assert wallets(harness.engine) == {"USDT": 10_000, "ASTER": 1000 + D(change)}
    assert harness.position().isolated_margin == margin


def test_no_more_of_an_asset_can_be_withdrawn_than_there_is() -> None:
    harness = with_aster("10")
    harness.engine.set_multi_assets(True)

    with pytest.raises(Rejected) as caught:
        harness.engine.deposit("ASTER", D(-11), harness.tick())
    assert caught.value.code == -2018
