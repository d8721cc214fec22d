import os
from pathlib import Path

import pytest

from src.database.ledger import AlreadyRunning, LedgerLock
from src.domain.errors import ConfigError
from tests.database.processes import HOLD_THE_LOCK, heard, python


def test_a_second_bot_is_told_which_process_holds_the_database(path: Path) -> None:
    with python(HOLD_THE_LOCK, path) as other:
        assert heard(other) == "held"
        with pytest.raises(AlreadyRunning, match=rf"process {other.pid}\).*bot\.db"):
            LedgerLock(path).acquire()


def test_a_killed_bot_holds_nothing(path: Path) -> None:
    with python(HOLD_THE_LOCK, path) as other:
        assert heard(other) == "held"
        other.kill()
        other.wait(timeout=10)
    lock = LedgerLock(path)
    lock.acquire()
    assert path.with_name("bot.db.pid").read_text(encoding="ascii") == str(os.getpid())
    lock.release()


def test_a_released_lock_can_be_taken_again(path: Path) -> None:
    first, second = LedgerLock(path), LedgerLock(path)
    first.acquire()
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    with pytest.raises(AlreadyRunning):
        first.acquire()
    second.release()


def test_a_holder_that_has_not_named_itself_yet_is_unknown(path: Path) -> None:
    first = LedgerLock(path)
    first.acquire()
    path.with_name("bot.db.pid").unlink()
    with pytest.raises(AlreadyRunning, match="process unknown"):
        LedgerLock(path).acquire()
    path.with_name("bot.db.pid").write_text("", encoding="ascii")
    with pytest.raises(AlreadyRunning, match="process unknown"):
        LedgerLock(path).acquire()
    first.release()


def test_a_disk_that_knows_no_locks_is_not_another_bot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("src.database.ledger._lock", refuse)
    with pytest.raises(ConfigError, match="cannot be locked") as caught:
        LedgerLock(path).acquire()
    assert not isinstance(caught.value, AlreadyRunning)


def test_a_number_that_cannot_be_written_stops_no_bot(path: Path) -> None:
    """On a full disk what is open is protected all the same."""
    path.with_name(f"{path.name}.pid").mkdir(parents=True)
    lock = LedgerLock(path)
    lock.acquire()
    with pytest.raises(AlreadyRunning, match="process unknown"):
        LedgerLock(path).acquire()
    lock.release()
