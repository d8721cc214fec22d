"""An entry price that cannot be true: no loss, peak, lock or stop follows from it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.core.account import wallet
from src.core.trading_status import EntryBlock
from src.domain.enums import OrderRole, PositionSide
from src.domain.positions import Position
from tests.builders import a_position, a_report
from tests.core.harness import Harness

D = Decimal
STOP = OrderRole.STOP_LOSS
FLAT_SHORT = a_report(position_side=PositionSide.SHORT)


def deliver_reports(harness: Harness, price: object) -> None:
    """Report the position with this entry price, by REST and by the user data stream."""
    harness.clock.advance(6_000)
    harness.prices()
    harness.snapshot(positions=(harness.report(entry_price=D(str(price))), FLAT_SHORT))
    harness.clock.advance(10)
    harness.feed(harness.account_update(replace(harness.position(), entry_price=D(str(price)))))
    harness.audit()


def test_average_of_our_own_fills_is_kept(harness: Harness) -> None:
    harness.open_position()
    deliver_reports(harness, 0)
    assert harness.position() == a_position("0.01", 50_000)
    assert wallet.unrealized_pnl(harness.context, ()) == 0
    assert not harness.context.trading_status.has(EntryBlock.UNKNOWN_ENTRY_PRICE)


def test_stop_that_is_lost_meanwhile_is_placed_at_its_price(harness: Harness) -> None:
    harness.open_position()
    stop = harness.last(STOP)
    deliver_reports(harness, 0)
    harness.end_order(stop)
    harness.audit()
    assert [each.stop_price for each in harness.submitted(STOP)] == [stop.stop_price] * 2


def test_entry_price_of_the_last_run_is_kept_after_a_restart(harness: Harness) -> None:
    harness.open_position()
    harness.audit()
    again = harness.restart()
    again.connect(positions=(again.report(entry_price=D(0)), FLAT_SHORT))
    assert again.position() == a_position("0.01", 50_000)
    again.close()


def test_position_reported_before_its_fill_takes_the_price_of_the_fill(harness: Harness) -> None:
    entry = harness.enter()
    fill = harness.a_fill(entry)
    reported = replace(harness.account_after(fill).positions[0].position, entry_price=D(0))
    harness.feed(replace(harness.account_update(reported), changed_at=fill.traded_at))
    harness.feed(harness.filled_by(entry, fill))
    assert harness.position() == a_position("0.01", 50_000)
    assert harness.last(STOP).stop_price == D(49_000)


def test_unknown_entry_price_is_named_and_nothing_follows_from_it(harness: Harness) -> None:
    harness.clock.advance(6_000)
    harness.snapshot(positions=(a_report("0.5", 0, updated_at=harness.now), FLAT_SHORT))
    harness.prices(60_000)
    harness.audit()
    assert harness.position().is_entry_unknown
    assert wallet.unrealized_pnl(harness.context, ()) == 0
    assert harness.submitted(STOP) == []
    assert "no entry price for BTCUSDT LONG" in harness.context.trading_status.reason
    messages = [each["message"] for each in harness.journal("alert")]
    assert len([each for each in messages if "no entry price above 0 for the position of BTCUSDT LONG" in each]) == 1
    harness.clock.advance(6_000)
    harness.snapshot(positions=(a_report("0.5", 50_000, updated_at=harness.now), FLAT_SHORT))
    harness.audit()
    assert not harness.context.trading_status.has(EntryBlock.UNKNOWN_ENTRY_PRICE)


@pytest.mark.parametrize(
    ("reported", "known", "price"),
    [
        (a_position("0.02", 0), a_position("0.01", 50_000), 50_000),
        (a_position("0.02", 49_000), a_position("0.01", 50_000), 49_000),
        (a_position("-0.02", 0), a_position("0.01", 50_000), 0),
        (a_position("0.02", 0), a_position(0, 0), 0),
        (a_position(0, 0), a_position("0.01", 50_000), 0),
    ],
)
def test_price_known_before_serves_for_the_same_side(reported: Position, known: Position, price: int) -> None:
    assert reported.with_known_entry(known) == replace(reported, entry_price=D(price))
