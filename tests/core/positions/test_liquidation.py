"""A stop loss beyond the exchange's liquidation price never triggers: it is moved, or at least reported."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.events import SettingsChanged
from src.core.health.status import BotInfo
from src.core.trading_status import EntryBlock
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderType, PositionSide, Side
from src.domain.events import PositionsChecked
from tests.builders import NOW, a_report, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE
SETTINGS: dict[str, Any] = {"cooldown_sec": 0}


@pytest.fixture
def held(path: Path) -> Harness:
    """A long position opened at 50,000 with its stop at 49,000."""
    harness = Harness(path, some_settings(SETTINGS)).connect()
    harness.open_position()
    harness.clock.advance(6_000)
    return harness


def report(harness: Harness, price: object) -> None:
    """Read the positions, with this liquidation price."""
    positions = (harness.report(liquidation_price=D(str(price))), a_report(position_side=PositionSide.SHORT))
    harness.feed(PositionsChecked(positions, harness.now))


def warnings(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if "would liquidate" in each["message"]]


def gate_of_next_entry(harness: Harness) -> str | None:
    harness.prices()
    harness.liquidate()
    return harness.verdicts()[-1]


def test_stop_is_moved_before_the_liquidation_price(held: Harness) -> None:
    old = held.last(STOP)
    report(held, 49_500)
    moved = held.last(STOP)
    assert (old.stop_price, moved.stop_price, held.cancelled()) == (D(49_000), D("49599.0"), [])
    assert "at 49500, before its stop loss at 49000.0 triggers" in warnings(held)[0]
    held.accept(moved)
    assert held.cancelled() == [old.client_order_id]
    assert held.rows("SELECT stop_loss_price FROM positions")[0]["stop_loss_price"] == "49599.0"
    for price in (49_500, 49_510, 49_490):
        held.wait(2_000)
        report(held, price)
    assert (len(warnings(held)), held.last(STOP)) == (1, moved)  # small changes do not move it again
    assert gate_of_next_entry(held) == Gate.STOP_INSIDE_LIQUIDATION


def test_moved_stop_follows_the_liquidation_price_and_returns(held: Harness) -> None:
    report(held, 49_300)
    held.accept(held.last(STOP))
    held.wait(2_000)
    report(held, 49_450)
    assert held.last(STOP).stop_price == D("49548.9")
    held.accept(held.last(STOP))
    held.wait(2_000)
    report(held, 48_990)  # hardly beyond the stop of the settings
    assert held.last(STOP).stop_price == D("49548.9")
    report(held, 45_000)
    assert held.last(STOP).stop_price == D(49_000)
    assert gate_of_next_entry(held) is None


def test_liquidation_price_in_the_snapshot_counts_too(held: Harness) -> None:
    positions = (held.report(liquidation_price=D(49_500)), a_report(position_side=PositionSide.SHORT))
    orders = tuple(held.update_for(held.last(role)) for role in (STOP, TAKE))
    held.snapshot(positions=positions, open_orders=orders)
    assert held.last(STOP).stop_price == D("49599.0")


@pytest.mark.parametrize("price", [0, 52_000, 48_000])
def test_no_liquidation_price_between_mark_and_stop_changes_nothing(held: Harness, price: int) -> None:
    stop = held.last(STOP)
    report(held, price)
    held.wait(2_000)
    assert (held.last(STOP), warnings(held)) == (stop, [])


def test_short_position_is_mirrored(path: Path) -> None:
    harness = Harness(path, some_settings(SETTINGS, trade_side="SELL")).connect()
    harness.liquidate(side=Side.BUY)
    entry = harness.last(ENTRY)
    harness.accept(entry)
    harness.fill(entry, price=50_000)
    harness.accept(harness.last(STOP))
    positions = (harness.report(PositionSide.SHORT, liquidation_price=D("50500.03")),)
    harness.feed(PositionsChecked(positions, harness.now))
    assert harness.last(STOP).stop_price == D("50399.0")


def test_position_without_room_for_a_stop_is_closed(held: Harness) -> None:
    report(held, 49_950)
    close = held.last(CLOSE)
    assert (close.type, close.quantity) == (OrderType.MARKET, D("0.010"))
    assert "no stop loss fits" in str(held.context.portfolio.tracked(LONG).close_reason)


def test_alert_setting_leaves_the_stop_and_blocks_entries(path: Path) -> None:
    harness = Harness(path, some_settings({**SETTINGS, "on_liquidation_near": "ALERT"})).connect()
    harness.open_position()
    stop = harness.last(STOP)
    report(harness, 49_500)
    harness.wait(2_000)
    assert (harness.last(STOP), len(warnings(harness)), harness.submitted(CLOSE)) == (stop, 1, [])
    assert "on_liquidation_near is ALERT" in warnings(harness)[0]
    assert gate_of_next_entry(harness) == Gate.STOP_INSIDE_LIQUIDATION


def test_old_figure_changes_nothing(held: Harness) -> None:
    report(held, 49_500)
    held.accept(held.last(STOP))
    held.wait(120_000)
    assert held.last(STOP).stop_price == D("49599.0")
    held.context.portfolio.tracked(LONG).liquidation_price = D(45_000)
    held.wait(2_000)
    assert held.last(STOP).stop_price == D("49599.0")


def test_moved_stop_goes_with_the_stop_loss_itself(held: Harness) -> None:
    report(held, 49_500)
    held.accept(held.last(STOP))
    held.feed(SettingsChanged(some_settings(SETTINGS, stop_loss_enabled=False)))
    held.wait(70_000)
    assert held.last(STOP).client_order_id in held.cancelled()
    assert len(held.submitted(STOP)) == 2


def test_alert_instead_of_tighten_waits_for_consent(path: Path) -> None:
    live = BotInfo("1.0", 1, NOW, "mainnet", False, "key …abcd")
    harness = Harness(path, some_settings(SETTINGS), identity=live, assume_yes=True).connect()
    harness.open_position()
    harness.feed(SettingsChanged(some_settings({**SETTINGS, "on_liquidation_near": "ALERT"})))
    assert "on_liquidation_near ALERT" in str(harness.context.trading_status.reason_of(EntryBlock.CONSENT))
    report(harness, 49_500)
    assert harness.last(STOP).stop_price == D("49599.0")
