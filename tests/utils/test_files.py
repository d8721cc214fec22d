"""Replacing files, also where a rename onto them is refused."""

import errno
import os
from pathlib import Path

import pytest

from src.utils.files import write_atomic


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is mounted by itself: nothing can be renamed onto it."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", refuse)
    path = tmp_path / "settings.json"
    path.write_text("old content, which is longer", encoding="utf-8")
    return path


def test_mounted_file_is_overwritten_in_place(mounted: Path) -> None:
    number = mounted.stat().st_ino
    write_atomic(mounted, "new\n", 0o600)
    assert mounted.read_bytes() == b"new\n"
    assert (mounted.stat().st_ino, list(mounted.parent.iterdir())) == (number, [mounted])


def test_mounted_file_keeps_its_content_if_the_disk_is_full(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_second)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(mounted, "new\n", 0o600)
    assert mounted.read_text(encoding="utf-8") == "old content, which is longer"
    assert list(mounted.parent.iterdir()) == [mounted]
