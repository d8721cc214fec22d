"""Operator commands and the settings history in ``control.db``."""

import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from src.database.control import CommandReader, CommandWriter, SettingsVersion, open_control, settings_history
from src.database.db import make_private, read_transaction
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide
from src.domain.errors import ConfigError
from tests.builders import ENTRY_ID, NOW, D
from tests.database.helpers import rows


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "data" / "control.db"


@pytest.fixture
def writer(control: Path) -> Iterator[Engine]:
    engine = open_control(control)
    yield engine
    engine.dispose()


def test_command_round_trip(writer: Engine, control: Path) -> None:
    commands = CommandWriter(writer)
    first = commands.add(OperatorAction.PAUSE, "a", NOW)
    details = {"symbol": "BTCUSDT", "position_side": "LONG", "close_fraction": D("0.5"), "client_order_id": ENTRY_ID}
    second = commands.add(OperatorAction.CLOSE_POSITION, "b", NOW + 1, **details)
    assert CommandReader(control).after(0) == [
        OperatorCommand(first, OperatorAction.PAUSE, NOW),
        OperatorCommand(
            second, OperatorAction.CLOSE_POSITION, NOW + 1, "BTCUSDT", PositionSide.LONG, D("0.5"), ENTRY_ID
        ),
    ]


def test_only_newer_commands_are_read(writer: Engine, control: Path) -> None:
    first = CommandWriter(writer).add(OperatorAction.PAUSE, "a", NOW)
    second = CommandWriter(writer).add(OperatorAction.RESUME, "b", NOW)
    assert [command.id for command in CommandReader(control).after(first)] == [second]
    assert CommandReader(control).after(second) == []


def test_same_nonce_from_two_threads_is_one_command(writer: Engine) -> None:
    commands = CommandWriter(writer)
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(commands.add, OperatorAction.FLATTEN, "same nonce", NOW) for _ in range(32)]
        assert len({each.result(timeout=30) for each in futures}) == 1
    assert rows(writer, "SELECT count(*) FROM operator_commands") == [(1,)]


def test_missing_file_has_no_commands(control: Path) -> None:
    assert CommandReader(control).after(0) == []
    assert not control.exists()


def test_file_without_tables_is_not_logged(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    control.parent.mkdir()
    control.touch()
    assert CommandReader(control).after(0) == []
    assert caplog.records == []


def test_unreadable_file_is_logged_once(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    control.mkdir(parents=True)
    reader = CommandReader(control)
    with caplog.at_level(logging.ERROR):
        assert [reader.after(0) for _ in range(3)] == [[], [], []]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_reopening_keeps_commands(writer: Engine, control: Path) -> None:
    CommandWriter(writer).add(OperatorAction.HALT, "a", NOW)
    writer.dispose()
    open_control(control).dispose()
    assert [command.action for command in CommandReader(control).after(0)] == [OperatorAction.HALT]


def test_settings_history_is_kept(writer: Engine) -> None:
    CommandWriter(writer).add_settings_version({"globals": {"db_path": "bot.db"}}, "币安人生USDT added", NOW)
    found = rows(writer, "SELECT saved_at, document, message FROM settings_history")
    assert found == [(NOW, '{"globals": {"db_path": "bot.db"}}', "币安人生USDT added")]


def test_old_settings_versions_and_commands_are_pruned(
    writer: Engine, control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.database.control.MAX_SETTINGS_VERSIONS", 3)
    monkeypatch.setattr("src.database.control.MAX_COMMANDS", 4)
    commands = CommandWriter(writer)
    for number in range(6):
        commands.add_settings_version({"number": number}, "saved", NOW)
    ids = [commands.add(OperatorAction.PAUSE, f"nonce-{number}", NOW) for number in range(6)]
    with read_transaction(writer) as connection:
        assert [version.document["number"] for version in settings_history(connection, 10)] == [5, 4, 3]
    assert [command.id for command in CommandReader(control).after(0)] == ids[2:]


def test_earlier_version_is_upgraded(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    control.parent.mkdir()
    with closing(sqlite3.connect(control)) as connection:
        connection.executescript((Path(__file__).parent / "control_0003.sql").read_text(encoding="utf-8"))
    reader = CommandReader(control)
    assert reader.after(0) == []  # the bot may read it before the dashboard has renamed its columns
    engine = open_control(control)
    assert reader.after(0) == [
        OperatorCommand(NOW, OperatorAction.CLOSE_POSITION, NOW, "BTCUSDT", PositionSide.LONG, D("0.5")),
        OperatorCommand(NOW + 1, OperatorAction.CONFIRM_LIVE, NOW + 1, terms_fingerprint="0123456789abcdef"),
    ]
    assert CommandWriter(engine).add(OperatorAction.CLOSE_POSITION, "a name of mine", NOW + 2) == NOW
    with read_transaction(engine) as connection:
        assert settings_history(connection, 9) == [SettingsVersion(1, NOW, {"globals": {}}, "first")]
    engine.dispose()
    open_control(control).dispose()
    assert caplog.records == []


def test_older_file_gets_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    engine = open_control(path)
    CommandWriter(engine).add(OperatorAction.PAUSE, "before", NOW)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE operator_commands DROP COLUMN terms_fingerprint")
    engine.dispose()
    engine = open_control(path)
    CommandWriter(engine).add(OperatorAction.CONFIRM_LIVE, "after", NOW + 1, terms_fingerprint="abc")
    assert [(each.action, each.terms_fingerprint) for each in CommandReader(path).after(0)] == [
        (OperatorAction.PAUSE, None),
        (OperatorAction.CONFIRM_LIVE, "abc"),
    ]
    engine.dispose()


DAMAGED = b"no database, whatever its name says" * 100


def add_command(path: Path, action: OperatorAction, now_ms: int) -> int:
    """Add one command to a file and close it."""
    engine: Engine = open_control(path)
    number = CommandWriter(engine).add(action, f"nonce {now_ms}", now_ms)
    engine.dispose()
    return number


def test_command_ids_increase_when_clock_is_set_back(control: Path) -> None:
    numbers = [add_command(control, OperatorAction.PAUSE, at) for at in (NOW, NOW + 1, NOW - 60_000)]
    assert numbers == sorted(set(numbers))
    assert [each.id for each in CommandReader(control).after(numbers[0])] == numbers[1:]


def test_commands_in_recreated_file_have_higher_ids(control: Path) -> None:
    seen = add_command(control, OperatorAction.PAUSE, NOW)
    for file in control.parent.iterdir():
        file.unlink()
    halt = add_command(control, OperatorAction.HALT, NOW + 1)
    assert [each.id for each in CommandReader(control).after(seen)] == [halt]


def test_damaged_file_is_logged_once(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_private(control)
    control.write_bytes(DAMAGED)
    reader = CommandReader(control)
    assert [reader.after(0), reader.after(0)] == [[], []]
    assert caplog.text.count("cannot be read") == 1


def test_damaged_file_is_quarantined_at_dashboard_start(control: Path) -> None:
    make_private(control)
    control.write_bytes(DAMAGED)
    open_control(control).dispose()
    assert [each.read_bytes() for each in control.parent.glob("control.db.corrupt-*")] == [DAMAGED]
    assert CommandReader(control).after(0) == []


def test_unknown_action_is_skipped(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_command(control, OperatorAction.PAUSE, NOW)
    with closing(sqlite3.connect(control)) as other:
        other.execute("UPDATE operator_commands SET action = 'dance'")
        other.commit()
    halt = add_command(control, OperatorAction.HALT, NOW + 1)
    assert [each.id for each in CommandReader(control).after(0)] == [halt]
    assert "unknown action: dance" in caplog.text


def test_unwritable_directory_is_config_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in place of the directory", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_control(tmp_path / "data" / "control.db")
