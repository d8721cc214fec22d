"""The operator's wishes, from the dashboard's file to the bot."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine

from src.database.control import CommandDesk, CommandReader, open_control
from src.domain.enums import PositionSide
from src.domain.messages import OperatorAction, OperatorCommand
from tests.builders import ENTRY_ID, NOW, D
from tests.database.reading import rows


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "data" / "control.db"


@pytest.fixture
def writer(control: Path) -> Iterator[Engine]:
    engine = open_control(control)
    yield engine
    engine.dispose()


def test_a_wish_reaches_the_bot_as_it_was_made(writer: Engine, control: Path) -> None:
    desk = CommandDesk(writer)
    first = desk.ask(OperatorAction.PAUSE, "a", NOW)
    details = {"symbol": "BTCUSDT", "position_side": "LONG", "fraction": D("0.5"), "client_order_id": ENTRY_ID}
    second = desk.ask(OperatorAction.CLOSE_POSITION, "b", NOW + 1, **details)
    assert CommandReader(control).after(0) == [
        OperatorCommand(first, OperatorAction.PAUSE, NOW),
        OperatorCommand(
            second, OperatorAction.CLOSE_POSITION, NOW + 1, "BTCUSDT", PositionSide.LONG, D("0.5"), ENTRY_ID
        ),
    ]


def test_only_newer_wishes_are_read(writer: Engine, control: Path) -> None:
    first = CommandDesk(writer).ask(OperatorAction.PAUSE, "a", NOW)
    second = CommandDesk(writer).ask(OperatorAction.RESUME, "b", NOW)
    assert [command.id for command in CommandReader(control).after(first)] == [second]
    assert CommandReader(control).after(second) == []


def test_a_double_click_from_two_threads_is_one_wish(writer: Engine) -> None:
    desk = CommandDesk(writer)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(desk.ask, OperatorAction.FLATTEN, "same nonce", NOW) for _ in range(32)]
        assert len({each.result(timeout=30) for each in asked}) == 1
    assert rows(writer, "SELECT count(*) FROM operator_commands") == [(1,)]


def test_a_file_that_is_not_there_yet_holds_no_wishes(control: Path) -> None:
    assert CommandReader(control).after(0) == []
    assert not control.exists()


def test_a_file_without_tables_yet_is_nothing_to_speak_of(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    control.parent.mkdir()
    control.touch()
    assert CommandReader(control).after(0) == []
    assert caplog.records == []


def test_a_file_that_cannot_be_read_is_said_once(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    control.mkdir(parents=True)
    reader = CommandReader(control)
    with caplog.at_level(logging.ERROR):
        assert [reader.after(0) for _ in range(3)] == [[], [], []]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_opening_again_keeps_what_was_asked(writer: Engine, control: Path) -> None:
    CommandDesk(writer).ask(OperatorAction.HALT, "a", NOW)
    writer.dispose()
    open_control(control).dispose()
    assert [command.action for command in CommandReader(control).after(0)] == [OperatorAction.HALT]


def test_settings_that_were_put_in_force_are_kept(writer: Engine) -> None:
    CommandDesk(writer).keep_settings({"globals": {"db_path": "bot.db"}}, "币安人生USDT added", NOW)
    found = rows(writer, "SELECT at, document, message FROM settings_history")
    assert found == [(NOW, '{"globals": {"db_path": "bot.db"}}', "币安人生USDT added")]


def test_a_file_of_an_earlier_version_learns_what_may_be_asked_for_since(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    engine = open_control(path)
    CommandDesk(engine).ask(OperatorAction.PAUSE, "before", NOW)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE operator_commands DROP COLUMN terms")
    engine.dispose()
    engine = open_control(path)
    CommandDesk(engine).ask(OperatorAction.CONFIRM_LIVE, "after", NOW + 1, terms="abc")
    assert [(each.action, each.terms) for each in CommandReader(path).after(0)] == [
        (OperatorAction.PAUSE, None),
        (OperatorAction.CONFIRM_LIVE, "abc"),
    ]
    engine.dispose()
