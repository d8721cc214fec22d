"""The command line: commands for the bot, and its status report."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.operator.cli import CliCommand, parse_arguments, run_command
from src.core.operator.control_files import ControlFiles
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction
from src.domain.enums import OrderRole
from tests.builders import NOW, settings_document
from tests.core.harness import Harness


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DB_PATH", "API_KEY", "API_SECRET", "ASTER_NETWORK", "HUNTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    document = settings_document()
    document["globals"]["db_path"] = "bot.db"
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


@pytest.fixture
def alive(home: Path) -> Iterator[Harness]:
    """A running bot of this home."""
    harness = Harness(home / "bot.db").connect()
    yield harness
    harness.close()


def run(command: CliCommand, home: Path, now_ms: int = NOW) -> int:
    return run_command(command, str(home), ManualClock(now_ms))


def pending_actions(home: Path) -> list[OperatorAction]:
    return [request.action for request in ControlFiles(home / "bot.db").pending()]


def modified_times(home: Path) -> dict[str, float]:
    """Modification time of each database file."""
    return {file.name: file.stat().st_mtime for file in home.glob("*.db*") if not file.name.endswith("-shm")}


def test_commands_are_mutually_exclusive() -> None:
    assert parse_arguments([]).command is None
    assert parse_arguments(["--halt", "--home", "x"]).command is CliCommand.HALT
    for both in (["--halt", "--resume"], ["--status", "--protect-only"]):
        with pytest.raises(SystemExit):
            parse_arguments(both)


def test_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    output = capsys.readouterr().out
    assert all(f"--{command}" in output for command in CliCommand)
    assert "Exit codes" in output


def test_halt_and_resume_without_running_bot(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CliCommand.HALT, home) == 0
    assert (home / "HALT").exists()
    assert "No bot is running" in capsys.readouterr().out
    assert run(CliCommand.RESUME, home) == 0
    assert not (home / "HALT").exists()
    assert pending_actions(home) == [OperatorAction.RESUME]
    run(CliCommand.HALT, home)
    assert pending_actions(home) == []


def test_flatten_creates_command_file(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    before = modified_times(home)
    assert run(CliCommand.FLATTEN, home, alive.now) == 0
    assert pending_actions(home) == [OperatorAction.FLATTEN]
    assert "The bot does it within a second" in capsys.readouterr().out
    assert modified_times(home) == before


def test_flatten_without_bot_says_how_to_withdraw_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(CliCommand.FLATTEN, home)
    (request,) = ControlFiles(home / "bot.db").pending()
    assert f"unless you delete {request.file} first" in capsys.readouterr().out


def test_unwritable_command_is_reported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "commands").touch()  # a file instead of the directory
    assert run(CliCommand.FLATTEN, home) == 2
    assert "failed:" in capsys.readouterr().err


def test_halt_works_beside_a_damaged_database(home: Path) -> None:
    (home / "bot.db").write_bytes(b"no database at all" * 100)
    assert run(CliCommand.HALT, home) == 0
    assert (home / "HALT").exists()


def test_status_of_trading_bot(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.open_position()
    alive.audit()
    before = modified_times(home)
    assert run(CliCommand.STATUS, home, alive.now + 800) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bot: alive (process 1, sandbox, orders with play money, last heartbeat 0.8 s ago)",
        "trading: ACTIVE",
        "position: BTCUSDT LONG 0.010 at 50000, stop loss 49000.0, take profit 50500.0, mark 50000, protection ok",
        "exposure: 50.00 of 500.00 USDT margin",
        "today: -0.10 USDT net",
    ]
    assert modified_times(home) == before


def test_status_counts_todays_results_exactly(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.open_position()
    alive.clock.advance(10)
    alive.fill(alive.last(OrderRole.STOP_LOSS), pnl="-10.13")
    alive.audit()
    run(CliCommand.STATUS, home, alive.now)
    assert "today: -10.33 USDT net" in capsys.readouterr().out


def test_status_shows_why_entries_are_blocked(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.command(OperatorAction.PAUSE)
    assert run(CliCommand.STATUS, home, alive.now) == 1
    assert "trading: REDUCE_ONLY, entries are paused by the operator" in capsys.readouterr().out
    alive.command(OperatorAction.RESUME)
    run(CliCommand.HALT, home, alive.now)
    assert run(CliCommand.STATUS, home, alive.now) == 1
    assert "HALT: the file exists" in capsys.readouterr().out


def test_bot_without_heartbeat_is_not_alive(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CliCommand.STATUS, home, alive.now + 15_001) == 1
    assert "bot: NOT RUNNING" in capsys.readouterr().out


def test_stopped_bot_is_not_alive(home: Path, alive: Harness) -> None:
    store = alive.context.store
    with store.transaction():
        store.begin_run("1.0", 1)
    assert run(CliCommand.STATUS, home, alive.now) == 0
    with store.transaction():
        store.end_run()
    assert run(CliCommand.STATUS, home, alive.now) == 1


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_status_without_readable_database(
    home: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (home / "bot.db").write_bytes(content)
    assert run(CliCommand.STATUS, home) == 1
    output = capsys.readouterr().out
    assert ("never run here" if content is None else "cannot be read") in output


def test_status_before_the_first_heartbeat(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harness = Harness(home / "bot.db")
    harness.engine.dispose()
    with sqlite3.connect(home / "bot.db") as connection:
        connection.execute("DELETE FROM bot_state")
    connection.close()
    assert run(CliCommand.STATUS, home) == 1
    assert capsys.readouterr().out.splitlines() == ["bot: has never run here", "today: +0.00 USDT net"]
