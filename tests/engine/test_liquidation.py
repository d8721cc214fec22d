"""Margin calls, liquidations and what the insurance fund pays."""

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side, WorkingType
from src.domain.messages import MarginCall
from tests.builders import an_instrument
from tests.engine.rig import BTC, ETH, D, Rig, accounts_in, fills_in, orders_in

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
WIDE = {symbol: an_instrument(symbol=symbol, liquidation_fee=D("0.01")) for symbol in (BTC, ETH)}
CHEAP = {symbol: an_instrument(symbol=symbol, liquidation_fee=D("0.001")) for symbol in (BTC, ETH)}


def isolated(money: int = 1_000) -> Rig:
    rig = Rig(money=money, instruments=WIDE)
    rig.engine.set_margin_type(BTC, MarginType.ISOLATED, rig.tick())
    return rig


def test_a_liquidation_price_is_where_it_happens() -> None:
    rig = isolated()
    rig.buy("0.1")
    price = rig.position().liquidation_price

    rig.market(str(price + 1))
    assert rig.held == D("0.1")
    rig.market(str(price - 1))
    assert rig.held == 0


def test_a_short_is_liquidated_above() -> None:
    rig = Rig(money=300)
    rig.sell("0.1")
    price = rig.position().liquidation_price

    rig.market(str((price - 1).quantize(D("0.1"))))
    assert rig.held == D("-0.1")
    rig.market(str((price + 1).quantize(D("0.1"))))
    assert rig.held == 0


def test_a_liquidation_is_told_as_an_order_of_the_exchange() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.quote(47_700, "47700.1")

    events = rig.mark(47_700)

    accepted, filled = orders_in(events)
    assert accepted.status is OrderStatus.NEW
    assert filled.client_order_id.startswith("autoclose-")
    assert (filled.side, filled.type, filled.status) == (Side.SELL, OrderType.LIMIT, OrderStatus.FILLED)
    assert rig.engine.force_orders() == [rig.order(filled)]
    assert accounts_in(events)[0].positions[0].position.quantity == 0


def test_the_fee_of_a_liquidation_takes_no_more_than_the_margin_that_is_left() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.quote(47_700, "47700.1")

    (fill,) = fills_in(rig.mark(47_700))

    assert fill.realized_pnl == D("-230.01")
    assert fill.commission == D("250.0005") - D("230.01")
    assert rig.wallet == 1_000 - D("250.0005")
    assert rig.engine.incomes()[-1].type == "INSURANCE_CLEAR"


def test_a_fee_that_the_margin_covers_is_taken_whole() -> None:
    rig = isolated(10_000)
    rig.engine.set_leverage(BTC, 5, rig.tick())
    rig.buy("0.1")
    rig.quote(40_300, "40300.1")
    rig.engine.change_position_margin(BTC, PositionSide.BOTH, D(1), 1, rig.tick())

    (fill,) = fills_in(rig.mark(40_150))

    assert fill.commission == min(D("40.3"), D("1001.002") + fill.realized_pnl)


def test_the_insurance_fund_pays_what_is_lost_beyond_an_isolated_margin() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.quote(45_000, "45000.1")

    events = rig.mark(45_000)

    (fill,) = fills_in(events)
    assert (fill.realized_pnl, fill.commission) == (D("-500.01"), D(0))
    assert (accounts_in(events)[-1].reason, accounts_in(events)[-1].balance_change) == (
        "INSURANCE_CLEAR",
        D("250.0095"),
    )
    assert rig.wallet == 1_000 - D("250.0005")
    assert sum(income.amount for income in rig.engine.incomes()) == rig.wallet


def test_a_crossed_account_that_lost_everything_is_left_with_nothing_and_not_less() -> None:
    rig = Rig(money=300)
    rig.buy("0.1")

    rig.market(40_000)

    assert (rig.held, rig.wallet) == (D(0), D(0))


def test_the_position_that_needs_most_falls_first_and_the_rest_may_stay() -> None:
    rig = Rig(money=2_500, instruments=CHEAP)
    rig.market(3_000, ETH)
    rig.buy("0.9")
    rig.buy("0.1", symbol=ETH)

    rig.market(47_450)

    assert rig.held == 0
    assert rig.position(ETH).quantity == D("0.1")
    assert rig.wallet > 0


def test_all_crossed_positions_fall_where_nothing_is_left() -> None:
    rig = Rig(money=2_500, instruments=WIDE)
    rig.market(3_000, ETH)
    rig.buy("0.9")
    rig.buy("0.1", symbol=ETH)

    rig.market(40_000)

    assert (rig.held, rig.position(ETH).quantity, rig.wallet) == (D(0), D(0), D(0))
    assert [order.symbol for order in rig.engine.force_orders()] == [BTC, ETH]


def test_resting_orders_end_before_a_liquidation_and_stops_stay() -> None:
    rig = Rig(money=300)
    rig.buy("0.1")
    target = rig.submit(side=Side.SELL, price=D(51_000), reduce_only=True)
    take_profit = rig.submit(type=OrderType.TAKE_PROFIT_MARKET, side=Side.SELL, stop_price=D(52_000))

    rig.market(47_000)

    assert rig.status(target) is OrderStatus.EXPIRED
    assert rig.status(take_profit) is OrderStatus.NEW


def test_a_stop_comes_before_a_liquidation_at_the_same_mark() -> None:
    rig = Rig(money=300)
    rig.buy("0.1")
    a_stop = {"type": OrderType.STOP_MARKET, "stop_price": D(49_000), "close_position": True, "quantity": None}
    rig.submit(side=Side.SELL, working_type=WorkingType.MARK_PRICE, **a_stop)
    rig.quote(48_000, "48000.1")

    rig.mark(46_000)

    assert (rig.held, rig.engine.force_orders()) == (D(0), [])


def test_without_a_book_a_liquidation_happens_at_the_mark() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.quote(0, 0, "0", "0")

    (fill,) = fills_in(rig.mark(47_000))

    assert (fill.price, fill.quantity) == (D(47_000), D("0.1"))


def test_a_liquidation_larger_than_any_book_still_closes_everything() -> None:
    rig = Rig(money=60_000, instruments={BTC: an_instrument(tick=D(10), min_price=D(10))})
    rig.buy("19")
    rig.quote(20, 30, bid_quantity="0.001")

    rig.mark(30)

    assert rig.held == 0
    assert rig.wallet >= 0


def test_in_hedge_mode_isolated_slots_fall_alone() -> None:
    rig = Rig(money=2_000, hedge_mode=True)
    rig.engine.set_margin_type(BTC, MarginType.ISOLATED, rig.tick())
    rig.buy("0.1", position_side=LONG)
    rig.sell("0.1", position_side=SHORT)
    target = rig.submit(side=Side.BUY, price=D(46_000), position_side=SHORT, quantity=D("0.1"))

    rig.market(47_700)

    assert rig.position(BTC, LONG).quantity == 0
    assert rig.position(BTC, SHORT).quantity == D("-0.1")
    assert rig.status(target) is OrderStatus.NEW


def test_a_perfect_crossed_hedge_has_no_price_below_that_takes_it() -> None:
    rig = Rig(hedge_mode=True)
    rig.buy("0.1", position_side=LONG)
    rig.sell("0.1", position_side=SHORT)

    rig.market(47_000)

    assert rig.position(BTC, LONG).quantity == D("0.1")
    assert rig.position(BTC, LONG).liquidation_price > 47_000


def test_a_margin_call_comes_once_and_again_only_after_recovery() -> None:
    rig = isolated()
    rig.buy("0.1")

    calls = [rig.market(price) for price in ("47_770", "47_760", "49_000", "47_770")]

    assert [bool(each) for each in calls] == [True, False, False, True]
    assert calls[0] == [MarginCall(((BTC, PositionSide.BOTH),), rig.now - 6)]


def test_funding_can_be_what_a_margin_does_not_carry() -> None:
    rig = isolated()
    rig.buy("0.1")
    rig.market(47_770)

    rig.engine.settle_funding(BTC, D("0.005"), rig.tick())

    assert rig.held == 0
    assert rig.wallet == 1_000 - D("250.0005")
