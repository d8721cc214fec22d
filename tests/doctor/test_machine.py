"""Checks of Python, packages, disk space and the dashboard's port."""

import socket
from collections import namedtuple
from pathlib import Path

import pytest

from src.doctor import machine
from src.domain.checks import CheckLevel
from src.settings.environment import PROJECT_ROOT

Usage = namedtuple("Usage", "total used free")
OK, WARN, FAIL = CheckLevel


def test_this_python_and_its_packages_pass() -> None:
    assert machine.check_python().level is OK
    assert [check.level for check in machine.check_packages(PROJECT_ROOT / "requirements.txt")] == [OK]


def test_old_python_is_reported_with_the_required_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 9, 2, "final", 0))
    check = machine.check_python()
    assert (check.level, check.message, check.remedy) == (
        FAIL,
        "3.9.2 is too old",
        "install Python 3.11 or newer",
    )


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("pytest", OK),
        ("pytest>=1", OK),
        ("pytest>=1,<99", OK),
        ("pytest>1.0.0", OK),
        ("pytest<=99", OK),
        ("pytest<2", FAIL),
        ("pytest~=1.0", FAIL),
        ("pytest==1.0", FAIL),
        ("no-such-package-anywhere~=1.0", FAIL),
    ],
)
def test_missing_or_wrong_package_version_is_reported(line: str, level: CheckLevel, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"# a comment\n{line}\n", encoding="utf-8")
    [check] = machine.check_packages(requirements)
    assert check.level is level
    assert (line.split("~")[0] in check.message) or level is OK or line.startswith("pytest")


@pytest.mark.parametrize(("free_mb", "level"), [(50, FAIL), (500, WARN), (5_000, OK)])
def test_low_disk_space_is_reported(
    free_mb: int, level: CheckLevel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1, 1, free_mb * 1024**2))
    check = machine.check_disk(tmp_path / "not" / "there" / "yet")
    assert check.level is level
    assert f"{free_mb:,} MB are free" in check.message


def test_busy_port_is_reported_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        busy = machine.check_port("127.0.0.1", port, is_bot_alive=False)
        ours = machine.check_port("127.0.0.1", port, is_bot_alive=True)
    assert (busy.level, ours.level) == (WARN, OK)
    assert "is in use" in busy.message and "PORT=" in busy.remedy
    assert machine.check_port("127.0.0.1", port, is_bot_alive=False).level is OK
