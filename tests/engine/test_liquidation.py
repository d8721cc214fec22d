"""Margin calls, liquidations and payments of the insurance fund."""

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side, WorkingType
from src.domain.events import MarginCall
from tests.builders import an_instrument
from tests.engine.harness import BTC, ETH, D, EngineHarness, accounts_in, fills_in, orders_in

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
WIDE = {symbol: an_instrument(symbol=symbol, liquidation_fee=D("0.01")) for symbol in (BTC, ETH)}
CHEAP = {symbol: an_instrument(symbol=symbol, liquidation_fee=D("0.001")) for symbol in (BTC, ETH)}


def isolated(money: int = 1_000) -> EngineHarness:
    harness = EngineHarness(money=money, instruments=WIDE)
    harness.engine.set_margin_type(BTC, MarginType.ISOLATED, harness.tick())
    return harness


def test_long_is_liquidated_at_its_liquidation_price() -> None:
    harness = isolated()
    harness.buy("0.1")
    price = harness.position().liquidation_price

    harness.move_market(str(price + 1))
    assert harness.held == D("0.1")
    harness.move_market(str(price - 1))
    assert harness.held == 0


def test_short_is_liquidated_at_its_liquidation_price() -> None:
    harness = EngineHarness(money=300)
    harness.sell("0.1")
    price = harness.position().liquidation_price

    harness.move_market(str((price - 1).quantize(D("0.1"))))
    assert harness.held == D("-0.1")
    harness.move_market(str((price + 1).quantize(D("0.1"))))
    assert harness.held == 0


def test_liquidation_is_reported_as_an_exchange_order() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.quote(47_700, "47700.1")

    events = harness.mark(47_700)

    accepted, filled = orders_in(events)
    assert accepted.status is OrderStatus.NEW
    assert filled.client_order_id.startswith("autoclose-")
    assert (filled.side, filled.type, filled.status) == (Side.SELL, OrderType.LIMIT, OrderStatus.FILLED)
    assert harness.engine.force_orders() == [harness.order(filled)]
    assert accounts_in(events)[0].positions[0].position.quantity == 0


def test_liquidation_fee_is_capped_by_the_remaining_margin() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.quote(47_700, "47700.1")

    (fill,) = fills_in(harness.mark(47_700))

    assert fill.realized_pnl == D("-230.01")
    assert fill.commission == D("250.0005") - D("230.01")
    assert harness.wallet == 1_000 - D("250.0005")
    assert harness.engine.incomes()[-1].type == "INSURANCE_CLEAR"


def test_liquidation_fee_is_charged_in_full_when_covered() -> None:
    harness = isolated(10_000)
    harness.engine.set_leverage(BTC, 5, harness.tick())
    harness.buy("0.1")
    harness.quote(40_300, "40300.1")
    harness.engine.change_position_margin(BTC, PositionSide.BOTH, D(1), 1, harness.tick())

    (fill,) = fills_in(harness.mark(40_150))

    assert fill.commission == min(D("40.3"), D("1001.002") + fill.realized_pnl)


def test_insurance_fund_pays_loss_beyond_isolated_margin() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.quote(45_000, "45000.1")

    events = harness.mark(45_000)

    (fill,) = fills_in(events)
    assert (fill.realized_pnl, fill.commission) == (D("-500.01"), D(0))
    assert (accounts_in(events)[-1].reason, accounts_in(events)[-1].balances[0].change) == (
        "INSURANCE_CLEAR",
        D("250.0095"),
    )
    assert harness.wallet == 1_000 - D("250.0005")
    assert sum(income.amount for income in harness.engine.incomes()) == harness.wallet


def test_crossed_wallet_never_goes_below_zero() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")

    harness.move_market(40_000)

    assert (harness.held, harness.wallet) == (D(0), D(0))


def test_largest_maintenance_margin_is_liquidated_first() -> None:
    harness = EngineHarness(money=2_500, instruments=CHEAP)
    harness.move_market(3_000, ETH)
    harness.buy("0.9")
    harness.buy("0.1", symbol=ETH)

    harness.move_market(47_450)

    assert harness.held == 0
    assert harness.position(ETH).quantity == D("0.1")
    assert harness.wallet > 0


def test_all_crossed_positions_are_liquidated_without_equity() -> None:
    harness = EngineHarness(money=2_500, instruments=WIDE)
    harness.move_market(3_000, ETH)
    harness.buy("0.9")
    harness.buy("0.1", symbol=ETH)

    harness.move_market(40_000)

    assert (harness.held, harness.position(ETH).quantity, harness.wallet) == (D(0), D(0), D(0))
    assert [order.symbol for order in harness.engine.force_orders()] == [BTC, ETH]


def test_liquidation_expires_resting_orders_but_not_stops() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")
    target = harness.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    take_profit = harness.submit(type=OrderType.TAKE_PROFIT_MARKET, side=Side.SELL, stop_price=D(52_000))

    harness.move_market(47_000)

    assert harness.status(target) is OrderStatus.EXPIRED
    assert harness.status(take_profit) is OrderStatus.NEW


def test_stop_triggers_before_liquidation_at_the_same_mark() -> None:
    harness = EngineHarness(money=300)
    harness.buy("0.1")
    a_stop = {"type": OrderType.STOP_MARKET, "stop_price": D(49_000), "close_position": True, "quantity": None}
    harness.submit(side=Side.SELL, working_type=WorkingType.MARK_PRICE, **a_stop)
    harness.quote(48_000, "48000.1")

    harness.mark(46_000)

    assert (harness.held, harness.engine.force_orders()) == (D(0), [])


def test_liquidation_without_a_book_fills_at_the_mark() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.quote(0, 0, "0", "0")

    (fill,) = fills_in(harness.mark(47_000))

    assert (fill.price, fill.quantity) == (D(47_000), D("0.1"))


def test_liquidation_larger_than_the_book_closes_everything() -> None:
    harness = EngineHarness(money=60_000, instruments={BTC: an_instrument(tick=D(10), min_price=D(10))})
    harness.buy("19")
    harness.quote(20, 30, bid_quantity="0.001")

    harness.mark(30)

    assert harness.held == 0
    assert harness.wallet >= 0


def test_hedge_mode_liquidates_isolated_sides_separately() -> None:
    harness = EngineHarness(money=2_000, hedge_mode=True)
    harness.engine.set_margin_type(BTC, MarginType.ISOLATED, harness.tick())
    harness.buy("0.1", position_side=LONG)
    harness.sell("0.1", position_side=SHORT)
    target = harness.submit(side=Side.BUY, price=D(46_000), position_side=SHORT, quantity=D("0.1"))

    harness.move_market(47_700)

    assert harness.position(BTC, LONG).quantity == 0
    assert harness.position(BTC, SHORT).quantity == D("-0.1")
    assert harness.status(target) is OrderStatus.NEW


def test_perfect_crossed_hedge_has_no_lower_liquidation_price() -> None:
    harness = EngineHarness(hedge_mode=True)
    harness.buy("0.1", position_side=LONG)
    harness.sell("0.1", position_side=SHORT)

    harness.move_market(47_000)

    assert harness.position(BTC, LONG).quantity == D("0.1")
    assert harness.position(BTC, LONG).liquidation_price > 47_000


def test_margin_call_repeats_only_after_recovery() -> None:
    harness = isolated()
    harness.buy("0.1")

    calls = [harness.move_market(price) for price in ("47_770", "47_760", "49_000", "47_770")]

    assert [bool(each) for each in calls] == [True, False, False, True]
    assert calls[0] == [MarginCall(((BTC, PositionSide.BOTH),), harness.now - 6)]


def test_funding_can_cause_a_liquidation() -> None:
    harness = isolated()
    harness.buy("0.1")
    harness.move_market(47_770)

    harness.engine.settle_funding(BTC, D("0.005"), harness.tick())

    assert harness.held == 0
    assert harness.wallet == 1_000 - D("250.0005")
