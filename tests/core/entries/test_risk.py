from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.entries.entry_context import ApprovedPlan, EntryPlan, Exposure
from src.core.entries.risk import check_risk
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from tests.builders import NOW, an_instrument
from tests.core.entries.test_strategy import an_entry_context

D = Decimal


def a_plan(notional: int = 500, **changes: Any) -> EntryPlan:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "position_side": PositionSide.LONG,
        "price": Price(D(50_000)),
        "quantity": Quantity(D(notional) / 50_000),
        "leverage": 10,
        "time_in_force": TimeInForce.GTC,
        "not_after": NOW + 5_000,
    }
    return EntryPlan(**{**fields, **changes})


def an_exposure(**changes: Any) -> Exposure:
    return Exposure(**{"symbol_margin": D(0), "total_margin": D(0), "available_balance": D(1000), **changes})


def rejecting_gate(exposure: Exposure, plan: EntryPlan | None = None, **entry_context: Any) -> Gate | None:
    verdict = check_risk(plan or a_plan(), an_entry_context(**entry_context), exposure)
    return verdict.gate if isinstance(verdict, Skip) else None


def test_plan_within_limits_is_approved() -> None:
    plan = a_plan()
    assert check_risk(plan, an_entry_context(), an_exposure()) == ApprovedPlan(plan)


@pytest.mark.parametrize(
    ("exposure", "gate"),
    [
        ({"open_entries": 2}, Gate.OPEN_ORDERS),
        ({"unresolved": 1}, Gate.OPEN_ORDERS),
        ({"external_orders": 1}, Gate.OPEN_ORDERS),
        ({"symbol_margin": D(151)}, Gate.POSITION_CAP),
        ({"total_margin": D(451)}, Gate.TOTAL_CAP),
        ({"available_balance": D(49)}, Gate.MARGIN),
        ({"available_balance": None}, Gate.MARGIN),
        ({"has_request_budget": False}, Gate.RATE_BUDGET),
    ],
)
def test_each_limit_rejects_at_its_own_gate(exposure: dict[str, Any], gate: Gate) -> None:
    assert rejecting_gate(an_exposure(**exposure)) is gate


def test_plan_exactly_at_caps_is_allowed() -> None:
    assert rejecting_gate(an_exposure(symbol_margin=D(150), total_margin=D(450), available_balance=D(50))) is None


def test_one_way_mode_rejects_opposite_entry() -> None:
    short = an_exposure(symbol_notional=D(-100))
    assert rejecting_gate(short, global_changes={"hedge_mode": False}) is Gate.POSITION_CAP
    assert rejecting_gate(short) is None


def test_raised_size_must_fit_caps() -> None:
    raised = a_plan(is_raised_to_minimum=True)
    assert rejecting_gate(an_exposure(), raised) is None
    verdict = check_risk(raised, an_entry_context(), an_exposure(symbol_margin=D(190)))
    assert isinstance(verdict, Skip)
    assert verdict.gate is Gate.MIN_NOTIONAL
    assert "max_position_usdt" in verdict.reason


@pytest.mark.parametrize(("stop_pct", "gate"), [("4.9", None), ("5", Gate.STOP_INSIDE_LIQUIDATION)])
def test_stop_beyond_liquidation_is_rejected(stop_pct: str, gate: Gate | None) -> None:
    assert rejecting_gate(an_exposure(), symbol_changes={"stop_loss_pct": stop_pct}) is gate


def test_disabled_stop_is_not_checked() -> None:
    assert rejecting_gate(an_exposure(), symbol_changes={"stop_loss_pct": 50, "stop_loss_enabled": False}) is None


@given(symbol=st.integers(0, 300), total=st.integers(0, 700), available=st.integers(0, 300), size=st.integers(1, 5_000))
def test_approved_plan_never_exceeds_caps(symbol: int, total: int, available: int, size: int) -> None:
    plan = a_plan(size)
    exposure = an_exposure(symbol_margin=D(symbol), total_margin=D(total), available_balance=D(available))
    if isinstance(check_risk(plan, an_entry_context(), exposure), ApprovedPlan):
        assert plan.margin + symbol <= 200
        assert plan.margin + total <= 500
        assert plan.margin <= available


def coarse(entry: str, tick: str) -> dict[str, Any]:
    instrument = an_instrument(tick=D(tick), min_price=D(tick))
    return {"instrument": instrument, "plan": a_plan(price=instrument.price(D(entry)), quantity=Quantity(D(10)))}


@pytest.mark.parametrize(("side", "position_side"), [(Side.BUY, PositionSide.LONG), (Side.SELL, PositionSide.SHORT)])
@pytest.mark.parametrize(
    ("entry", "tick", "take_profit", "stop_loss", "reason"),
    [
        ("0.050", "0.001", "1.1", "1.5", "stop_loss_pct 1.5 is too close: one price step is 0.001 at an entry price"),
        ("0.050", "0.001", "0.9", "2", "take_profit_pct 0.9 is too close: one price step is 0.001 at an entry price"),
        ("0.0043", "0.0001", "1", "3", "take_profit_pct 1 is too close: one price step is 0.0001 at an entry price"),
        ("0.00123", "0.00001", "1", "0.5", "stop_loss_pct 0.5 is too close: one price step is 0.00001 at an entry"),
    ],
)
def test_exit_at_the_entry_price_rejects_the_entry_with_the_smallest_distance(
    side: Side, position_side: PositionSide, entry: str, tick: str, take_profit: str, stop_loss: str, reason: str
) -> None:
    case = coarse(entry, tick)
    distances = {"take_profit_pct": take_profit, "stop_loss_pct": stop_loss}
    plan = replace(case["plan"], side=side, position_side=position_side)

    def verdict(**changes: str) -> Skip | ApprovedPlan:
        symbol_changes = {**distances, **changes}
        return check_risk(plan, an_entry_context(symbol_changes=symbol_changes, instrument=case["instrument"]), open_)

    open_ = an_exposure()
    skip = verdict()
    assert isinstance(skip, Skip)
    assert skip.gate is Gate.PROTECTION_DISTANCE
    assert skip.reason.startswith(reason)
    smallest = skip.reason.split("set it to ")[1].split(" ")[0]
    name = skip.reason.split(" ")[0]
    assert verdict(**{name: smallest}) == ApprovedPlan(plan)
    below = verdict(**{name: str(D(smallest) - D("0.0002"))})
    assert isinstance(below, Skip)


def test_exit_outside_the_price_range_of_the_exchange_rejects_the_entry() -> None:
    case = coarse("0.002", "0.001")
    plan = replace(case["plan"], side=Side.SELL, position_side=PositionSide.SHORT)
    context = an_entry_context(
        symbol_changes={"take_profit_pct": 90, "stop_loss_enabled": False}, instrument=case["instrument"]
    )
    skip = check_risk(plan, context, an_exposure())
    assert isinstance(skip, Skip)
    assert skip.gate is Gate.PROTECTION_DISTANCE
    assert skip.reason == "take_profit_pct 90 leads to 0, and the exchange allows 0.001 to 1000000; set it lower"


def test_disabled_exits_need_no_distance() -> None:
    case = coarse("0.050", "0.001")
    off = {"take_profit_enabled": False, "stop_loss_enabled": False, "take_profit_pct": "0.9", "stop_loss_pct": "1"}
    assert isinstance(
        check_risk(case["plan"], an_entry_context(symbol_changes=off, instrument=case["instrument"]), an_exposure()),
        ApprovedPlan,
    )
