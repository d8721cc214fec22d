"""Position differences are corrected and recorded once; two within ten minutes lock the account."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.core.account.reconciliation import GRACE_MS, flat_reports, reconcile, unconfirmed_orders
from src.core.portfolio import PositionTrades, TrackedPosition
from src.core.trading_status import EntryBlock
from src.domain.commands import OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.events import FillsFetched, Stream, StreamUp
from src.domain.orders import UnrecognizedPosition
from src.domain.positions import PositionReport
from tests.builders import NOW, a_position, a_report, a_snapshot, an_order, an_update
from tests.core.harness import Harness

D = Decimal
KEY = ("BTCUSDT", PositionSide.LONG)


def test_order_missing_from_snapshot_is_unconfirmed() -> None:
    order = an_order(sent_at=NOW - 1)
    assert unconfirmed_orders([order], a_snapshot()) == [order]


def test_shown_newer_or_closed_order_is_not_unconfirmed() -> None:
    shown = an_order(sent_at=NOW - 1)
    newer = an_order(number=1, sent_at=NOW + 1)
    closed = an_order(number=2, status=OrderStatus.FILLED, sent_at=NOW - 1)
    assert unconfirmed_orders([shown, newer, closed], a_snapshot(open_orders=(an_update(),))) == []


ENTRY_ID, GRACE_OVER = "lh-1", NOW - GRACE_MS
OWN = PositionTrades(own_quantity=D("0.01"))


@pytest.mark.parametrize(
    ("updated_at", "filled_at", "report", "is_adopted"),
    [
        pytest.param(GRACE_OVER, 0, a_report("0.02", 50_000), True, id="difference after the grace time"),
        pytest.param(GRACE_OVER + 1, 0, a_report(), False, id="recent difference"),
        pytest.param(NOW, 0, a_report(), False, id="update after the request"),
        pytest.param(GRACE_OVER, NOW, a_report(updated_at=NOW - 101), False, id="older than the newest trade"),
        pytest.param(
            NOW - 600_000, NOW - 600_000, a_report(updated_at=NOW - 700_000), True, id="older, for ten minutes"
        ),
        pytest.param(GRACE_OVER, GRACE_OVER + 20, a_report(updated_at=GRACE_OVER), False, id="just before the trade"),
        pytest.param(
            NOW - 60_100, NOW - 60_080, a_report(updated_at=NOW - 60_100), True, id="just before, for a minute"
        ),
        pytest.param(NOW - 59_999, NOW - 60_000, a_report(updated_at=0), False, id="without a time"),
        pytest.param(NOW - 60_000, NOW - 60_000, a_report(updated_at=0), True, id="without a time, for a minute"),
        pytest.param(NOW - 1, NOW, a_report("0.01", 50_000, updated_at=NOW - 200), True, id="adds up"),
    ],
)
def test_report_is_adopted_or_read_again(
    updated_at: int, filled_at: int, report: PositionReport, is_adopted: bool
) -> None:
    quantity = "0.02" if report.quantity == D("0.01") else "0.01"
    tracked = TrackedPosition(
        a_position(quantity), entry_order_id=ENTRY_ID, trades=OWN, updated_locally_at=updated_at, filled_at=filled_at
    )
    found = reconcile({KEY: tracked}, a_snapshot(positions=(report,)))
    assert found.reports == ([report] if is_adopted else [])
    assert found.corrections == ([(tracked, report)] if is_adopted else [])
    assert found.needs_retry is not is_adopted


def test_equal_report_updates_details() -> None:
    tracked = TrackedPosition(a_position("0.01"), updated_locally_at=NOW - 1)
    report = a_report("0.01", 50_000, leverage=20)
    found = reconcile({KEY: tracked}, a_snapshot(positions=(report,)))
    assert (found.reports, found.corrections, found.needs_retry) == ([report], [], False)


def test_position_missing_from_list_is_flat_unless_unreadable() -> None:
    tracked = TrackedPosition(a_position("0.01"))
    assert [each.quantity for each in flat_reports(a_snapshot(positions=()), {KEY: tracked})] == [D(0)]
    assert flat_reports(a_snapshot(positions=(a_report("0.02", 50_000),)), {KEY: tracked}) == ()
    unreadable = UnrecognizedPosition("BTCUSDT", "quantity is 'x'", is_flat=False)
    assert flat_reports(a_snapshot(positions=(), unrecognized_positions=(unreadable,)), {KEY: tracked}) == ()


def test_own_position_traded_since_last_report_has_unseen_trades() -> None:
    tracked = TrackedPosition(
        a_position("0.01"), updated_locally_at=NOW - 1, entry_order_id="lh-1", filled_at=NOW - 5000
    )
    for updated_at, expected in ((NOW, [tracked]), (NOW - 5000, []), (0, [])):
        snapshot = a_snapshot(positions=(a_report("0.01", 50_000, updated_at=updated_at),))
        assert reconcile({KEY: tracked}, snapshot).unseen_trades == expected


def test_external_position_has_no_unseen_trades() -> None:
    tracked = TrackedPosition(a_position("0.01"), updated_locally_at=NOW - 1)
    snapshot = a_snapshot(positions=(a_report("0.01", 50_000, updated_at=NOW),))
    assert reconcile({KEY: tracked}, snapshot).unseen_trades == []


def test_external_orders_are_those_that_the_exchange_lists(harness: Harness) -> None:
    shown = an_update(client_order_id="web-1", order_id=7)
    others = [replace(shown, symbol="ETHUSDT"), replace(shown, order_id=8)]  # ids are unique only within a symbol
    harness.feed(shown, *others)
    harness.snapshot(open_orders=(shown,))
    assert list(harness.context.portfolio.external_orders) == [("BTCUSDT", 7)]


def differ(harness: Harness, quantity: str) -> None:
    """The exchange reports another quantity after the grace period, without any update."""
    harness.wait(6_000)
    deliver_snapshot(harness, quantity)


def deliver_snapshot(harness: Harness, quantity: str) -> None:
    """Deliver a snapshot with this quantity and working protection."""
    shown = tuple(
        harness.update_for(each) for each in (harness.last(OrderRole.STOP_LOSS), harness.last(OrderRole.TAKE_PROFIT))
    )
    harness.clock.advance(10)
    harness.snapshot(positions=(harness.report(quantity=D(quantity), entry_price=D(50_000)),), open_orders=shown)


def reconnect(harness: Harness, quantity: str) -> None:
    """Reconnect the user data stream and resync the account."""
    harness.feed(StreamUp(Stream.USER, harness.now))
    harness.clock.advance(10)
    deliver_snapshot(harness, quantity)


def corrections(harness: Harness) -> list[tuple[str, str, str, bool]]:
    rows = harness.rows(
        "SELECT id, local_quantity, exchange_quantity, is_expected FROM position_corrections ORDER BY recorded_at"
    )
    return [(row["id"], row["local_quantity"], row["exchange_quantity"], bool(row["is_expected"])) for row in rows]


def test_difference_is_corrected_and_recorded(harness: Harness) -> None:
    harness.open_position()
    differ(harness, "0.008")
    assert harness.position().quantity == D("0.008")
    assert corrections(harness) == [("BTCUSDT LONG 0.008 1", "0.010", "0.008", False)]
    assert "corrected from 0.010 to 0.008" in harness.journal("alert")[-1]["message"]
    assert not harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)


def test_same_difference_is_recorded_once(harness: Harness) -> None:
    harness.open_position()
    differ(harness, "0.008")
    harness.context.portfolio.tracked(
        ("BTCUSDT", harness.position().position_side)
    ).position = harness.position().apply_trade(harness.position().side, D("0.002"), D(50_000))[0]
    differ(harness, "0.008")
    assert len(corrections(harness)) == 1
    assert harness.position().quantity == D("0.008")
    assert not harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)


def test_second_difference_within_ten_minutes_locks_account(harness: Harness) -> None:
    harness.command(OperatorAction.RESUME)
    harness.open_position()
    differ(harness, "0.008")
    reconnect(harness, "0.008")
    differ(harness, "0.006")
    harness.wait(40_000)
    assert not harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)  # its trades have not been read
    harness.feed(FillsFetched("BTCUSDT", (), harness.now))
    harness.wait(1000)
    assert harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)
    alerts = [each["message"] for each in harness.journal("alert") if each["level"] == "error"]
    assert any(alert.startswith("positions differed from the exchange 2 times within ten minutes") for alert in alerts)
    again = harness.restart().connect(positions=(harness.report(quantity=D("0.006"), entry_price=D(50_000)),))
    assert again.context.trading_status.has(EntryBlock.POSITION_MISMATCH)
    assert again.context.trading_status.needs_resume
    again.liquidate()
    assert again.verdicts()[-1] == Gate.TRADING_STATE
    again.command(OperatorAction.RESUME)
    assert not again.context.trading_status.has(EntryBlock.POSITION_MISMATCH)


def test_second_difference_after_ten_minutes_is_corrected(harness: Harness) -> None:
    harness.open_position()
    differ(harness, "0.008")
    reconnect(harness, "0.008")
    harness.wait(10 * 60_000)
    differ(harness, "0.006")
    assert len(corrections(harness)) == 2
    assert not harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)


def test_difference_after_reconnect_is_expected(harness: Harness) -> None:
    harness.open_position()
    for quantity in ("0.008", "0.006"):
        harness.feed(StreamUp(Stream.USER, harness.now))
        differ(harness, quantity)
    assert [is_expected for *_, is_expected in corrections(harness)] == [True, True]
    assert not harness.context.trading_status.has(EntryBlock.POSITION_MISMATCH)
    assert harness.now > NOW
