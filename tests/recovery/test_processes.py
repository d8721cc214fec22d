"""Processes killed during a halt, a change of settings, a restart by the launcher, or a clean stop."""

import json
import urllib.error
import urllib.request
from contextlib import suppress

import psutil
import pytest

from src.core.operator.control_files import ControlFiles
from src.domain.clock import SystemClock
from src.domain.commands import OperatorAction
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.launch.shutdown import EXIT_OPEN_ENTRIES
from src.sandbox.faults import FOREVER, FaultKind
from src.utils.auth import ApiVersion
from tests.faults.harness import wait_until
from tests.recovery.harness import BotHarness, Crash, each_setup, with_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

HALTED = "HALTED"
NEW_THRESHOLD = 123_456


def test_halt_file_applies_after_writer_and_bot_are_killed(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    halt_and_kill(harness)
    harness.kill()
    harness.launch()
    wait_until(lambda: is_halted(harness), 30, "halted")
    harness.liquidate()
    harness.check_recovered()


def test_pending_resume_does_not_release_a_later_halt(harness: BotHarness) -> None:
    harness.start()
    harness.kill()
    files = ControlFiles(harness.home / "bot.db")
    files.write_command(OperatorAction.RESUME, SystemClock().now_ms() - 1_000)
    halt_and_kill(harness)
    assert files.pending()
    harness.launch()
    wait_until(lambda: not files.pending(), 30, "the resume is handled")
    wait_until(lambda: is_halted(harness), 30, "halted")
    assert files.is_halted


@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_kill_while_handling_a_halt_keeps_the_halt(harness: BotHarness) -> None:
    harness.start()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 5)
    harness.arm(Crash(Point.SENDING, f"cancel {OrderRole.ENTRY}"))
    ControlFiles(harness.home / "bot.db").halt()
    harness.wait_exited()
    harness.launch()
    wait_until(lambda: is_halted(harness), 30, "halted")
    wait_until(lambda: not harness.orders(), 20, "the entry is cancelled")
    harness.check_recovered()


@each_setup("with_launcher", {"dashboard": False, "launcher": True}, variants=[True])
def test_saved_settings_apply_after_a_kill(harness: BotHarness, with_launcher: bool) -> None:
    harness.start()
    harness.open_position()
    harness.arm(Crash(Point.SETTINGS_SAVED), with_launcher=with_launcher)
    save_settings(harness)
    if with_launcher:
        harness.wait_exited()
    else:
        harness.wait_crashed()
        harness.kill()
    saved = json.loads((harness.home / "settings.json").read_text(encoding="utf-8"))
    assert saved["symbols"]["BTCUSDT"]["volume_threshold"] == NEW_THRESHOLD
    harness.start()
    harness.liquidate()
    wait_until(lambda: threshold_of_last_decision(harness) == NEW_THRESHOLD, 20, "decided with the new settings")
    harness.check_recovered()


@with_setup(with_launcher=True, scheme=ApiVersion.V3)
def test_launcher_killed_after_its_bot_is_restarted_manually(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.DEATH_NOTICED, "bot"), with_launcher=False)
    bot_process(harness).kill()
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


@with_setup(with_launcher=True, scheme=ApiVersion.V1)
def test_launcher_restarts_a_killed_bot(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    bot_process(harness).kill()
    harness.fill()
    harness.wait_protected(20)
    harness.wait_trading()
    harness.check_recovered()


def test_kill_after_entries_are_cancelled_is_recovered(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.ENTRIES_CANCELLED))
    harness.request_stop()
    harness.wait_exited()
    harness.fill()
    harness.start()
    harness.check_recovered()


def test_kill_during_the_cancel_of_an_entry_is_recovered(harness: BotHarness) -> None:
    harness.start()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 5)
    harness.arm(Crash(Point.SENDING, f"cancel {OrderRole.ENTRY}"))
    harness.request_stop()
    harness.wait_exited()
    harness.fill()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


def test_stop_that_cannot_cancel_an_entry_ends_with_its_own_code(harness: BotHarness) -> None:
    harness.start()
    entry = harness.trigger_entry()
    wait_until(lambda: harness.status(entry) == "NEW", 5)
    harness.inject(FaultKind.UNAVAILABLE, path="/order", method="DELETE", times=FOREVER)
    harness.request_stop()
    assert harness.process is not None
    assert harness.process.wait(40) == EXIT_OPEN_ENTRIES
    assert f"the entry {entry} of BTCUSDT" in harness.output
    assert "Cancel it on the exchange's site" in harness.output
    assert not [line for line in harness.output.splitlines() if "restarting" in line]
    assert [alert for alert in harness.alerts() if entry in alert]
    harness.exchange.clear_faults()
    harness.fill()
    harness.start()
    harness.wait_protected(20)
    assert len(harness.received_orders(OrderRole.ENTRY)) == 1


def threshold_of_last_decision(harness: BotHarness) -> float:
    [last] = harness.rows("SELECT threshold FROM decisions ORDER BY liquidation_id DESC LIMIT 1")
    return float(last["threshold"])


def is_halted(harness: BotHarness) -> bool:
    return harness.is_alive and harness.trading_status()[0] == HALTED


def halt_and_kill(harness: BotHarness) -> None:
    """Run ``main.py --halt`` and kill it right after it has written the file."""
    harness.arm(Crash(Point.HALT_WRITTEN), with_launcher=False)
    harness.call("main.py", "--home", str(harness.home), "--halt")
    assert harness.has_crashed


def save_settings(harness: BotHarness) -> None:
    """Save settings as the dashboard does; there will be no response."""
    address = f"http://127.0.0.1:{harness.port}"
    document = json.loads((harness.home / "settings.json").read_text(encoding="utf-8"))
    document["symbols"]["BTCUSDT"]["volume_threshold"] = NEW_THRESHOLD
    token = (harness.home / "dashboard.token").read_text(encoding="utf-8")
    headers = {"Origin": address, "X-Hunter-Token": token, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/config", json.dumps(document).encode(), headers)
    with suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(request, timeout=20).read()


def bot_process(harness: BotHarness) -> psutil.Process:
    return psutil.Process(harness.state("bot")["pid"])
