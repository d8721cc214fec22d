"""A clean stop: it ends when no entry can fill any more, or names what it leaves at the exchange."""

import pytest

from src.bot.bot import STOP_SECONDS
from src.domain.enums import OrderRole
from src.launch.shutdown import EXIT_OPEN_ENTRIES, EXIT_RESTART, EXIT_STOPPED
from src.sandbox.faults import FOREVER, FaultKind
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

ENTRY, STOP = OrderRole.ENTRY, OrderRole.STOP_LOSS
_ANSWERS_AGAIN_MS = 4_000


@pytest.fixture
def patient(make_harness: MakeHarness) -> FaultHarness:
    """A bot that waits as long as in production for its entries to be cancelled."""
    harness = make_harness({"hedge_mode": True})
    harness.stop_seconds = STOP_SECONDS
    return harness.start()


def refuse_cancels(harness: FaultHarness, times: int = FOREVER) -> None:
    harness.inject(FaultKind.UNAVAILABLE, path="/order", method="DELETE", times=times)


def place_entry(harness: FaultHarness) -> str:
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 10, "the entry is confirmed")
    return entry


def test_f54_stop_names_the_entry_that_is_not_cancelled(harness: FaultHarness) -> None:
    entry = place_entry(harness)
    refuse_cancels(harness)
    assert harness.stop() == EXIT_OPEN_ENTRIES
    assert [order.client_order_id for order in harness.orders()] == [entry]
    [alert] = [each for each in harness.alerts() if "is not confirmed as cancelled" in each]
    assert entry in alert
    assert "BUY, quantity 0.005, price " in alert
    assert "Cancel it on the exchange's site" in alert
    assert harness.rows("SELECT ended_at FROM bot_runs ORDER BY id")[-1]["ended_at"], "the run ended on its own"
    harness.fill()  # nobody is there
    harness.exchange.clear_faults()
    harness.start()
    harness.wait_protected()
    harness.check_consistency(unprotected_ms=60_000)


def test_f54_stop_waits_until_the_entry_is_cancelled(patient: FaultHarness) -> None:
    place_entry(patient)
    refuse_cancels(patient, times=2)
    assert patient.stop() == EXIT_STOPPED
    assert patient.orders() == []
    assert not [each for each in patient.alerts() if "is not confirmed as cancelled" in each]


def test_f54_stop_waits_until_an_unanswered_entry_is_found_and_cancelled(patient: FaultHarness) -> None:
    patient.silence_user_stream()
    patient.inject(FaultKind.UNKNOWN_OUTCOME, ENTRY)
    patient.inject(FaultKind.UNAVAILABLE, path="/order", method="GET", times=2)
    patient.trigger_entry()
    assert patient.stop() == EXIT_STOPPED
    assert patient.orders() == []


def test_f54_stop_waits_until_an_unanswered_entry_counts_as_lost(make_harness: MakeHarness) -> None:
    harness = make_harness()
    harness.stop_seconds = 2 * STOP_SECONDS  # on a slow machine the evidence takes longer
    harness.start()
    harness.inject(FaultKind.UNAVAILABLE, ENTRY)
    entry = harness.trigger_entry()
    assert harness.stop() == EXIT_STOPPED
    assert harness.status(entry) == "REJECTED"


def test_f54_stop_waits_for_the_stop_loss_of_a_fill(patient: FaultHarness) -> None:
    place_entry(patient)
    refuse_cancels(patient, times=1)
    patient.inject(FaultKind.DELAY, STOP, value=_ANSWERS_AGAIN_MS // 2)
    patient.request_stop()
    patient.fill()
    assert patient.stop() == EXIT_STOPPED
    assert patient.position
    assert len(patient.orders(STOP)) == 1


@pytest.mark.parametrize(("is_stopped_too", "code"), [(False, EXIT_RESTART), (True, EXIT_OPEN_ENTRIES)])
def test_f49_restart_leaves_its_entries_to_the_next_process_unless_there_is_none(
    harness: FaultHarness, is_stopped_too: bool, code: int
) -> None:
    entry = place_entry(harness)
    refuse_cancels(harness)
    harness.bot._restart._requested.set()
    wait_until(lambda: "the bot is stopping" in harness.trading_status()[1], 10, "the bot ends for a restart")
    if is_stopped_too:
        harness.request_stop()
    wait_until(lambda: harness.exit_code is not None, 20, "the bot has ended")
    assert harness.exit_code == code
    assert [entry in alert for alert in harness.alerts() if "the bot stops" in alert] == [True] * is_stopped_too
