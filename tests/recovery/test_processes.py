"""The kill flag, new settings, the launcher and a graceful stop, each ended half-way (C22, C23, C25, C26)."""

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
from src.utils.auth import ApiVersion
from tests.faults.harness import wait_until
from tests.recovery.harness import BotHarness, Crash, each_setup, with_setup

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

HALTED = "HALTED"
NEW_THRESHOLD = 123_456


def test_c22_a_kill_flag_holds_though_its_writer_dies_with_the_bot(harness: BotHarness) -> None:
    harness.start()
    harness.open_position()
    halt_half_way(harness)
    harness.kill()
    harness.launch()
    wait_until(lambda: is_halted(harness), 30, "halted")
    harness.liquidate()
    harness.check_recovered()


def test_c22_a_resume_that_still_waited_does_not_lift_the_later_halt(harness: BotHarness) -> None:
    harness.start()
    harness.kill()
    files = ControlFiles(harness.home / "bot.db")
    files.write_command(OperatorAction.RESUME, SystemClock().now_ms() - 1_000)
    halt_half_way(harness)
    assert files.pending()
    harness.launch()
    wait_until(lambda: not files.pending(), 30, "the resume is dealt with")
    wait_until(lambda: is_halted(harness), 30, "halted")
    assert files.is_halted


@with_setup(with_launcher=False, scheme=ApiVersion.V3)
def test_c22_the_bot_dies_when_it_deals_with_the_kill_flag(harness: BotHarness) -> None:
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
def test_c23_settings_that_were_saved_are_in_force_after_the_next_start(
    harness: BotHarness, with_launcher: bool
) -> None:
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
    wait_until(lambda: threshold_of_last_decision(harness) == NEW_THRESHOLD, 20, "judged by the new settings")
    harness.check_recovered()


@with_setup(with_launcher=True, scheme=ApiVersion.V3)
def test_c25_a_launcher_that_dies_with_its_bot_is_started_by_hand(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.DEATH_NOTICED, "bot"), with_launcher=False)
    the_bot(harness).kill()
    harness.fill()
    harness.wait_exited()
    harness.start()
    harness.wait_protected(20)
    harness.check_recovered()


@with_setup(with_launcher=True, scheme=ApiVersion.V1)
def test_a_killed_bot_is_brought_back_by_its_launcher(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    the_bot(harness).kill()
    harness.fill()
    harness.wait_protected(20)
    harness.wait_trading()
    harness.check_recovered()


def test_c26_a_graceful_stop_is_cut_short(harness: BotHarness) -> None:
    harness.start()
    harness.trigger_entry()
    harness.arm(Crash(Point.ENTRIES_CANCELLED))
    harness.request_stop()
    harness.wait_exited()
    harness.fill()
    harness.start()
    harness.check_recovered()


def test_c26_entries_are_cancelled_by_a_graceful_stop_whose_cancel_is_cut_short(harness: BotHarness) -> None:
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


def threshold_of_last_decision(harness: BotHarness) -> float:
    [last] = harness.rows("SELECT threshold FROM decisions ORDER BY liquidation_id DESC LIMIT 1")
    return float(last["threshold"])


def is_halted(harness: BotHarness) -> bool:
    return harness.is_alive and harness.trading_status()[0] == HALTED


def halt_half_way(harness: BotHarness) -> None:
    """``main.py --halt``, killed when the flag is there and nothing else is done."""
    harness.arm(Crash(Point.HALT_WRITTEN), with_launcher=False)
    harness.call("main.py", "--home", str(harness.home), "--halt")
    assert harness.has_crashed


def save_settings(harness: BotHarness) -> None:
    """As the page does it; the answer never comes."""
    address = f"http://127.0.0.1:{harness.port}"
    document = json.loads((harness.home / "settings.json").read_text(encoding="utf-8"))
    document["symbols"]["BTCUSDT"]["volume_threshold"] = NEW_THRESHOLD
    token = (harness.home / "dashboard.token").read_text(encoding="utf-8")
    headers = {"Origin": address, "X-Hunter-Token": token, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/config", json.dumps(document).encode(), headers)
    with suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(request, timeout=20).read()


def the_bot(harness: BotHarness) -> psutil.Process:
    return psutil.Process(harness.state("bot")["pid"])
