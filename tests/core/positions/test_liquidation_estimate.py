"""The stop of an entry is judged by the liquidation price that the position would have."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.positions.liquidation_estimate import LiquidationEstimate
from src.domain.commands import FetchBrackets
from src.domain.decisions import Gate
from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.events import BracketsFetched, CommandFailed, PositionsChecked
from src.domain.margin import Bracket
from src.domain.positions import AccountSummary, Balance
from tests.builders import a_report, some_settings
from tests.core.harness import Harness

D = Decimal
BRACKETS = (Bracket(D(50_000), 125, D("0.004")), Bracket(D(1_000_000), 20, D("0.02")))
FLAT = (a_report(position_side=PositionSide.LONG), a_report(position_side=PositionSide.SHORT))
GLOBALS = {"cooldown_sec": 0, "max_total_exposure_usdt": 100_000}


@pytest.fixture
def make(path: Path) -> Iterator[Any]:
    def build(wallet: int = 10_000, margin_type: str = "CROSSED", **symbol: Any) -> Harness:
        settings = some_settings(GLOBALS, margin_type=margin_type, **symbol)
        harness = Harness(path, settings)
        flat = tuple(a_report(position_side=each.position_side, margin_type=MarginType(margin_type)) for each in FLAT)
        account = AccountSummary(D(wallet), D(0), D(wallet), D(wallet), D(0), D(0))
        harness.connect(account=account, balances=(Balance("USDT", D(wallet), D(wallet)),), positions=flat)
        return harness

    yield build


def know_brackets(harness: Harness) -> Harness:
    harness.feed(BracketsFetched({"BTCUSDT": BRACKETS}, harness.now))
    return harness


def last_reason(harness: Harness) -> str:
    return str(harness.rows("SELECT reason FROM decisions ORDER BY liquidation_id")[-1]["reason"])


@pytest.mark.parametrize("stop_pct", [20, 50])
def test_settings_of_the_older_bot_trade_when_the_wallet_covers_the_stop(make: Any, stop_pct: int) -> None:
    harness = make(stop_loss_pct=stop_pct, trade_value_usdt=5)
    harness.liquidate()
    assert harness.verdicts() == [Gate.STOP_INSIDE_LIQUIDATION]
    assumed = "brackets are not known yet, so a liquidation price of 47500 is assumed (10x CROSSED)"
    assert assumed in last_reason(harness)
    know_brackets(harness).open_position()
    assert harness.verdicts()[-1] is None
    assert harness.last(OrderRole.STOP_LOSS).stop_price == D(50_000) * (100 - stop_pct) / 100


def test_crossed_entry_beyond_the_wallet_names_both_prices(make: Any) -> None:
    harness = know_brackets(make(wallet=600, stop_loss_pct=50, trade_value_usdt=200))
    harness.liquidate()
    assert harness.verdicts() == [Gate.STOP_INSIDE_LIQUIDATION]
    assert last_reason(harness) == (
        "the position would be liquidated at about 35140.6 (10x CROSSED), before its stop loss at 25000 triggers: "
        "set stop_loss_pct to 29.57 or less, or add to the wallet, or reduce other positions"
    )


def test_isolated_entry_is_judged_by_its_own_margin(make: Any) -> None:
    harness = know_brackets(make(margin_type="ISOLATED", stop_loss_pct=10))
    harness.liquidate()
    assert harness.verdicts() == [Gate.STOP_INSIDE_LIQUIDATION]
    assert "liquidated at about 45180.7 (10x ISOLATED), before its stop loss at 45000 triggers" in last_reason(harness)
    harness.context.settings = some_settings(GLOBALS, margin_type="ISOLATED", stop_loss_pct=9)
    harness.liquidate()
    assert harness.verdicts()[-1] is None


def test_open_entries_and_positions_count_before_they_are_filled(make: Any) -> None:
    harness = know_brackets(make(wallet=1_000, stop_loss_pct=40, trade_value_usdt=150, max_position_usdt=1_000))
    harness.enter()
    harness.liquidate()
    assert harness.verdicts() == [None, Gate.STOP_INSIDE_LIQUIDATION]


def test_margin_of_an_isolated_position_backs_nothing_else(make: Any) -> None:
    harness = know_brackets(make(wallet=1_000, stop_loss_pct=50, trade_value_usdt=100))
    harness.context.cross_balances["USDT"] = D(300)  # the rest is the margin of isolated positions
    harness.liquidate()
    assert harness.verdicts() == [Gate.STOP_INSIDE_LIQUIDATION]


@pytest.fixture
def held(make: Any) -> Harness:
    """A crossed position of 500 USDT with a stop 20 % away and a wallet that covers it."""
    harness = know_brackets(make(stop_loss_pct=20))
    harness.open_position()
    harness.clock.advance(6_000)
    harness.prices()
    return harness


def report(harness: Harness, liquidation: object) -> None:
    crossed: dict[str, Any] = {"margin_type": MarginType.CROSSED}
    long = harness.report(liquidation_price=D(str(liquidation)), **crossed)
    harness.feed(PositionsChecked((long, a_report(position_side=PositionSide.SHORT, **crossed)), harness.now))
    harness.accept(harness.last(OrderRole.STOP_LOSS))


def differences(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if "the bot estimates" in each["message"]]


def test_fresh_figure_of_the_exchange_wins_over_the_estimate(held: Harness) -> None:
    report(held, 39_000)  # it implies 112 USDT of collateral
    held.liquidate()
    assert held.verdicts()[-1] == Gate.STOP_INSIDE_LIQUIDATION
    assert "liquidated at about 44600.4" in last_reason(held)
    report(held, 0)
    held.liquidate()
    assert held.verdicts()[-1] is None


def test_figure_from_before_another_position_changed_does_not_count(held: Harness) -> None:
    """The figure was read before an isolated entry of another symbol took its margin from the same wallet."""
    report(held, 39_000)
    estimate = LiquidationEstimate(held.context, ("BTCUSDT", PositionSide.LONG))
    implied = estimate.backing(10, MarginType.CROSSED).collateral
    assert implied == pytest.approx(D(112), abs=1)
    held.context.cross_balances["USDT"] = D(50)
    other = held.context.portfolio.tracked(("ETHUSDT", PositionSide.LONG))
    other.margin_type, other.updated_locally_at = MarginType.ISOLATED, held.now + 1
    assert estimate.backing(10, MarginType.CROSSED).collateral == 50
    assert estimate.backing(10, MarginType.ISOLATED).collateral == implied


def test_large_difference_is_said_once_and_new_positions_need_a_nearer_stop(held: Harness) -> None:
    for price in (38_000, 38_010):
        report(held, price)
    [sentence] = differences(held)
    assert "reports a liquidation price of 38000 for BTCUSDT LONG, and the bot estimates none" in sentence
    assert sentence.endswith("and new positions of the symbol need a nearer stop")
    assert set(held.context.doubted_liquidations) == {"BTCUSDT"}
    report(held, 0)
    assert (held.context.doubted_liquidations, differences(held)) == ({}, [sentence])


def test_doubted_estimate_is_replaced_by_the_safe_bound(make: Any) -> None:
    harness = know_brackets(make(stop_loss_pct=20))
    harness.context.doubted_liquidations["BTCUSDT"] = harness.clock.monotonic_ms()
    harness.liquidate()
    assert harness.verdicts() == [Gate.STOP_INSIDE_LIQUIDATION]
    assert last_reason(harness).startswith("the exchange reported a nearer liquidation price than the bot estimates")


def test_doubt_ends_an_hour_after_the_last_nearer_figure(make: Any) -> None:
    """The position that caused it is closed, so that no later report can end it."""
    harness = know_brackets(make(stop_loss_pct=20))
    estimate = LiquidationEstimate(harness.context, ("BTCUSDT", PositionSide.LONG))
    harness.context.doubted_liquidations["BTCUSDT"] = harness.clock.monotonic_ms()
    assert estimate.backing(10, MarginType.CROSSED).brackets == ()
    harness.clock.advance(3_600_000)
    assert estimate.backing(10, MarginType.CROSSED).brackets == BRACKETS


def test_figure_that_agrees_is_not_mentioned(make: Any) -> None:
    harness = know_brackets(make(stop_loss_pct=20))
    harness.open_position()
    harness.clock.advance(6_000)
    harness.context.balances["USDT"] = D(300)
    report(harness, 20_100)
    assert differences(harness) == []


def test_brackets_are_read_at_the_start_and_again_after_a_failure(make: Any) -> None:
    harness = make()
    assert len(harness.commands_of(FetchBrackets)) == 1
    harness.feed(CommandFailed(FetchBrackets(), None, "503", harness.now))
    harness.wait(29_000)
    assert len(harness.commands_of(FetchBrackets)) == 1
    harness.wait(2_000)
    assert len(harness.commands_of(FetchBrackets)) == 2
    know_brackets(harness).wait(60_000)
    assert len(harness.commands_of(FetchBrackets)) == 2
