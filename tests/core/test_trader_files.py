"""HALT and the requests of the command line, in the trader: done once, removed after the commit, later word counts."""

import os
from pathlib import Path

import pytest

from src.core.operator.operator_files import OperatorFiles
from src.core.standing import Obstacle
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from src.domain.messages import OperatorAction, OperatorCommand
from tests.builders import NOW
from tests.core.rig import Rig

ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE
FLATTEN, RESUME = OperatorAction.FLATTEN, OperatorAction.RESUME


@pytest.fixture
def files(path: Path) -> OperatorFiles:
    return OperatorFiles(path)


def halted(rig: Rig, files: OperatorFiles) -> None:
    files.halt()
    os.utime(files.halt_file, ns=(rig.now * 1_000_000, rig.now * 1_000_000))
    rig.feed(files.look())


def last_answer(rig: Rig) -> str:
    return str(rig.journal("command")[-1]["message"])


def test_the_halt_file_halts_and_its_absence_ends_that(rig: Rig, files: OperatorFiles) -> None:
    entry = rig.enter()
    halted(rig, files)
    assert rig.cancelled() == [entry.client_order_id]
    assert rig.rows("SELECT value FROM state WHERE key = 'trading'")[0]["value"] == (
        '{"state": "HALTED", "reason": "halted by the file HALT beside the database", "awaits_resume": true}'
    )
    rig.feed(files.look())  # renewed: nothing is told twice
    assert last_answer(rig) == ("the file HALT is there; 1 open entries are being cancelled, positions stay protected")
    assert len(rig.journal("command")) == 1
    files.halt_file.unlink()
    rig.feed(files.look())
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert last_answer(rig) == "the file HALT is gone"


def test_the_halt_file_reaches_an_entry_that_was_on_its_way(rig: Rig, files: OperatorFiles) -> None:
    rig.liquidate()
    entry = rig.last(ENTRY)
    halted(rig, files)
    assert rig.cancelled() == []
    rig.accept(entry)
    assert rig.cancelled() == [entry.client_order_id]
    rig.liquidate()
    assert rig.verdicts()[-1] == Gate.TRADING_STATE


def test_a_resume_at_the_dashboard_removes_the_file(rig: Rig, files: OperatorFiles) -> None:
    halted(rig, files)
    rig.command(RESUME)
    assert not files.is_halted
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert last_answer(rig) == "entries are made again"


def test_a_halt_that_is_newer_than_the_resume_stands(rig: Rig, files: OperatorFiles) -> None:
    halted(rig, files)
    rig.feed(OperatorCommand(NOW + 1, RESUME, rig.now - 1))
    assert files.is_halted
    assert rig.desk.standing.has(Obstacle.HALT_FILE)


def test_a_request_is_carried_out_once_and_removed_after_the_commit(rig: Rig, files: OperatorFiles) -> None:
    rig.open_position()
    request = files.ask(FLATTEN, rig.now)
    rig.desk.after_commit.append(lambda: was_there.append(request.file.exists()))
    was_there: list[bool] = []
    rig.feed(request)
    assert was_there == [True]
    assert files.requests() == []
    assert len(rig.submitted(CLOSE)) == 1
    assert rig.desk.standing.has(Obstacle.OPERATOR_PAUSE)


def test_a_request_that_outlived_its_bot_is_only_removed(rig: Rig, files: OperatorFiles) -> None:
    request = files.ask(FLATTEN, rig.now)
    rig.feed(request)
    request.file.touch()  # killed between commit and removal
    again = rig.restart().connect()
    again.command(RESUME)
    again.feed(request)
    assert files.requests() == []
    assert again.desk.standing.state is TradingState.ACTIVE
    again.close()


def test_a_transaction_that_fails_leaves_the_request(
    rig: Rig, files: OperatorFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = files.ask(FLATTEN, rig.now)
    monkeypatch.setattr(rig.desk.store, "journal", _broken)
    with pytest.raises(OSError, match="disk"):
        rig.feed(request)
    assert files.requests() == [request]


def _broken(*_: object, **__: object) -> None:
    raise OSError("disk full")


def test_resume_by_file_ends_a_halt_of_the_dashboard(rig: Rig, files: OperatorFiles) -> None:
    rig.command(OperatorAction.HALT)
    rig.command(OperatorAction.PAUSE)
    rig.feed(files.ask(RESUME, rig.now))
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert rig.restart().desk.standing.has(Obstacle.OPERATOR_HALT) is False


def test_only_the_newest_requests_are_remembered(rig: Rig, files: OperatorFiles) -> None:
    for number in range(25):
        rig.feed(files.ask(RESUME, NOW + number))
    (state,) = rig.rows("SELECT value FROM state WHERE key = 'operator'")
    assert state["value"].count("resume-") == 20
