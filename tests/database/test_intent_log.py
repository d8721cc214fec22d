"""The intent log keeps orders while the database cannot be written."""

import os
from pathlib import Path

import pytest

from src.database.intent_log import Intent, IntentLog
from src.domain.enums import OrderRole, OrderStatus
from tests.builders import an_order

STOP = OrderRole.STOP_LOSS


@pytest.fixture
def file(path: Path) -> IntentLog:
    path.parent.mkdir()
    file = IntentLog(path)
    file.preallocate()
    return file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary directory."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


def a_stop(number: int) -> Intent:
    return Intent(an_order(STOP, number, OrderStatus.PENDING_NEW), is_simulated=False)


def test_intents_round_trip(file: IntentLog, path: Path) -> None:
    entry = Intent(an_order(OrderRole.CLOSE, 3, OrderStatus.PENDING_NEW), is_simulated=True)
    assert file.add([a_stop(1), a_stop(2)])
    assert file.add([entry])
    assert IntentLog(path).intents() == [a_stop(1), a_stop(2), entry]


def test_file_is_preallocated_and_never_shrinks(file: IntentLog, path: Path) -> None:
    size = path.with_name("bot.db.intents").stat().st_size
    assert size == 256 * 1024
    file.add([a_stop(1)])
    file.clear()
    assert file.intents() == []
    file.add([a_stop(2)])
    assert file.intents() == [a_stop(2)]
    assert path.with_name("bot.db.intents").stat().st_size == size


def test_truncated_last_line_is_ignored(file: IntentLog, path: Path) -> None:
    file.add([a_stop(1), a_stop(2)])
    own = path.with_name("bot.db.intents")
    text = own.read_bytes()
    own.write_bytes(text[: text.rindex(b"}")] + bytes(100))
    assert file.intents() == [a_stop(1)]
    file.add([a_stop(3)])
    assert file.intents() == [a_stop(1), a_stop(3)]


def test_unparsable_line_is_skipped(file: IntentLog, path: Path) -> None:
    own = path.with_name("bot.db.intents")
    own.write_text('nonsense\n{"role": 1}\n' + a_stop(1).render() + "\n", encoding="utf-8")
    assert file.intents() == [a_stop(1)]


def test_file_of_an_earlier_version_is_read_once(file: IntentLog, path: Path) -> None:
    line = (
        a_stop(1)
        .render()
        .replace('"is_simulated"', '"simulated"')
        .replace('"entry_client_order_id"', '"parent_order_id"')
    )
    earlier = path.with_name("bot.db.emergency")
    earlier.write_text(line + "\n", encoding="utf-8")
    file.add([a_stop(2)])
    assert file.intents() == [a_stop(2), a_stop(1)]
    file.clear()
    assert file.intents() == []
    assert not earlier.exists()


def test_falls_back_to_temp_directory(path: Path, elsewhere: Path) -> None:
    path.parent.mkdir()
    own = path.with_name("bot.db.intents")
    own.mkdir()
    assert IntentLog(path).add([a_stop(1)])
    assert IntentLog(path).intents() == [a_stop(1)]
    [other] = elsewhere.iterdir()
    if os.name != "nt":
        assert other.stat().st_mode & 0o777 == 0o600
    IntentLog(path).clear()
    assert IntentLog(path).intents() == []
    assert list(elsewhere.iterdir()) == []


def test_add_returns_false_when_no_disk_is_writable(path: Path, elsewhere: Path) -> None:
    elsewhere.rmdir()
    assert not IntentLog(path).add([a_stop(1)])


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """The database directory is missing, so the temporary directory is used."""
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    IntentLog(path)._fallback.symlink_to(victim)
    assert not IntentLog(path).add([a_stop(1)])
    assert victim.read_text(encoding="utf-8") == "mine"
    assert IntentLog(path).intents() == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_not_trusted(path: Path) -> None:
    path.parent.mkdir()
    file = IntentLog(path)
    file._fallback.write_text(a_stop(1).render() + "\n", encoding="utf-8")
    os.chown(file._fallback, 12345, 12345)
    assert file.intents() == []
