"""Forwarding of operator commands from ``control.db`` and control files to the trader."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from sqlalchemy import Engine

from src.core.events import FileCommand, HaltFileChanged, SettingsChanged, SettingsRefused, TraderEvent
from src.core.operator.command_poller import CommandPoller
from src.core.operator.control_files import ControlFiles
from src.database.control import CommandReader, CommandWriter, open_control
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import PositionSide
from tests.builders import NOW, settings_document, some_settings

DEADLINE_SECONDS = 10.0


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Engine]:
    engine = open_control(tmp_path / "control.db")
    yield engine
    engine.dispose()


class RunningPoller:
    """A running poller; ``wait_for`` stops it after ``count`` events."""

    def __init__(self, home: Path, last_id: int = 0) -> None:
        self.file = home / "settings.json"
        if not self.file.exists():
            self.write(settings_document())
        self.events: list[TraderEvent] = []
        self.reloads = 0
        self._condition = threading.Condition()
        reader = CommandReader(home / "control.db")
        self.poller = CommandPoller(
            reader, ControlFiles(home / "bot.db"), home / "settings.json", some_settings(), self._post
        )
        self.poller.on_settings(self._count_reload)
        self._thread = threading.Thread(target=self.poller.run, args=(last_id, lambda: None))
        self._thread.start()

    def write(self, document: object) -> None:
        self.file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")

    def wait_for(self, count: int) -> list[TraderEvent]:
        self.wait_until(count)
        self.poller.stop()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()
        return self.events

    def wait_until(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.events) >= count, DEADLINE_SECONDS)

    def _post(self, event: TraderEvent) -> None:
        with self._condition:
            self.events.append(event)
            self._condition.notify()

    def _count_reload(self) -> None:
        self.reloads += 1


def test_commands_are_forwarded_once_in_order(tmp_path: Path, control: Engine) -> None:
    writer = CommandWriter(control)
    first = writer.add(OperatorAction.PAUSE, "a", NOW)
    running = RunningPoller(tmp_path, last_id=first)
    second = writer.add(OperatorAction.HALT, "b", NOW + 1)
    third = writer.add(OperatorAction.RESUME, "c", NOW + 2)
    events = running.wait_for(2)
    assert [event.id for event in events if isinstance(event, OperatorCommand)] == [second, third]


def test_new_settings_are_loaded_and_forwarded(tmp_path: Path, control: Engine) -> None:
    document = settings_document(leverage=7)
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    command_id = CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    running = RunningPoller(tmp_path)
    (event,) = running.wait_for(1)
    assert isinstance(event, SettingsChanged)
    assert (event.command_id, event.settings.symbols["BTCUSDT"].leverage) == (command_id, 7)
    assert running.poller.settings is event.settings
    assert running.reloads == 1


def test_many_saves_are_loaded_once_and_answered_each(tmp_path: Path, control: Engine) -> None:
    writer = CommandWriter(control)
    ids = [writer.add(OperatorAction.RELOAD_SETTINGS, f"nonce-{number}", NOW) for number in range(20)]
    running = RunningPoller(tmp_path)
    events = running.wait_for(len(ids))
    assert [event.command_id for event in events if isinstance(event, SettingsChanged)] == ids
    assert len({id(event.settings) for event in events if isinstance(event, SettingsChanged)}) == running.reloads == 1


def test_removed_symbol_keeps_its_prices(tmp_path: Path, control: Engine) -> None:
    document = settings_document()
    document["symbols"]["ETHUSDT"] = document["symbols"].pop("BTCUSDT")
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    running = RunningPoller(tmp_path)
    running.wait_for(1)
    assert running.poller.symbols == {"BTCUSDT", "ETHUSDT"}


def test_invalid_settings_keep_old_ones(tmp_path: Path, control: Engine) -> None:
    (tmp_path / "settings.json").write_text("{", encoding="utf-8")
    command_id = CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    running = RunningPoller(tmp_path)
    refused, event = running.wait_for(2)
    assert isinstance(refused, SettingsRefused)
    assert isinstance(event, OperatorCommand)
    assert (event.id, event.action) == (command_id, OperatorAction.RELOAD_SETTINGS)
    assert running.poller.settings == some_settings()
    assert running.reloads == 0


def test_edit_by_hand_is_forwarded_within_two_seconds(tmp_path: Path) -> None:
    running = RunningPoller(tmp_path)
    edited_at = time.monotonic()
    running.write(settings_document(leverage=7))
    (event,) = running.wait_for(1)
    assert time.monotonic() - edited_at < 2
    assert isinstance(event, SettingsChanged)
    assert (event.command_id, event.settings.symbols["BTCUSDT"].leverage) == (None, 7)
    assert running.poller.settings is event.settings
    assert running.reloads == 1


def test_edit_while_the_bot_started_is_forwarded(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(settings_document(leverage=7)), encoding="utf-8")
    (event,) = RunningPoller(tmp_path).wait_for(1)
    assert isinstance(event, SettingsChanged)


def test_file_saved_on_the_dashboard_is_forwarded_once(tmp_path: Path, control: Engine) -> None:
    running = RunningPoller(tmp_path)
    running.write(settings_document(leverage=7))
    command_id = CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    running.wait_until(1)
    running.write(settings_document(leverage=8))
    events = running.wait_for(2)
    assert [(type(event), event.command_id) for event in events if isinstance(event, SettingsChanged)] == [
        (SettingsChanged, command_id),
        (SettingsChanged, None),
    ]


def test_faulty_edit_is_refused_once_with_every_fault_until_it_is_valid_again(tmp_path: Path) -> None:
    running = RunningPoller(tmp_path)
    running.write(settings_document(leverage=500, stop_loss_pct=-1))
    running.wait_until(1)
    running.write(settings_document())
    refused, applied = running.wait_for(2)
    assert isinstance(refused, SettingsRefused)
    assert [fault.path for fault in refused.faults] == [
        "symbols.BTCUSDT.leverage",
        "symbols.BTCUSDT.stop_loss_pct",
    ]
    assert isinstance(applied, SettingsChanged)  # the content is that in force: the fault is over
    assert running.poller.settings == some_settings()


def test_halt_and_command_files_are_forwarded_once(tmp_path: Path) -> None:
    files = ControlFiles(tmp_path / "bot.db")
    request = files.write_command(OperatorAction.FLATTEN, NOW)
    running = RunningPoller(tmp_path)
    running.wait_until(1)
    files.halt()
    running.wait_until(2)
    files.halt_file.unlink()
    assert running.wait_for(3) == [
        request,
        HaltFileChanged(files.halt_file, ANY),
        HaltFileChanged(files.halt_file, None),
    ]


def test_answer_about_a_position_is_forwarded_with_its_symbol_and_side(tmp_path: Path) -> None:
    files = ControlFiles(tmp_path / "bot.db")
    request = files.write_command(OperatorAction.POSITION_EXTERNAL, NOW, "币安人生USDT", PositionSide.SHORT)
    (forwarded,) = RunningPoller(tmp_path).wait_for(1)
    assert forwarded == request
    assert isinstance(forwarded, FileCommand)
    assert (forwarded.symbol, forwarded.position_side) == ("币安人生USDT", PositionSide.SHORT)


def test_unreadable_control_files_are_logged_once(
    tmp_path: Path, control: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: ControlFiles) -> HaltFileChanged:
        raise PermissionError("no entry")

    monkeypatch.setattr(ControlFiles, "read_halt", fail)
    writer = CommandWriter(control)
    writer.add(OperatorAction.PAUSE, "a", NOW)
    running = RunningPoller(tmp_path)
    running.wait_until(1)
    writer.add(OperatorAction.HALT, "b", NOW)
    assert len(running.wait_for(2)) == 2
    assert caplog.text.count("cannot read the control files: no entry") == 1
