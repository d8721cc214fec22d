"""The wallet, isolated margin, funding, and what can be asked of them."""

import pytest

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side
from src.domain.errors import Rejected
from src.engine.costs import Costs
from src.engine.engine import Engine
from src.engine.margin import DEFAULT_BRACKETS
from tests.builders import NOW, an_instrument
from tests.engine.rig import BRACKETS, BTC, ETH, FREE, INSTRUMENTS, D, Rig, accounts_in

LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH
HOUR = 3_600_000


def isolated(money: int = 10_000, costs: Costs = FREE) -> Rig:
    rig = Rig(costs, money=money)
    rig.engine.set_margin_type(BTC, MarginType.ISOLATED, rig.tick())
    return rig


def test_a_deposit_is_told_and_an_income() -> None:
    rig = Rig(money=0)

    (update,) = accounts_in(rig.engine.deposit("USDT", D("12.5"), rig.tick()))

    assert (update.reason, update.balance_change, update.positions) == ("DEPOSIT", D("12.5"), ())
    assert [(income.type, income.amount) for income in rig.engine.incomes()] == [("TRANSFER", D("12.5"))]


def test_money_that_is_bound_cannot_be_withdrawn() -> None:
    rig = Rig(money=300)
    rig.buy("0.1")

    with pytest.raises(Rejected) as refusal:
        rig.engine.deposit("USDT", D(-60), rig.tick())
    (update,) = accounts_in(rig.engine.deposit("USDT", D(-49), rig.tick()))

    assert refusal.value.code == -2018
    assert (update.reason, rig.wallet) == ("WITHDRAW", D(251))


def test_money_finer_than_the_books_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        Rig().engine.deposit("USDT", D("0.000000001"), NOW)

    assert refusal.value.code == -1111


def test_every_change_of_the_wallet_is_an_income() -> None:
    rig = Rig(Costs())
    rig.buy("0.1")
    rig.market(50_500)
    rig.sell("0.1")

    incomes = rig.engine.incomes()

    assert [income.type for income in incomes] == ["TRANSFER", "COMMISSION", "REALIZED_PNL", "COMMISSION"]
    numbers = [income.transaction_id for income in incomes]
    assert len(numbers) == 4 and numbers == sorted(set(numbers))
    assert sum(income.amount for income in incomes) == rig.wallet


def test_the_account_in_totals() -> None:
    rig = Rig()
    rig.buy("0.1")
    rig.submit(price=D(49_000), quantity=D("0.1"))
    rig.market(51_000)

    account = rig.engine.account()

    assert (account.wallet_balance, account.unrealized_pnl) == (D(10_000), D("99.99"))
    assert account.margin_balance == D("10099.99")
    assert account.initial_margin == 255
    assert account.maintenance_margin == D("25.5")
    assert account.available_balance == D("10099.99") - 255 - 245
    assert rig.engine.order_margin() == 245


def test_every_symbol_has_a_row_in_every_slot() -> None:
    rows = Rig().engine.positions()
    hedged = Rig(hedge_mode=True).engine.positions()

    assert [(row.symbol, row.position_side) for row in rows] == [(BTC, BOTH), (ETH, BOTH)]
    assert [(row.symbol, row.position_side) for row in hedged] == [(BTC, LONG), (BTC, SHORT), (ETH, LONG), (ETH, SHORT)]
    assert (rows[1].mark_price, rows[1].leverage, rows[1].quantity) == (D(0), 20, D(0))


def test_a_row_tells_what_a_closed_position_was_last() -> None:
    rig = Rig()
    rig.buy("0.1")
    rig.sell("0.1")

    row = rig.position()

    assert (row.quantity, row.entry_price, row.liquidation_price, row.updated_at) == (D(0), D(0), D(0), rig.now)


def test_an_isolated_position_sets_its_margin_aside_and_frees_it_in_proportion() -> None:
    rig = isolated()
    rig.buy("0.1")
    assert rig.position().isolated_margin == D("250.0005")
    assert rig.engine.balances()[0].cross_wallet_balance == D("9749.9995")

    rig.buy("0.1")
    assert rig.position().isolated_margin == D("500.001")
    rig.sell("0.05")
    assert rig.position().isolated_margin == D("375.00075")
    rig.sell("0.15")
    assert rig.position().isolated_margin == 0
    assert rig.engine.balances()[0].cross_wallet_balance == rig.wallet


def test_a_turned_over_isolated_position_sets_margin_aside_anew() -> None:
    rig = isolated()
    rig.buy("0.1")

    rig.sell("0.3")

    assert rig.position().isolated_margin == 500


def test_a_loss_beyond_the_freed_part_is_paid_from_the_rest_of_the_margin() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.quote(47_500, "47500.1")

    rig.sell("0.09")

    assert rig.position().isolated_margin == D("250.0005") - D("225.009")


def test_funding_is_paid_by_a_crossed_position_without_naming_it() -> None:
    rig = Rig()
    rig.buy("0.1")

    (update,) = accounts_in(rig.engine.settle_funding(BTC, D("0.0001"), rig.tick()))

    assert (update.reason, update.balance_change, update.positions) == ("FUNDING_FEE", D("-0.5"), ())
    assert rig.wallet == D("9999.5")
    assert rig.engine.incomes()[-1].is_funding


def test_funding_is_received_by_a_short_and_changes_isolated_margin() -> None:
    rig = isolated()
    rig.sell("0.1")
    before = rig.position().isolated_margin

    (update,) = accounts_in(rig.engine.settle_funding(BTC, D("0.0001"), rig.tick()))

    assert update.positions[0].isolated_margin == before + D("0.5")


def test_funding_falls_due_once_when_its_announced_instant_has_passed() -> None:
    rig = Rig()
    rig.buy("0.1")
    due = rig.now + HOUR
    rig.mark(50_000, rate="0.0002", next_funding_at=due)
    rig.now = due

    (update,) = accounts_in(rig.mark(50_100, rate="0.0009", next_funding_at=due))
    again = rig.mark(50_100, rate="0.0009", next_funding_at=due + HOUR)

    assert (update.balance_change, update.event_at) == (D(-1), due)
    assert again == []


def test_funding_that_was_settled_by_hand_does_not_fall_due() -> None:
    rig = Rig()
    rig.buy("0.1")
    due = rig.now + HOUR
    rig.mark(50_000, rate="0.0002", next_funding_at=due)
    rig.now = due
    rig.engine.settle_funding(BTC, D("0.0002"), due)

    assert rig.mark(50_000, next_funding_at=due + HOUR) == []


def test_assets_back_one_another_only_in_multi_assets_mode() -> None:
    instruments = {**INSTRUMENTS, "BTCUSDC": an_instrument(symbol="BTCUSDC", quote_asset="USDC")}
    rig = Rig(instruments=instruments)
    rig.market(50_000, "BTCUSDC")
    with pytest.raises(Rejected) as refusal:
        rig.buy("0.1", symbol="BTCUSDC")
    assert refusal.value.code == -2019

    rig.engine.set_multi_assets(True)

    assert rig.buy("0.1", symbol="BTCUSDC").status is OrderStatus.FILLED
    assert rig.engine.account("USDC") == rig.engine.account("USDT")
    with pytest.raises(Rejected) as refusal:
        rig.engine.set_multi_assets(False)
    assert refusal.value.code == -4169


def test_brackets_come_from_a_table_or_a_function_or_the_default() -> None:
    default, asked = Engine(INSTRUMENTS, FREE), Engine(INSTRUMENTS, FREE, lambda _: BRACKETS[1:])
    partial = Engine(INSTRUMENTS, FREE, {BTC: BRACKETS[1:]})

    with pytest.raises(Rejected):
        asked.set_leverage(ETH, 21, NOW)
    with pytest.raises(Rejected):
        partial.set_leverage(BTC, 21, NOW)
    for engine in (default, partial):
        assert engine.set_leverage(ETH, DEFAULT_BRACKETS[0].max_leverage, NOW)


def test_a_symbol_with_less_leverage_than_usual_starts_with_its_own_highest() -> None:
    engine = Engine(INSTRUMENTS, FREE, lambda _: DEFAULT_BRACKETS[-2:])

    assert {row.leverage for row in engine.positions()} == {5}


def test_the_market_of_a_symbol_without_orders_or_positions_moves_nothing() -> None:
    rig = Rig()

    assert rig.market(40_000) == []
    assert rig.trade(40_000) == []
    assert rig.engine.settle_funding(BTC, D("0.01"), rig.tick()) == []


def test_what_conditional_orders_would_open_binds_no_margin_yet() -> None:
    rig = Rig(money=250)

    rig.submit(type=OrderType.STOP_MARKET, stop_price=D(51_000), side=Side.BUY, quantity=D(10))

    assert rig.engine.account().available_balance == 250
