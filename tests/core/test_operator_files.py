"""HALT and the requests beside a database, as files that any process may make."""

import os
from pathlib import Path

import pytest

from src.core.operator.operator_files import OperatorFiles, lift_halt, remove_request
from src.domain.messages import OperatorAction
from tests.builders import NOW

FLATTEN, RESUME = OperatorAction.FLATTEN, OperatorAction.RESUME


@pytest.fixture
def files(tmp_path: Path) -> OperatorFiles:
    return OperatorFiles(tmp_path / "data" / "bot.db")


def touched_at(file: Path, at: int) -> None:
    os.utime(file, ns=(at * 1_000_000, at * 1_000_000))


def test_halt_is_a_file_beside_the_database_and_has_its_time(files: OperatorFiles, tmp_path: Path) -> None:
    assert (files.is_halted, files.look().since) == (False, None)
    files.halt()
    touched_at(files.halt_file, NOW)
    assert files.halt_file == tmp_path / "data" / "HALT"
    assert (files.is_halted, files.look().since) == (True, NOW)


def test_requests_wait_in_the_order_they_were_made(files: OperatorFiles) -> None:
    assert files.requests() == []
    later = files.ask(RESUME, NOW + 1)
    earlier = files.ask(FLATTEN, NOW)
    (later.file.parent / "notes.txt").touch()
    assert files.requests() == [earlier, later]
    remove_request(earlier.file)
    remove_request(earlier.file)
    assert files.requests() == [later]


def test_a_halt_withdraws_a_resume_that_waits_but_no_flatten(files: OperatorFiles) -> None:
    files.ask(RESUME, NOW)
    flatten = files.ask(FLATTEN, NOW)
    files.halt()
    assert files.requests() == [flatten]


@pytest.mark.parametrize(("asked_at", "is_left"), [(NOW - 1, True), (NOW, False), (NOW + 1, False)])
def test_a_resume_removes_a_halt_that_is_older(files: OperatorFiles, asked_at: int, is_left: bool) -> None:
    files.halt()
    touched_at(files.halt_file, NOW)
    lift_halt(files.halt_file, asked_at)
    assert files.is_halted is is_left
    files.halt_file.unlink(missing_ok=True)
    lift_halt(files.halt_file, asked_at)  # one that is gone is no fault


def test_what_cannot_be_removed_is_said(files: OperatorFiles, caplog: pytest.LogCaptureFixture) -> None:
    files.halt_file.mkdir(parents=True)
    lift_halt(files.halt_file, files.look().since or 0)
    remove_request(files.halt_file)
    assert "keeps entries back until it is" in caplog.text
    assert "was carried out, but cannot be removed" in caplog.text
