"""Wallets, isolated margin, funding and account queries."""

import pytest

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.engine.engine import Engine
from src.engine.margin import DEFAULT_BRACKETS, Fees
from tests.builders import NOW, an_instrument
from tests.engine.harness import BRACKETS, BTC, ETH, INSTRUMENTS, NO_FEES, D, EngineHarness, accounts_in

LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH
HOUR = 3_600_000


def isolated(money: int = 10_000, fees: Fees = NO_FEES) -> EngineHarness:
    harness = EngineHarness(fees, money=money)
    harness.engine.set_margin_type(BTC, MarginType.ISOLATED, harness.tick())
    return harness


def test_deposit_emits_update_and_income() -> None:
    harness = EngineHarness(money=0)

    (update,) = accounts_in(harness.engine.deposit("USDT", D("12.5"), harness.tick()))

    assert (update.reason, update.balances[0].change, update.positions) == ("DEPOSIT", D("12.5"), ())
    assert [(income.type, income.amount) for income in harness.engine.incomes()] == [("TRANSFER", D("12.5"))]


def test_used_margin_cannot_be_withdrawn() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")

    with pytest.raises(Rejected) as caught:
        harness.engine.deposit("USDT", D(-60), harness.tick())
    (update,) = accounts_in(harness.engine.deposit("USDT", D(-49), harness.tick()))

    assert caught.value.code == -2018
    assert (update.reason, harness.wallet) == ("WITHDRAW", D(251))


def test_deposit_with_more_than_eight_digits_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        EngineHarness().engine.deposit("USDT", D("0.000000001"), NOW)

    assert caught.value.code == -1111


def test_every_wallet_change_is_an_income() -> None:
    harness = EngineHarness(Fees())
    harness.buy("0.1")
    harness.move_market(50_500)
    harness.sell("0.1")

    incomes = harness.engine.incomes()

    assert [income.type for income in incomes] == ["TRANSFER", "COMMISSION", "REALIZED_PNL", "COMMISSION"]
    ids = [income.transaction_id for income in incomes]
    assert len(ids) == 4 and ids == sorted(set(ids))
    assert sum(income.amount for income in incomes) == harness.wallet


def test_account_totals() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    harness.submit(price=D(49_000), quantity=D("0.1"))
    harness.move_market(51_000)

    account = harness.engine.account()

    assert (account.wallet_balance, account.unrealized_pnl) == (D(10_000), D("99.99"))
    assert account.margin_balance == D("10099.99")
    assert account.initial_margin == 255
    assert account.maintenance_margin == D("25.5")
    assert account.available_balance == D("10099.99") - 255 - 245
    assert harness.engine.order_margin() == 245


def test_every_symbol_has_a_row_per_position_side() -> None:
    rows = EngineHarness().engine.positions()
    hedged = EngineHarness(hedge_mode=True).engine.positions()

    assert [(row.symbol, row.position_side) for row in rows] == [(BTC, BOTH), (ETH, BOTH)]
    assert [(row.symbol, row.position_side) for row in hedged] == [(BTC, LONG), (BTC, SHORT), (ETH, LONG), (ETH, SHORT)]
    assert (rows[1].mark_price, rows[1].leverage, rows[1].quantity) == (D(0), 20, D(0))


def test_closed_position_keeps_its_last_update_time() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    harness.sell("0.1")

    row = harness.position()

    assert (row.quantity, row.entry_price, row.liquidation_price, row.updated_at) == (D(0), D(0), D(0), harness.now)


def test_isolated_margin_is_released_in_proportion() -> None:
    harness = isolated()
    harness.buy("0.1")
    assert harness.position().isolated_margin == D("250.0005")
    assert harness.engine.balances()[0].cross_wallet_balance == D("9749.9995")

    harness.buy("0.1")
    assert harness.position().isolated_margin == D("500.001")
    harness.sell("0.05")
    assert harness.position().isolated_margin == D("375.00075")
    harness.sell("0.15")
    assert harness.position().isolated_margin == 0
    assert harness.engine.balances()[0].cross_wallet_balance == harness.wallet


def test_flipped_isolated_position_reserves_new_margin() -> None:
    harness = isolated()
    harness.buy("0.1")

    harness.sell("0.3")

    assert harness.position().isolated_margin == 500


def test_loss_beyond_released_margin_reduces_the_rest() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.quote(47_500, "47500.1")

    harness.sell("0.09")

    assert harness.position().isolated_margin == D("250.0005") - D("225.009")


def test_crossed_funding_update_has_no_position() -> None:
    harness = EngineHarness()
    harness.buy("0.1")

    (update,) = accounts_in(harness.engine.settle_funding(BTC, D("0.0001"), harness.tick()))

    assert (update.reason, update.balances[0].change, update.positions) == ("FUNDING_FEE", D("-0.5"), ())
    assert harness.wallet == D("9999.5")
    assert harness.engine.incomes()[-1].is_funding


def test_funding_changes_isolated_margin() -> None:
    harness = isolated()
    harness.sell("0.1")
    before = harness.position().isolated_margin

    (update,) = accounts_in(harness.engine.settle_funding(BTC, D("0.0001"), harness.tick()))

    assert update.positions[0].isolated_margin == before + D("0.5")


def test_funding_is_paid_once_after_its_announced_time() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    due = harness.now + HOUR
    harness.mark(50_000, rate="0.0002", next_funding_at=due)
    harness.now = due

    (update,) = accounts_in(harness.mark(50_100, rate="0.0009", next_funding_at=due))
    again = harness.mark(50_100, rate="0.0009", next_funding_at=due + HOUR)

    assert (update.balances[0].change, update.event_at) == (D(-1), due)
    assert again == []


def test_manually_settled_funding_is_not_due_again() -> None:
    harness = EngineHarness()
    harness.buy("0.1")
    due = harness.now + HOUR
    harness.mark(50_000, rate="0.0002", next_funding_at=due)
    harness.now = due
    harness.engine.settle_funding(BTC, D("0.0002"), due)

    assert harness.mark(50_000, next_funding_at=due + HOUR) == []


def test_assets_share_collateral_only_in_multi_assets_mode() -> None:
    instruments = {**INSTRUMENTS, "BTCUSDC": an_instrument(symbol="BTCUSDC", quote_asset="USDC")}
    harness = EngineHarness(instruments=instruments)
    harness.move_market(50_000, "BTCUSDC")
    with pytest.raises(Rejected) as caught:
        harness.buy("0.1", symbol="BTCUSDC")
    assert caught.value.code == -2019

    harness.engine.set_multi_assets(True)

    assert harness.buy("0.1", symbol="BTCUSDC").status is OrderStatus.FILLED
    assert harness.engine.account("USDC") == harness.engine.account("USDT")
    with pytest.raises(Rejected) as caught:
        harness.engine.set_multi_assets(False)
    assert caught.value.code == -4169


def test_brackets_from_table_function_or_default() -> None:
    default, computed = Engine(INSTRUMENTS, NO_FEES), Engine(INSTRUMENTS, NO_FEES, lambda _: BRACKETS[1:])
    partial = Engine(INSTRUMENTS, NO_FEES, {BTC: BRACKETS[1:]})

    with pytest.raises(Rejected):
        computed.set_leverage(ETH, 21, NOW)
    with pytest.raises(Rejected):
        partial.set_leverage(BTC, 21, NOW)
    for engine in (default, partial):
        assert engine.set_leverage(ETH, DEFAULT_BRACKETS[0].max_leverage, NOW)


def test_default_leverage_is_capped_by_the_symbol() -> None:
    engine = Engine(INSTRUMENTS, NO_FEES, lambda _: DEFAULT_BRACKETS[-2:])

    assert {row.leverage for row in engine.positions()} == {5}


def test_market_moves_without_orders_or_positions_emit_nothing() -> None:
    harness = EngineHarness()

    assert harness.move_market(40_000) == []
    assert harness.trade(40_000) == []
    assert harness.engine.settle_funding(BTC, D("0.01"), harness.tick()) == []


def test_untriggered_orders_use_no_margin() -> None:
    harness = EngineHarness(money=250)

    harness.submit(type=OrderType.STOP_MARKET, stop_price=D(51_000), side=Side.BUY, quantity=D(10))

    assert harness.engine.account().available_balance == 250
