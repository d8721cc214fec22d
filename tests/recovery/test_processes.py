"""The kill flag, new settings, the launcher and a graceful stop, each ended half-way (C22, C23, C25, C26)."""

import json
import urllib.error
import urllib.request
from contextlib import suppress

import psutil
import pytest

from src.core.operator.operator_files import OperatorFiles
from src.domain.clock import SystemClock
from src.domain.crash_points import Point
from src.domain.enums import OrderRole
from src.domain.messages import OperatorAction
from src.utils.auth import Scheme
from tests.faults.rig import wait_until
from tests.recovery.lives import in_turn, once
from tests.recovery.rig import Crash, Stage

pytestmark = [pytest.mark.slow, pytest.mark.recovery]

HALTED = "HALTED"
NEW_THRESHOLD = 123_456


def test_c22_a_kill_flag_holds_though_its_writer_dies_with_the_bot(stage: Stage) -> None:
    stage.start()
    stage.open_position()
    halt_half_way(stage)
    stage.kill()
    stage.launch()
    wait_until(lambda: is_halted(stage), 30, "halted")
    stage.liquidate()
    stage.check_recovered()


def test_c22_a_resume_that_still_waited_does_not_lift_the_later_halt(stage: Stage) -> None:
    stage.start()
    stage.kill()
    files = OperatorFiles(stage.home / "bot.db")
    files.ask(OperatorAction.RESUME, SystemClock().now_ms() - 1_000)
    halt_half_way(stage)
    assert files.requests()
    stage.launch()
    wait_until(lambda: not files.requests(), 30, "the resume is dealt with")
    wait_until(lambda: is_halted(stage), 30, "halted")
    assert files.is_halted


@once(whole=False, scheme=Scheme.V3)
def test_c22_the_bot_dies_when_it_deals_with_the_kill_flag(stage: Stage) -> None:
    stage.start()
    entry = stage.hunt()
    wait_until(lambda: stage.status(entry) == "NEW", 5)
    stage.arm(Crash(Point.SENDING, f"cancel {OrderRole.ENTRY}"))
    OperatorFiles(stage.home / "bot.db").halt()
    stage.wait_dead()
    stage.launch()
    wait_until(lambda: is_halted(stage), 30, "halted")
    wait_until(lambda: not stage.orders(), 20, "the entry is cancelled")
    stage.check_recovered()


@in_turn("with_launcher", {"dashboard": False, "launcher": True}, wholes=[True])
def test_c23_settings_that_were_saved_are_in_force_after_the_next_start(stage: Stage, with_launcher: bool) -> None:
    stage.start()
    stage.open_position()
    stage.arm(Crash(Point.SETTINGS_SAVED), with_launcher=with_launcher)
    save_settings(stage)
    if with_launcher:
        stage.wait_dead()
    else:
        stage.wait_struck()
        stage.kill()
    saved = json.loads((stage.home / "settings.json").read_text(encoding="utf-8"))
    assert saved["symbols"]["BTCUSDT"]["volume_threshold"] == NEW_THRESHOLD
    stage.start()
    stage.liquidate()
    wait_until(lambda: threshold_of_last_decision(stage) == NEW_THRESHOLD, 20, "judged by the new settings")
    stage.check_recovered()


@once(whole=True, scheme=Scheme.V3)
def test_c25_a_launcher_that_dies_with_its_bot_is_started_by_hand(stage: Stage) -> None:
    stage.start()
    stage.hunt()
    stage.arm(Crash(Point.DEATH_NOTICED, "bot"), with_launcher=False)
    the_bot(stage).kill()
    stage.fill()
    stage.wait_dead()
    stage.start()
    stage.wait_protected(20)
    stage.check_recovered()


@once(whole=True, scheme=Scheme.V1)
def test_a_killed_bot_is_brought_back_by_its_launcher(stage: Stage) -> None:
    stage.start()
    stage.hunt()
    the_bot(stage).kill()
    stage.fill()
    stage.wait_protected(20)
    stage.wait_trading()
    stage.check_recovered()


def test_c26_a_graceful_stop_is_cut_short(stage: Stage) -> None:
    stage.start()
    stage.hunt()
    stage.arm(Crash(Point.ENTRIES_CANCELLED))
    stage.ask_to_stop()
    stage.wait_dead()
    stage.fill()
    stage.start()
    stage.check_recovered()


def test_c26_entries_are_cancelled_by_a_graceful_stop_whose_cancel_is_cut_short(stage: Stage) -> None:
    stage.start()
    entry = stage.hunt()
    wait_until(lambda: stage.status(entry) == "NEW", 5)
    stage.arm(Crash(Point.SENDING, f"cancel {OrderRole.ENTRY}"))
    stage.ask_to_stop()
    stage.wait_dead()
    stage.fill()
    stage.start()
    stage.wait_protected(20)
    stage.check_recovered()


def threshold_of_last_decision(stage: Stage) -> float:
    [last] = stage.rows("SELECT threshold FROM decisions ORDER BY liquidation_id DESC LIMIT 1")
    return float(last["threshold"])


def is_halted(stage: Stage) -> bool:
    return stage.is_alive and stage.trading()[0] == HALTED


def halt_half_way(stage: Stage) -> None:
    """``main.py --halt``, killed when the flag is there and nothing else is done."""
    stage.arm(Crash(Point.HALT_WRITTEN), with_launcher=False)
    stage.call("main.py", "--home", str(stage.home), "--halt")
    assert stage.has_struck


def save_settings(stage: Stage) -> None:
    """As the page does it; the answer never comes."""
    address = f"http://127.0.0.1:{stage.port}"
    document = json.loads((stage.home / "settings.json").read_text(encoding="utf-8"))
    document["symbols"]["BTCUSDT"]["volume_threshold"] = NEW_THRESHOLD
    token = (stage.home / "dashboard.token").read_text(encoding="utf-8")
    headers = {"Origin": address, "X-Hunter-Token": token, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/config", json.dumps(document).encode(), headers)
    with suppress(OSError, urllib.error.URLError):
        urllib.request.urlopen(request, timeout=20).read()


def the_bot(stage: Stage) -> psutil.Process:
    return psutil.Process(stage.state("bot")["pid"])
