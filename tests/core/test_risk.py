from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.plans.risk import review
from src.core.plans.situation import ApprovedPlan, EntryPlan, Exposure
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce
from src.domain.instrument import Price, Quantity
from tests.core.test_strategy import a_situation

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
    }
    return EntryPlan(**{**fields, **changes})


def an_exposure(**changes: Any) -> Exposure:
    return Exposure(**{"symbol_margin": D(0), "total_margin": D(0), "available_balance": D(1000), **changes})


def refused(exposure: Exposure, plan: EntryPlan | None = None, **situation: Any) -> Gate | None:
    verdict = review(plan or a_plan(), a_situation(**situation), exposure)
    return verdict.gate if isinstance(verdict, Skip) else None


def test_a_plan_within_every_limit_is_approved() -> None:
    plan = a_plan()
    assert review(plan, a_situation(), an_exposure()) == ApprovedPlan(plan)


@pytest.mark.parametrize(
    ("exposure", "gate"),
    [
        ({"open_entries": 2}, Gate.OPEN_ORDERS),
        ({"unresolved": 1}, Gate.OPEN_ORDERS),
        ({"foreign_orders": 1}, Gate.OPEN_ORDERS),
        ({"symbol_margin": D(151)}, Gate.POSITION_CAP),
        ({"total_margin": D(451)}, Gate.TOTAL_CAP),
        ({"available_balance": D(49)}, Gate.MARGIN),
        ({"available_balance": None}, Gate.MARGIN),
        ({"has_request_budget": False}, Gate.RATE_BUDGET),
    ],
)
def test_each_limit_refuses_by_its_own_name(exposure: dict[str, Any], gate: Gate) -> None:
    assert refused(an_exposure(**exposure)) is gate


def test_exactly_at_the_caps_is_allowed() -> None:
    assert refused(an_exposure(symbol_margin=D(150), total_margin=D(450), available_balance=D(50))) is None


def test_in_one_way_mode_an_entry_may_not_work_against_a_position() -> None:
    short = an_exposure(symbol_notional=D(-100))
    assert refused(short, global_changes={"hedge_mode": False}) is Gate.POSITION_CAP
    assert refused(short) is None


def test_a_size_raised_to_the_minimum_must_fit_the_caps() -> None:
    raised = a_plan(is_raised=True)
    assert refused(an_exposure(), raised) is None
    verdict = review(raised, a_situation(), an_exposure(symbol_margin=D(190)))
    assert isinstance(verdict, Skip)
    assert verdict.gate is Gate.MIN_NOTIONAL
    assert "max_position_usdt" in verdict.reason


@pytest.mark.parametrize(("stop_pct", "gate"), [("4.9", None), ("5", Gate.STOP_INSIDE_LIQUIDATION)])
def test_a_stop_beyond_the_liquidation_is_refused(stop_pct: str, gate: Gate | None) -> None:
    assert refused(an_exposure(), symbol_changes={"stop_loss_pct": stop_pct}) is gate


def test_without_a_stop_there_is_none_to_judge() -> None:
    assert refused(an_exposure(), symbol_changes={"stop_loss_pct": 50, "stop_loss_enabled": False}) is None


@given(symbol=st.integers(0, 300), total=st.integers(0, 700), available=st.integers(0, 300), size=st.integers(1, 5_000))
def test_nothing_approved_passes_a_cap(symbol: int, total: int, available: int, size: int) -> None:
    plan = a_plan(size)
    exposure = an_exposure(symbol_margin=D(symbol), total_margin=D(total), available_balance=D(available))
    if isinstance(review(plan, a_situation(), exposure), ApprovedPlan):
        assert plan.margin + symbol <= 200
        assert plan.margin + total <= 500
        assert plan.margin <= available
