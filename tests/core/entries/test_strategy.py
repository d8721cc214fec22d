from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.entries.entry_context import EntryContext, EntryPlan
from src.core.entries.strategy import check_signal, entry_price, offset_price, plan_entry
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce, TradeSide, TradingState
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_instrument, some_settings

D = Decimal


def an_entry_context(
    global_changes: dict[str, Any] | None = None, symbol_changes: dict[str, Any] | None = None, **changes: Any
) -> EntryContext:
    """A liquidated long with fresh prices that passes every signal gate."""
    settings = some_settings(global_changes, **(symbol_changes or {}))
    entry_context = EntryContext(
        liquidation=a_liquidation(),
        entry_side=Side.BUY,
        now_ms=NOW + 100,
        settings=settings.globals_,
        symbol_settings=settings.symbols["BTCUSDT"],
        trading_state=TradingState.ACTIVE,
        trading_reason="",
        window_volume=D(60_000),
        threshold=settings.symbols["BTCUSDT"].threshold_for(Side.BUY),
        last_entry_at=None,
        instrument=an_instrument(),
        quote=a_quote(),
        mark=a_mark(),
    )
    return replace(entry_context, **changes)


def rejecting_gate(entry_context: EntryContext) -> Gate | None:
    skip = check_signal(entry_context)
    return None if skip is None else skip.gate


def planned(entry_context: EntryContext) -> EntryPlan:
    plan = plan_entry(entry_context)
    assert isinstance(plan, EntryPlan)
    return plan


def test_liquidation_passes_every_gate() -> None:
    assert rejecting_gate(an_entry_context()) is None


def test_account_mismatch_is_not_traded() -> None:
    assert rejecting_gate(an_entry_context(account_mismatch="leverage is 20 at the exchange")) is Gate.CONFIGURED


def test_halted_bot_gives_reason() -> None:
    skip = check_signal(an_entry_context(trading_state=TradingState.HALTED, trading_reason="halted by the operator"))
    assert skip is not None
    assert (skip.gate, skip.reason) == (Gate.TRADING_STATE, "halted by the operator")


def test_old_event_is_not_traded() -> None:
    assert rejecting_gate(an_entry_context(now_ms=NOW + 5_000)) is None
    assert rejecting_gate(an_entry_context(now_ms=NOW + 5_001)) is Gate.FRESH_EVENT


@pytest.mark.parametrize(("wanted", "gate"), [("BUY", None), ("SELL", Gate.TRADE_SIDE), ("OPPOSITE", None)])
def test_fixed_trade_side_allows_only_itself(wanted: str, gate: Gate | None) -> None:
    assert rejecting_gate(an_entry_context(symbol_changes={"trade_side": TradeSide(wanted).value})) is gate


def test_equal_volume_reaches_threshold() -> None:
    assert rejecting_gate(an_entry_context(window_volume=D(50_000))) is None
    assert rejecting_gate(an_entry_context(window_volume=D("49999.99"))) is Gate.THRESHOLD


def test_threshold_per_side() -> None:
    entry_context = an_entry_context(symbol_changes={"volume_threshold_long": 70_000})
    assert rejecting_gate(entry_context) is Gate.THRESHOLD
    assert entry_context.threshold == D(70_000)


def test_side_cools_down_after_entry() -> None:
    assert rejecting_gate(an_entry_context(last_entry_at=NOW - 59_999)) is Gate.COOLDOWN
    assert rejecting_gate(an_entry_context(last_entry_at=NOW - 60_000)) is None
    assert rejecting_gate(an_entry_context({"cooldown_sec": 0}, last_entry_at=NOW)) is None


def test_fill_far_from_mark_is_not_traded() -> None:
    assert rejecting_gate(an_entry_context(mark=a_mark(51_100))) is Gate.PRICE_DEVIATION
    assert rejecting_gate(an_entry_context(mark=None)) is Gate.PRICE_DEVIATION
    assert rejecting_gate(an_entry_context(mark=a_mark(0))) is Gate.PRICE_DEVIATION
    assert rejecting_gate(an_entry_context(mark=a_mark(received_at=NOW - 10_000))) is Gate.PRICE_DEVIATION


def test_entry_size_is_margin_times_leverage() -> None:
    plan = planned(an_entry_context())
    assert (plan.side, plan.position_side) == (Side.BUY, PositionSide.LONG)
    assert plan.quantity == D("0.010")  # 50 USDT × 10 ÷ 50,000.0
    assert plan.margin <= D(50)
    assert plan.time_in_force is TimeInForce.GTC
    assert not plan.is_raised_to_minimum


def test_one_way_mode_uses_position_side_both() -> None:
    assert planned(an_entry_context({"hedge_mode": False})).position_side is PositionSide.BOTH


def test_size_is_raised_to_minimum() -> None:
    plan = planned(an_entry_context(symbol_changes={"trade_value_usdt": 2}))
    assert plan.quantity == D("0.001")
    assert plan.is_raised_to_minimum


def test_size_raised_past_the_factor_is_refused_with_the_remedy() -> None:
    small = {"trade_value_usdt": "1.1", "leverage": 10}
    skip = plan_entry(an_entry_context(symbol_changes=small))
    assert isinstance(skip, Skip)
    assert skip.gate is Gate.MIN_NOTIONAL
    assert skip.reason == (
        "trade_value_usdt 1.1 at 10x is an order of 11.00 USDT, and the exchange's smallest is 50.00 USDT, 4.5 times "
        "as much: set trade_value_usdt to 5.00 or more, or max_raise_factor (now 3) higher"
    )
    assert planned(an_entry_context({"max_raise_factor": 5}, small)).quantity == D("0.001")
    assert planned(an_entry_context(symbol_changes={"trade_value_usdt": 5})).quantity == D("0.001")
    assert isinstance(plan_entry(an_entry_context({"max_raise_factor": 1}, {"trade_value_usdt": "4.9"})), Skip)


def test_size_is_cut_to_maximum() -> None:
    plan = planned(an_entry_context(instrument=an_instrument(max_quantity=D("0.005"))))
    assert plan.quantity == D("0.005")


@pytest.mark.parametrize("instrument", [None, an_instrument(status="SETTLING")])
def test_untraded_symbol_is_skipped(instrument: Any) -> None:
    plan = plan_entry(an_entry_context(instrument=instrument))
    assert isinstance(plan, Skip)
    assert plan.gate is Gate.CONFIGURED


@pytest.mark.parametrize(
    ("side", "bid", "ask", "price"),
    [
        (Side.BUY, "100.0", "100.1", "100.0"),  # one tick apart: join, do not cross
        (Side.BUY, "100.0", "100.3", "100.1"),  # a tick better
        (Side.SELL, "100.0", "100.3", "100.2"),
        (Side.BUY, "100.0", "104.0", "101.0"),  # wide: a quarter of the way
        (Side.SELL, "100.0", "104.0", "103.0"),
    ],
)
def test_entry_price_improves_own_side(side: Side, bid: str, ask: str, price: str) -> None:
    assert entry_price(side, a_quote(bid, ask), an_instrument()) == D(price)


@given(bid=st.integers(1, 10_000), spread=st.integers(1, 500), side=st.sampled_from(Side))
def test_entry_price_never_crosses(bid: int, spread: int, side: Side) -> None:
    quote = a_quote(D(bid) / 10, D(bid + spread) / 10)
    price = entry_price(side, quote, an_instrument())
    assert quote.bid <= price <= quote.ask
    assert price != (quote.ask if side is Side.BUY else quote.bid)


def test_entry_without_quote_is_post_only_off_mark() -> None:
    plan = planned(an_entry_context(symbol_changes={"price_offset_pct": 1}, quote=None))
    assert (plan.price, plan.time_in_force) == (D("49500.0"), TimeInForce.GTX)
    assert offset_price(Side.SELL, D(50_000), D(1), an_instrument()) == D(50_500)


@pytest.mark.parametrize("quote", [None, a_quote(received_at=NOW - 5_000)])
def test_no_entry_without_fresh_quote_or_offset(quote: Any) -> None:
    plan = plan_entry(an_entry_context(quote=quote))
    assert isinstance(plan, Skip)
    assert plan.gate is Gate.FRESH_QUOTE


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
@pytest.mark.parametrize(("liquidated", "price"), [(Side.SELL, "50000.1"), (Side.BUY, "49999.9")])
def test_ioc_and_fok_are_priced_at_the_other_side_of_the_book(time_in_force: str, liquidated: Side, price: str) -> None:
    changes: dict[str, Any] = {"liquidation": a_liquidation(side=liquidated), "entry_side": liquidated.opposite}
    plan = planned(an_entry_context({"time_in_force": time_in_force}, **changes))
    assert (plan.price, plan.time_in_force) == (D(price), TimeInForce(time_in_force))


@pytest.mark.parametrize(("ask", "is_planned"), [("50050", True), ("50050.1", False)])
def test_ioc_is_skipped_beyond_max_slippage(ask: str, is_planned: bool) -> None:
    """0.1 % of the best bid, 50,000, by default."""
    plan = plan_entry(an_entry_context({"time_in_force": "IOC"}, quote=a_quote(50_000, ask)))
    assert isinstance(plan, EntryPlan) is is_planned
    if isinstance(plan, Skip):
        assert plan.gate is Gate.SLIPPAGE
        assert plan.reason == (
            "filling at once would cost 0.10 % (best bid 50000, best ask 50050.1), max_slippage_pct allows 0.1 %"
        )
    wide = {"time_in_force": "IOC", "max_slippage_pct": "0.2"}
    assert isinstance(plan_entry(an_entry_context(wide, quote=a_quote(50_000, ask))), EntryPlan)


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
def test_ioc_and_fok_need_a_quote(time_in_force: str) -> None:
    """Off the mark price an order can only rest, which they exclude."""
    globals_ = {"time_in_force": time_in_force}
    plan = plan_entry(an_entry_context(globals_, {"price_offset_pct": 1}, quote=None))
    assert isinstance(plan, Skip)
    assert plan.gate is Gate.FRESH_QUOTE


@pytest.mark.parametrize(("bid", "gate"), [(49_100, None), (48_900, Gate.PRICE_DEVIATION)])
def test_entry_price_too_far_from_mark_is_skipped(bid: int, gate: Gate | None) -> None:
    """By the limit that holds for the price of the liquidation: 2 % by default."""
    plan = plan_entry(an_entry_context(quote=a_quote(bid, D(bid) + D("0.2"))))
    assert (plan.gate if isinstance(plan, Skip) else None) is gate
    if isinstance(plan, Skip):
        assert plan.reason == (
            "the entry at 48900.1 would be 2.20 % off the mark price, max_price_deviation_pct allows 2 %"
        )


def test_price_from_the_future_is_not_fresh() -> None:
    ahead = NOW + 100 + 1_001
    plan = plan_entry(an_entry_context(quote=a_quote(received_at=ahead)))
    assert isinstance(plan, Skip)
    assert plan.gate is Gate.FRESH_QUOTE
    assert rejecting_gate(an_entry_context(mark=a_mark(received_at=ahead))) is Gate.PRICE_DEVIATION
    assert rejecting_gate(an_entry_context(mark=a_mark(received_at=ahead - 1))) is None


@pytest.mark.parametrize("at", [NOW + 86_400_000, NOW * 1000])
def test_date_of_a_quote_makes_it_no_fresher(at: int) -> None:
    """Its age counts from its arrival."""
    assert isinstance(plan_entry(an_entry_context(quote=a_quote(at=at))), EntryPlan)
    plan = plan_entry(an_entry_context(quote=a_quote(at=at, received_at=NOW - 5_000)))
    assert isinstance(plan, Skip)
    assert rejecting_gate(an_entry_context(mark=a_mark(at=at, received_at=NOW - 10_000))) is Gate.PRICE_DEVIATION


def test_stale_mark_does_not_replace_quote() -> None:
    old = a_mark(received_at=NOW - 3_000)
    plan = plan_entry(an_entry_context(symbol_changes={"price_offset_pct": 1}, quote=None, mark=old))
    assert isinstance(plan, Skip)
