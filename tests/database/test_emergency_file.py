"""The file that remembers orders while the ledger cannot."""

import os
from pathlib import Path

import pytest

from src.database.emergency import EmergencyFile, Intent
from src.domain.enums import OrderRole, OrderStatus
from tests.builders import an_order

STOP = OrderRole.STOP_LOSS


@pytest.fixture
def file(path: Path) -> EmergencyFile:
    path.parent.mkdir()
    file = EmergencyFile(path)
    file.prepare()
    return file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's directory for temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def a_stop(number: int) -> Intent:
    return Intent(an_order(STOP, number, OrderStatus.PENDING_NEW), is_simulated=False)


def test_orders_come_back_as_they_were(file: EmergencyFile, path: Path) -> None:
    entry = Intent(an_order(OrderRole.CLOSE, 3, OrderStatus.PENDING_NEW), is_simulated=True)
    assert file.add([a_stop(1), a_stop(2)])
    assert file.add([entry])
    assert EmergencyFile(path).intents() == [a_stop(1), a_stop(2), entry]


def test_its_room_is_taken_beforehand_and_never_given_back(file: EmergencyFile, path: Path) -> None:
    size = path.with_name("bot.db.emergency").stat().st_size
    assert size == 256 * 1024
    file.add([a_stop(1)])
    file.clear()
    assert file.intents() == []
    file.add([a_stop(2)])
    assert file.intents() == [a_stop(2)]
    assert path.with_name("bot.db.emergency").stat().st_size == size


def test_a_line_that_was_cut_off_never_left(file: EmergencyFile, path: Path) -> None:
    file.add([a_stop(1), a_stop(2)])
    own = path.with_name("bot.db.emergency")
    text = own.read_bytes()
    own.write_bytes(text[: text.rindex(b"}")] + bytes(100))
    assert file.intents() == [a_stop(1)]
    file.add([a_stop(3)])
    assert file.intents() == [a_stop(1), a_stop(3)]


def test_a_line_that_is_not_understood_costs_no_other(file: EmergencyFile, path: Path) -> None:
    own = path.with_name("bot.db.emergency")
    own.write_text('nonsense\n{"role": 1}\n' + a_stop(1).render() + "\n", encoding="utf-8")
    assert file.intents() == [a_stop(1)]


def test_where_the_place_beside_the_database_fails_another_disk_is_taken(path: Path, elsewhere: Path) -> None:
    path.parent.mkdir()
    own = path.with_name("bot.db.emergency")
    own.mkdir()
    assert EmergencyFile(path).add([a_stop(1)])
    assert EmergencyFile(path).intents() == [a_stop(1)]
    [other] = elsewhere.iterdir()
    if os.name != "nt":
        assert other.stat().st_mode & 0o777 == 0o600
    EmergencyFile(path).clear()
    assert EmergencyFile(path).intents() == []
    assert list(elsewhere.iterdir()) == []


def test_where_no_place_takes_it_it_says_so(path: Path, elsewhere: Path) -> None:
    elsewhere.rmdir()
    assert not EmergencyFile(path).add([a_stop(1)])


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_a_link_laid_by_somebody_else_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Beside the database there is no directory at all, so the other place is tried."""
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    EmergencyFile(path)._elsewhere.symlink_to(victim)
    assert not EmergencyFile(path).add([a_stop(1)])
    assert victim.read_text(encoding="utf-8") == "mine"
    assert EmergencyFile(path).intents() == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(path: Path) -> None:
    path.parent.mkdir()
    file = EmergencyFile(path)
    file._elsewhere.write_text(a_stop(1).render() + "\n", encoding="utf-8")
    os.chown(file._elsewhere, 12345, 12345)
    assert file.intents() == []
