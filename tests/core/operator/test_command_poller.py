"""The operator's wishes on their way from ``control.db`` to the trader."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest
from sqlalchemy import Engine

from src.core.events import HaltFileChanged, SettingsChanged, TraderEvent
from src.core.operator.command_poller import CommandPoller
from src.core.operator.control_files import ControlFiles
from src.database.control import CommandReader, CommandWriter, open_control
from src.domain.commands import OperatorAction, OperatorCommand
from tests.builders import NOW, settings_document, some_settings

DEADLINE_SECONDS = 10.0


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Engine]:
    engine = open_control(tmp_path / "control.db")
    yield engine
    engine.dispose()


class Listening:
    """An inbox at work; ``wait_for`` ends it once so many events have come."""

    def __init__(self, home: Path, last_id: int = 0) -> None:
        self.events: list[TraderEvent] = []
        self.renewed = 0
        self._came = threading.Condition()
        reader = CommandReader(home / "control.db")
        self.inbox = CommandPoller(
            reader, ControlFiles(home / "bot.db"), home / "settings.json", some_settings(), self._post
        )
        self.inbox.on_settings(self._renew)
        self._thread = threading.Thread(target=self.inbox.run, args=(last_id, lambda: None))
        self._thread.start()

    def wait_for(self, count: int) -> list[TraderEvent]:
        self.wait_until(count)
        self.inbox.stop()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()
        return self.events

    def wait_until(self, count: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.events) >= count, DEADLINE_SECONDS)

    def _post(self, event: TraderEvent) -> None:
        with self._came:
            self.events.append(event)
            self._came.notify()

    def _renew(self) -> None:
        self.renewed += 1


def test_wishes_are_passed_on_in_order_and_once(tmp_path: Path, control: Engine) -> None:
    writer = CommandWriter(control)
    first = writer.add(OperatorAction.PAUSE, "a", NOW)
    listening = Listening(tmp_path, last_id=first)
    second = writer.add(OperatorAction.HALT, "b", NOW + 1)
    third = writer.add(OperatorAction.RESUME, "c", NOW + 2)
    events = listening.wait_for(2)
    assert [event.id for event in events if isinstance(event, OperatorCommand)] == [second, third]


def test_new_settings_are_read_checked_and_handed_on(tmp_path: Path, control: Engine) -> None:
    document = settings_document(leverage=7)
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    wish = CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    listening = Listening(tmp_path)
    (event,) = listening.wait_for(1)
    assert isinstance(event, SettingsChanged)
    assert (event.command_id, event.settings.symbols["BTCUSDT"].leverage) == (wish, 7)
    assert listening.inbox.settings is event.settings
    assert listening.renewed == 1


def test_removed_symbol_keeps_its_prices(tmp_path: Path, control: Engine) -> None:
    document = settings_document()
    document["symbols"]["ETHUSDT"] = document["symbols"].pop("BTCUSDT")
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    listening = Listening(tmp_path)
    listening.wait_for(1)
    assert listening.inbox.symbols == {"BTCUSDT", "ETHUSDT"}


def test_faulty_settings_leave_the_old_ones_in_force(tmp_path: Path, control: Engine) -> None:
    (tmp_path / "settings.json").write_text("{", encoding="utf-8")
    wish = CommandWriter(control).add(OperatorAction.RELOAD_SETTINGS, "a", NOW)
    listening = Listening(tmp_path)
    (event,) = listening.wait_for(1)
    assert isinstance(event, OperatorCommand)
    assert (event.id, event.action) == (wish, OperatorAction.RELOAD_SETTINGS)
    assert listening.inbox.settings == some_settings()
    assert listening.renewed == 0


def test_the_halt_file_and_requests_are_passed_on_once_each(tmp_path: Path) -> None:
    files = ControlFiles(tmp_path / "bot.db")
    request = files.write_command(OperatorAction.FLATTEN, NOW)
    listening = Listening(tmp_path)
    listening.wait_until(1)
    files.halt()
    listening.wait_until(2)
    files.halt_file.unlink()
    assert listening.wait_for(3) == [
        request,
        HaltFileChanged(files.halt_file, ANY),
        HaltFileChanged(files.halt_file, None),
    ]


def test_files_that_cannot_be_read_are_said_once_and_stop_nothing(
    tmp_path: Path, control: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: ControlFiles) -> HaltFileChanged:
        raise PermissionError("no entry")

    monkeypatch.setattr(ControlFiles, "read_halt", fail)
    writer = CommandWriter(control)
    writer.add(OperatorAction.PAUSE, "a", NOW)
    listening = Listening(tmp_path)
    listening.wait_until(1)
    writer.add(OperatorAction.HALT, "b", NOW)
    assert len(listening.wait_for(2)) == 2
    assert caplog.text.count("cannot read the control files: no entry") == 1
