"""A database on another machine's disk is told of at start."""

from pathlib import Path

import pytest

from src.database import ledger
from src.database.ledger import open_ledger
from src.database.shares import is_on_share
from tests.builders import NOW

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /mnt/home nfs4 rw 0 0
tmpfs /mnt/home/local tmpfs rw 0 0
//server/share /mnt/my\\040disk cifs rw 0 0
odd line
"""


@pytest.mark.parametrize(
    ("path", "is_remote"),
    [
        ("/home/me/data/bot.db", False),
        ("/mnt/home/data/bot.db", True),
        ("/mnt/home/local/bot.db", False),
        ("/mnt/my disk/bot.db", True),
    ],
)
def test_the_nearest_mount_decides(tmp_path: Path, path: str, is_remote: bool) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS, encoding="utf-8")
    assert is_on_share(Path(path), mounts) is is_remote


def test_a_system_that_does_not_tell_is_trusted(tmp_path: Path) -> None:
    assert not is_on_share(tmp_path / "bot.db", tmp_path / "nothing")


def test_it_is_said_at_start(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(ledger, "is_on_share", lambda _: True)
    open_ledger(path, NOW).engine.dispose()
    assert "lies on a network share" in caplog.text
