"""What may happen to ``control.db``, and must not stop the bot nor bring back an old wish."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from src.database.control import CommandDesk, CommandReader, open_control
from src.database.db import make_private
from src.domain.errors import ConfigError
from src.domain.messages import OperatorAction
from tests.builders import NOW

DAMAGED = b"no database, whatever its name says" * 100


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "data" / "control.db"


def ask_once(path: Path, action: OperatorAction, now_ms: int) -> int:
    """Write one wish into a file, and close it."""
    engine: Engine = open_control(path)
    number = CommandDesk(engine).ask(action, f"nonce {now_ms}", now_ms)
    engine.dispose()
    return number


def test_numbers_rise_even_where_the_clock_was_set_back(control: Path) -> None:
    numbers = [ask_once(control, OperatorAction.PAUSE, at) for at in (NOW, NOW + 1, NOW - 60_000)]
    assert numbers == sorted(set(numbers))
    assert [each.id for each in CommandReader(control).after(numbers[0])] == numbers[1:]


def test_wishes_in_a_file_begun_anew_are_newer_than_those_in_the_lost_one(control: Path) -> None:
    seen = ask_once(control, OperatorAction.PAUSE, NOW)
    for file in control.parent.iterdir():
        file.unlink()
    halt = ask_once(control, OperatorAction.HALT, NOW + 1)
    assert [each.id for each in CommandReader(control).after(seen)] == [halt]


def test_a_damaged_file_stops_nothing_and_is_said_once(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_private(control)
    control.write_bytes(DAMAGED)
    reader = CommandReader(control)
    assert [reader.after(0), reader.after(0)] == [[], []]
    assert caplog.text.count("cannot be read") == 1


def test_a_damaged_file_is_moved_aside_when_the_dashboard_starts(control: Path) -> None:
    make_private(control)
    control.write_bytes(DAMAGED)
    open_control(control).dispose()
    assert [each.read_bytes() for each in control.parent.glob("control.db.corrupt-*")] == [DAMAGED]
    assert CommandReader(control).after(0) == []


def test_an_action_this_bot_does_not_know_is_left_out(control: Path, caplog: pytest.LogCaptureFixture) -> None:
    ask_once(control, OperatorAction.PAUSE, NOW)
    with closing(sqlite3.connect(control)) as other:
        other.execute("UPDATE operator_commands SET action = 'dance'")
        other.commit()
    halt = ask_once(control, OperatorAction.HALT, NOW + 1)
    assert [each.id for each in CommandReader(control).after(0)] == [halt]
    assert "no such action: dance" in caplog.text


def test_a_place_that_cannot_be_written_is_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands where the directory should", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_control(tmp_path / "data" / "control.db")
