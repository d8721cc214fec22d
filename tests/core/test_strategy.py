from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.plans.situation import EntryPlan, Situation
from src.core.plans.strategy import entry_price, offset_price, plan_entry, refusal_by_signal
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce, TradeSide, TradingState
from tests.builders import NOW, a_liquidation, a_mark, a_quote, an_instrument, some_settings

D = Decimal


def a_situation(
    global_changes: dict[str, Any] | None = None, symbol_changes: dict[str, Any] | None = None, **changes: Any
) -> Situation:
    """A long was liquidated, everything is fresh, and every gate of the signal lets it pass."""
    settings = some_settings(global_changes, **(symbol_changes or {}))
    situation = Situation(
        liquidation=a_liquidation(),
        now_ms=NOW + 100,
        settings=settings.globals_,
        symbol_settings=settings.symbols["BTCUSDT"],
        trading_state=TradingState.ACTIVE,
        trading_reason="",
        window_volume=D(60_000),
        last_entry_at=None,
        instrument=an_instrument(),
        quote=a_quote(),
        mark=a_mark(),
    )
    return replace(situation, **changes)


def refused(situation: Situation) -> Gate | None:
    skip = refusal_by_signal(situation)
    return None if skip is None else skip.gate


def planned(situation: Situation) -> EntryPlan:
    plan = plan_entry(situation)
    assert isinstance(plan, EntryPlan)
    return plan


def test_a_liquidation_past_every_gate_passes() -> None:
    assert refused(a_situation()) is None


def test_an_account_that_is_set_otherwise_is_not_traded() -> None:
    assert refused(a_situation(account_misfit="the exchange has leverage 20")) is Gate.CONFIGURED


def test_a_halted_bot_says_why() -> None:
    skip = refusal_by_signal(a_situation(trading_state=TradingState.HALTED, trading_reason="halted by the operator"))
    assert skip is not None
    assert (skip.gate, skip.reason) == (Gate.TRADING_STATE, "halted by the operator")


def test_an_old_event_is_never_traded() -> None:
    assert refused(a_situation(now_ms=NOW + 5_000)) is None
    assert refused(a_situation(now_ms=NOW + 5_001)) is Gate.FRESH_EVENT


@pytest.mark.parametrize(("wanted", "gate"), [("BUY", None), ("SELL", Gate.TRADE_SIDE), ("OPPOSITE", None)])
def test_a_fixed_side_allows_only_itself(wanted: str, gate: Gate | None) -> None:
    assert refused(a_situation(symbol_changes={"trade_side": TradeSide(wanted).value})) is gate


def test_the_threshold_is_reached_by_equal_volume() -> None:
    assert refused(a_situation(window_volume=D(50_000))) is None
    assert refused(a_situation(window_volume=D("49999.99"))) is Gate.THRESHOLD


def test_a_side_may_have_a_threshold_of_its_own() -> None:
    situation = a_situation(symbol_changes={"volume_threshold_long": 70_000})
    assert refused(situation) is Gate.THRESHOLD
    assert situation.threshold == D(70_000)


def test_after_an_entry_its_side_waits() -> None:
    assert refused(a_situation(last_entry_at=NOW - 59_999)) is Gate.COOLDOWN
    assert refused(a_situation(last_entry_at=NOW - 60_000)) is None
    assert refused(a_situation({"cooldown_sec": 0}, last_entry_at=NOW)) is None


def test_a_fill_far_from_the_mark_is_not_traded() -> None:
    assert refused(a_situation(mark=a_mark(51_100))) is Gate.PRICE_DEVIATION
    assert refused(a_situation(mark=None)) is Gate.PRICE_DEVIATION
    assert refused(a_situation(mark=a_mark(0))) is Gate.PRICE_DEVIATION
    assert refused(a_situation(mark=a_mark(received_at=NOW - 10_000))) is Gate.PRICE_DEVIATION


def test_the_entry_is_sized_by_margin_times_leverage() -> None:
    plan = planned(a_situation())
    assert (plan.side, plan.position_side) == (Side.BUY, PositionSide.LONG)
    assert plan.quantity == D("0.010")  # 50 USDT × 10 ÷ 50,000.0
    assert plan.margin <= D(50)
    assert plan.time_in_force is TimeInForce.GTC
    assert not plan.is_raised


def test_in_one_way_mode_the_slot_is_both() -> None:
    assert planned(a_situation({"hedge_mode": False})).position_side is PositionSide.BOTH


def test_a_size_below_the_minimum_is_raised_to_it() -> None:
    plan = planned(a_situation(symbol_changes={"trade_value_usdt": 1}))
    assert plan.quantity == D("0.001")
    assert plan.is_raised


def test_a_size_above_the_largest_is_cut() -> None:
    plan = planned(a_situation(instrument=an_instrument(max_quantity=D("0.005"))))
    assert plan.quantity == D("0.005")


@pytest.mark.parametrize("instrument", [None, an_instrument(status="SETTLING")])
def test_a_symbol_the_exchange_does_not_trade_is_skipped(instrument: Any) -> None:
    plan = plan_entry(a_situation(instrument=instrument))
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
def test_the_entry_improves_its_own_side(side: Side, bid: str, ask: str, price: str) -> None:
    assert entry_price(side, a_quote(bid, ask), an_instrument()) == D(price)


@given(bid=st.integers(1, 10_000), spread=st.integers(1, 500), side=st.sampled_from(Side))
def test_the_entry_never_crosses(bid: int, spread: int, side: Side) -> None:
    quote = a_quote(D(bid) / 10, D(bid + spread) / 10)
    price = entry_price(side, quote, an_instrument())
    assert quote.bid <= price <= quote.ask
    assert price != (quote.ask if side is Side.BUY else quote.bid)


def test_without_a_book_the_entry_is_post_only_off_the_mark() -> None:
    plan = planned(a_situation(symbol_changes={"price_offset_pct": 1}, quote=None))
    assert (plan.price, plan.time_in_force) == (D("49500.0"), TimeInForce.GTX)
    assert offset_price(Side.SELL, D(50_000), D(1), an_instrument()) == D(50_500)


@pytest.mark.parametrize("quote", [None, a_quote(received_at=NOW - 5_000)])
def test_without_a_fresh_quote_or_offset_nothing_is_entered(quote: Any) -> None:
    plan = plan_entry(a_situation(quote=quote))
    assert isinstance(plan, Skip)
    assert plan.gate is Gate.FRESH_QUOTE


def test_an_old_mark_is_no_substitute_for_a_book() -> None:
    old = a_mark(received_at=NOW - 3_000)
    plan = plan_entry(a_situation(symbol_changes={"price_offset_pct": 1}, quote=None, mark=old))
    assert isinstance(plan, Skip)
