"""Edits of settings.json, as editors make them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from src.core.operator.settings_watcher import SettingsWatcher
from src.settings.config import Settings, SettingsError
from tests.builders import settings_document

ENOUGH_POLLS = 7
INVALID_EDITS: dict[str, tuple[Any, list[str]]] = {
    "half written": (json.dumps(settings_document())[:200], [""]),
    "empty": ("", [""]),
    "comment": ('{"globals": {} // none\n}', [""]),
    "trailing comma": ('{"globals": {},}', [""]),
    "a list": ("[]", [""]),
    "no globals": ({"symbols": settings_document()["symbols"]}, ["globals"]),
    "misspelled key": (settings_document(stop_los_pct=1), ["symbols.BTCUSDT.stop_los_pct"]),
    "out of range": (settings_document(leverage=126), ["symbols.BTCUSDT.leverage"]),
    "text for a number": (settings_document(trade_value_usdt="much"), ["symbols.BTCUSDT.trade_value_usdt"]),
    "two faults": (
        settings_document(leverage=0, stop_loss_pct=0),
        ["symbols.BTCUSDT.leverage", "symbols.BTCUSDT.stop_loss_pct"],
    ),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "settings.json"
    write(file, settings_document())
    return file


@pytest.fixture
def watcher(file: Path) -> SettingsWatcher:
    """A watcher that has seen the first content."""
    watcher = SettingsWatcher(file)
    assert len(reported(watcher)) == 1
    return watcher


def write(file: Path, document: object) -> None:
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def reported(watcher: SettingsWatcher, polls: int = ENOUGH_POLLS) -> list[Settings | SettingsError]:
    return [outcome for outcome in (watcher.poll() for _ in range(polls)) if outcome is not None]


def leverages(outcomes: list[Settings | SettingsError]) -> list[int]:
    return [each.symbols["BTCUSDT"].leverage for each in outcomes if isinstance(each, Settings)]


def test_edit_is_reported_once_when_the_file_is_stable(watcher: SettingsWatcher, file: Path) -> None:
    write(file, settings_document(leverage=7))
    assert watcher.poll() is None
    assert leverages(reported(watcher, 1)) == [7]
    assert reported(watcher) == []


def test_file_replaced_by_rename_is_reported(watcher: SettingsWatcher, file: Path) -> None:
    other = file.with_name("settings.json.tmp")
    write(other, settings_document(leverage=7))
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert leverages(reported(watcher)) == [7]


def test_same_size_and_time_is_reported_by_content(watcher: SettingsWatcher, file: Path) -> None:
    before = file.stat()
    write(file, settings_document(leverage=11))  # as long as 10
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert leverages(reported(watcher)) == [11]


def test_touched_file_is_not_reported(watcher: SettingsWatcher, file: Path) -> None:
    os.utime(file)
    assert reported(watcher) == []


def test_half_written_file_is_not_refused_while_it_is_completed(watcher: SettingsWatcher, file: Path) -> None:
    text = json.dumps(settings_document(leverage=7))
    write(file, text[:100])
    assert reported(watcher, 4) == []
    write(file, text)
    assert leverages(reported(watcher)) == [7]


def test_missing_file_is_not_refused_while_it_is_replaced(watcher: SettingsWatcher, file: Path) -> None:
    file.unlink()
    assert reported(watcher, 4) == []
    write(file, settings_document(leverage=7))
    assert leverages(reported(watcher)) == [7]


def test_deleted_file_is_refused(watcher: SettingsWatcher, file: Path) -> None:
    file.unlink()
    (outcome,) = reported(watcher)
    assert isinstance(outcome, SettingsError)
    assert "does not exist" in str(outcome)


@pytest.mark.parametrize(("document", "paths"), INVALID_EDITS.values(), ids=INVALID_EDITS)
def test_invalid_edit_is_refused_once_with_every_fault(
    watcher: SettingsWatcher, file: Path, document: Any, paths: list[str]
) -> None:
    write(file, document)
    (outcome,) = reported(watcher)
    assert isinstance(outcome, SettingsError)
    assert [fault.path for fault in outcome.details] == paths
    assert all(fault.message for fault in outcome.details)
    file.touch()
    assert reported(watcher) == []


def test_huge_file_is_refused(watcher: SettingsWatcher, file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(5_000_000_000)  # a sparse file: reading all of it would take longer than the bot may hang
    (outcome,) = reported(watcher)
    assert "larger than 1 MB" in str(outcome)


def test_loaded_content_is_not_reported_again(watcher: SettingsWatcher, file: Path) -> None:
    write(file, settings_document(leverage=7))
    assert watcher.load().symbols["BTCUSDT"].leverage == 7
    assert reported(watcher) == []
