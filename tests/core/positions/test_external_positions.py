"""External positions: reported and left alone, or adopted if the settings say so."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.health.status import BotInfo
from src.core.limits.live_consent import load_pending_terms
from src.domain.commands import FetchFills, OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderType, PositionSide, Side
from src.domain.instrument import Price
from src.domain.orders import new_entry_token
from tests.builders import NOW, a_position, a_report, a_request, an_update, some_settings
from tests.core.harness import LONG, Harness

D = Decimal
ENTRY, STOP, TAKE, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE


@pytest.fixture
def adopting(path: Path) -> Harness:
    return Harness(path, some_settings({"adopt_foreign_positions": True})).connect()


def open_external_position(harness: Harness) -> None:
    """An external position of 0.01 at 50,000 appears."""
    harness.clock.advance(1000)
    harness.feed(harness.account_update(a_position()))
    harness.wait(4000)


def messages(harness: Harness, level: str) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == level]


def test_external_position_is_untouched_counted_and_reported_once(harness: Harness) -> None:
    open_external_position(harness)
    harness.wait(60_000)
    assert harness.submitted() == []
    assert harness.rows("SELECT protection FROM positions")[0]["protection"] == "external"
    [alert] = messages(harness, "error")
    assert "has no stop loss" in alert
    harness.snapshot(positions=(harness.report(),))
    harness.liquidate()
    assert harness.verdicts() == [Gate.OPEN_ORDERS]


def test_external_position_with_stop_only_warns(harness: Harness) -> None:
    external = a_request(STOP, client_order_id="web_1")
    harness.feed(an_update(external, order_id=77, event_at=harness.now))
    open_external_position(harness)
    harness.wait(2000)
    assert messages(harness, "error") == []
    assert messages(harness, "warning")[-1].endswith("not managed, counts toward the exposure")


def test_stop_order_on_the_wrong_side_is_no_stop_loss(path: Path) -> None:
    """In one-way mode a stop order that enlarges a position has the same position side."""
    harness = Harness(path, some_settings({"hedge_mode": False})).connect()
    both: dict[str, Any] = {"position_side": PositionSide.BOTH, "type": OrderType.STOP_MARKET}
    for number, side in ((77, Side.BUY), (78, Side.SELL)):
        order = a_request(STOP, client_order_id=f"web_{number}", side=side, **both)
        harness.feed(an_update(order, order_id=number, event_at=harness.now))
        harness.clock.advance(1000)
        harness.feed(harness.account_update(a_position(side=PositionSide.BOTH)))
        harness.wait(6000)
        assert len(messages(harness, "error")) == 1  # about the first one only
        assert "has no stop loss" in messages(harness, "error")[0]


def test_external_position_is_adopted_after_grace(adopting: Harness) -> None:
    open_external_position(adopting)
    assert adopting.submitted() == []
    adopting.wait(1000)
    stop = adopting.last(STOP)
    assert (stop.stop_price, stop.close_position, stop.side) == (D("49000.0"), True, Side.SELL)
    adopting.accept(stop)
    assert adopting.last(TAKE).stop_price == D("50500.0")
    assert adopting.commands_of(FetchFills) != []
    assert "adopted" in messages(adopting, "warning")[-1]
    adopting.close_position()
    assert adopting.last(CLOSE).type is OrderType.MARKET


def test_adopted_position_survives_restart(adopting: Harness) -> None:
    open_external_position(adopting)
    adopting.wait(1000)
    adopting.accept(adopting.last(STOP))
    entry = adopting.context.portfolio.tracked_positions[LONG].entry_order_id
    again = adopting.restart().connect(positions=(adopting.report(),), open_orders=())
    assert again.context.portfolio.tracked_positions[LONG].entry_order_id == entry
    again.command(OperatorAction.FLATTEN)


def test_adoption_leaves_external_orders(adopting: Harness) -> None:
    external = a_request(STOP, client_order_id="web_1", stop_price=Price(D(40_000)))
    adopting.feed(an_update(external, order_id=77, event_at=adopting.now))
    open_external_position(adopting)
    adopting.wait(2000)
    adopting.accept(adopting.last(STOP))
    assert adopting.cancelled() == []


def test_pending_entry_delays_adoption(adopting: Harness) -> None:
    entry = adopting.enter()
    adopting.feed(adopting.account_update(a_position()))
    adopting.wait(10_000)
    assert adopting.submitted(STOP) == []
    adopting.clock.advance(10)
    adopting.fill(entry)
    assert adopting.context.portfolio.tracked_positions[LONG].entry_order_id == entry.client_order_id


def test_own_stop_on_external_position_is_cancelled(harness: Harness) -> None:
    harness.fill(harness.enter())
    stop = harness.last(STOP)
    harness.clock.advance(1000)
    harness.feed(harness.account_update(a_position(0, 0)))
    open_external_position(harness)
    harness.accept(stop)
    harness.wait(2000)
    assert harness.cancelled() == [stop.client_order_id]
    assert harness.submitted(STOP) == [stop]


def test_unconfigured_symbol_is_not_adopted(adopting: Harness) -> None:
    adopting.clock.advance(1000)
    other = a_position(side=PositionSide.LONG)
    adopting.feed(adopting.account_update(type(other)("ETHUSDT", PositionSide.LONG, D(1), D(3000))))
    adopting.wait(10_000)
    assert adopting.submitted() == []
    assert "ETHUSDT" in messages(adopting, "error")[-1]


def test_external_position_that_loses_its_stop_is_reported_again(harness: Harness) -> None:
    external = an_update(a_request(STOP, client_order_id="web_1"), order_id=77, event_at=harness.now)
    harness.clock.advance(6_000)
    harness.snapshot(positions=(a_report("0.5", 50_000),), open_orders=(external,))
    harness.wait(10_000)
    assert messages(harness, "error") == []
    for _ in range(2):
        harness.clock.advance(6_000)
        harness.snapshot(positions=(a_report("0.5", 50_000),))
        harness.wait(10_000)
    [alert] = messages(harness, "error")
    assert alert.startswith("external position of BTCUSDT LONG, 0.5, has no stop loss")


def test_adoption_waits_for_confirmation(path: Path) -> None:
    live = BotInfo("1.0", 1, NOW, "mainnet", False, "0x63DD")
    harness = Harness(path, some_settings({"adopt_foreign_positions": True}), identity=live).connect()
    open_external_position(harness)
    harness.wait(10_000)
    assert harness.submitted() == []
    assert "has no stop loss" in messages(harness, "error")[0]
    pending = load_pending_terms(harness.context.store)
    assert pending is not None
    harness.command(OperatorAction.CONFIRM_LIVE, terms_fingerprint=pending.fingerprint)
    harness.wait(1000)
    assert harness.last(STOP).stop_price == D("49000.0")


def test_position_of_other_bot_is_not_adopted(adopting: Harness) -> None:
    adopting.clock.advance(1000)
    external = replace(a_request(), client_order_id=f"lh-{new_entry_token(adopting.now, 'else', lambda _: 0)}-e")
    adopting.feed(an_update(external, order_id=77, event_at=adopting.now))
    open_external_position(adopting)
    adopting.wait(10_000)
    assert adopting.submitted() == []
