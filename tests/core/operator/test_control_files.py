"""The HALT file and command files beside a database."""

import os
import re
from pathlib import Path

import pytest

from src.core.operator.control_files import ControlFiles, remove_command_file, remove_halt_file
from src.core.trading_status import EntryBlock
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, PositionSide, TradingState
from tests.builders import NOW
from tests.core.harness import Harness

ENTRY, CLOSE = OrderRole.ENTRY, OrderRole.CLOSE
FLATTEN, RESUME = OperatorAction.FLATTEN, OperatorAction.RESUME


@pytest.fixture
def control_files(tmp_path: Path) -> ControlFiles:
    return ControlFiles(tmp_path / "data" / "bot.db")


def touched_at(file: Path, at: int) -> None:
    os.utime(file, ns=(at * 1_000_000, at * 1_000_000))


def test_halt_file_has_modification_time(control_files: ControlFiles, tmp_path: Path) -> None:
    assert (control_files.is_halted, control_files.read_halt().modified_at) == (False, None)
    control_files.halt()
    touched_at(control_files.halt_file, NOW)
    assert control_files.halt_file == tmp_path / "data" / "HALT"
    assert (control_files.is_halted, control_files.read_halt().modified_at) == (True, NOW)


def test_pending_commands_are_sorted_by_time(control_files: ControlFiles) -> None:
    assert control_files.pending() == []
    later = control_files.write_command(RESUME, NOW + 1)
    earlier = control_files.write_command(FLATTEN, NOW)
    (later.file.parent / "notes.txt").touch()
    assert control_files.pending() == [earlier, later]
    remove_command_file(earlier.file)
    remove_command_file(earlier.file)
    assert control_files.pending() == [later]


def test_halt_withdraws_pending_resume_only(control_files: ControlFiles) -> None:
    control_files.write_command(RESUME, NOW)
    flatten = control_files.write_command(FLATTEN, NOW)
    control_files.halt()
    assert control_files.pending() == [flatten]


@pytest.mark.parametrize(("requested_at", "remains"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_resume_removes_older_halt(control_files: ControlFiles, requested_at: int, remains: bool) -> None:
    control_files.halt()
    touched_at(control_files.halt_file, NOW)
    remove_halt_file(control_files.halt_file, requested_at)
    assert control_files.is_halted is remains
    control_files.halt_file.unlink(missing_ok=True)
    remove_halt_file(control_files.halt_file, requested_at)  # a missing file is no error


def test_undeletable_control_file_is_logged(control_files: ControlFiles, caplog: pytest.LogCaptureFixture) -> None:
    control_files.halt_file.mkdir(parents=True)
    remove_halt_file(control_files.halt_file, control_files.read_halt().modified_at or 0)
    remove_command_file(control_files.halt_file)
    assert "which blocks entries until it is removed" in caplog.text
    assert "command carried out, but its file cannot be removed" in caplog.text


@pytest.fixture
def files(path: Path) -> ControlFiles:
    return ControlFiles(path)


def halt(harness: Harness, files: ControlFiles) -> None:
    files.halt()
    os.utime(files.halt_file, ns=(harness.now * 1_000_000, harness.now * 1_000_000))
    harness.feed(files.read_halt())


def last_answer(harness: Harness) -> str:
    return str(harness.journal("command")[-1]["message"])


def test_halt_file_halts_until_removed(harness: Harness, files: ControlFiles) -> None:
    entry = harness.enter()
    halt(harness, files)
    assert harness.cancelled() == [entry.client_order_id]
    assert harness.rows("SELECT value FROM bot_state WHERE key = 'trading'")[0]["value"] == (
        '{"state": "HALTED", "reason": "halted by the file HALT beside the database", "needs_resume": true}'
    )
    harness.feed(files.read_halt())  # touched again: not journaled twice
    assert last_answer(harness) == ("halted by the file HALT; cancelling 1 open entries, positions stay protected")
    assert len(harness.journal("command")) == 1
    files.halt_file.unlink()
    harness.feed(files.read_halt())
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert last_answer(harness) == "the file HALT was removed"


def test_halt_file_cancels_unconfirmed_entry(harness: Harness, files: ControlFiles) -> None:
    harness.liquidate()
    entry = harness.last(ENTRY)
    halt(harness, files)
    assert harness.cancelled() == []
    harness.accept(entry)
    assert harness.cancelled() == [entry.client_order_id]
    harness.liquidate()
    assert harness.verdicts()[-1] == Gate.TRADING_STATE


def test_dashboard_resume_removes_halt_file(harness: Harness, files: ControlFiles) -> None:
    halt(harness, files)
    harness.command(RESUME)
    assert not files.is_halted
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert last_answer(harness) == "entries resumed"


def test_newer_halt_survives_resume(harness: Harness, files: ControlFiles) -> None:
    halt(harness, files)
    harness.feed(OperatorCommand(NOW + 1, RESUME, harness.now - 1))
    assert files.is_halted
    assert harness.context.trading_status.has(EntryBlock.HALT_FILE)


def test_command_file_is_removed_after_commit(harness: Harness, files: ControlFiles) -> None:
    harness.open_position()
    request = files.write_command(FLATTEN, harness.now)
    harness.context.after_commit.append(lambda: was_there.append(request.file.exists()))
    was_there: list[bool] = []
    harness.feed(request)
    assert was_there == [True]
    assert files.pending() == []
    assert len(harness.submitted(CLOSE)) == 1
    assert harness.context.trading_status.has(EntryBlock.OPERATOR_PAUSE)


def test_leftover_command_file_is_only_removed(harness: Harness, files: ControlFiles) -> None:
    request = files.write_command(FLATTEN, harness.now)
    harness.feed(request)
    request.file.touch()  # killed between commit and removal
    again = harness.restart().connect()
    again.command(RESUME)
    again.feed(request)
    assert files.pending() == []
    assert again.context.trading_status.state is TradingState.ACTIVE
    again.close()


def test_failed_transaction_keeps_command_file(
    harness: Harness, files: ControlFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = files.write_command(FLATTEN, harness.now)
    monkeypatch.setattr(harness.context.store, "journal", _broken)
    with pytest.raises(OSError, match="disk"):
        harness.feed(request)
    assert files.pending() == [request]


def _broken(*_: object, **__: object) -> None:
    raise OSError("disk full")


def test_resume_file_ends_dashboard_halt(harness: Harness, files: ControlFiles) -> None:
    harness.command(OperatorAction.HALT)
    harness.command(OperatorAction.PAUSE)
    harness.feed(files.write_command(RESUME, harness.now))
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert harness.restart().context.trading_status.has(EntryBlock.OPERATOR_HALT) is False


def test_only_newest_command_files_are_remembered(harness: Harness, files: ControlFiles) -> None:
    for number in range(25):
        harness.feed(files.write_command(RESUME, NOW + number))
    (state,) = harness.rows("SELECT value FROM bot_state WHERE key = 'operator_state'")
    assert state["value"].count("resume-") == 20


@pytest.mark.parametrize("symbol", ["BTCUSDT", "币安人生USDT", "1000SHIB-PERP", 'A/B:C*?<>|"\\U.%2F ~', "x" * 150])
def test_answer_about_a_position_keeps_any_symbol(control_files: ControlFiles, symbol: str) -> None:
    written = control_files.write_command(OperatorAction.POSITION_EXTERNAL, NOW, symbol, PositionSide.SHORT)
    assert (written.symbol, written.position_side) == (symbol, PositionSide.SHORT)
    assert re.fullmatch(r"[A-Za-z0-9._~%-]{1,255}", written.file.name)  # valid on Windows too
    assert control_files.pending() == [written]


@pytest.mark.parametrize("symbol", ["", "x" * 151, "币" * 40])
def test_symbol_that_fits_no_file_name_is_refused(control_files: ControlFiles, symbol: str) -> None:
    with pytest.raises(ValueError, match="is not a symbol"):
        control_files.write_command(OperatorAction.POSITION_OURS, NOW, symbol, PositionSide.LONG)
    assert control_files.pending() == []


def test_resume_answers_no_question_and_needs_no_symbol(control_files: ControlFiles) -> None:
    resume = control_files.write_command(RESUME, NOW)
    for name in ("resume-LONG-BTCUSDT-1-00000000", "position_ours-1-00000000", "position_ours-UP-BTCUSDT-1-00000000"):
        (resume.file.parent / name).touch()
    assert control_files.pending() == [resume]


def test_file_command_names_its_position_to_the_bot(
    harness: Harness, files: ControlFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever carries the answer out gets the symbol and side of the file's name."""
    asked: list[OperatorCommand] = []

    def answer(command: OperatorCommand) -> str:
        asked.append(command)
        return "done"

    monkeypatch.setitem(harness.trader._operator._actions, OperatorAction.POSITION_OURS, answer)
    harness.feed(files.write_command(OperatorAction.POSITION_OURS, NOW, "币安人生USDT", PositionSide.BOTH))
    (command,) = asked
    assert (command.symbol, command.position_side, last_answer(harness)) == ("币安人生USDT", PositionSide.BOTH, "done")
    assert files.pending() == []
