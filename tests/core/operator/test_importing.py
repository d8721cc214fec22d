"""The commands --import-settings and --import-db: what they show, ask, write, and leave alone."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import main as program
from src.core.operator.cli import parse_arguments
from src.core.operator.importing import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, Importer
from src.database.foreign import foreign_owner
from src.database.imported import ImportedHistory, read_imported
from src.database.other_bots import PIECE
from src.domain.clock import ManualClock
from src.domain.errors import ConfigError
from src.settings.config import load_environment, load_settings
from tests.builders import NOW, D
from tests.core.harness import Harness
from tests.database.other_bots import LIQUIDATION, make_node, make_older, older_trade
from tests.settings.documents import PREDECESSOR, a_document, node_document


class Session:
    """A home, and a person who answers."""

    def __init__(self, home: Path) -> None:
        self.home, self.said, self.asked = home, list[str](), list[str]()
        self.answer: str | None = "yes"
        self.assume_yes = False
        self.settings_file = home / "settings.json"
        self.settings_file.write_text(json.dumps(a_document()), encoding="utf-8")
        self.clock = ManualClock(NOW)

    @property
    def importer(self) -> Importer:
        ask = None if self.answer is None else self._ask
        return Importer(load_environment(self.home, {}), self.clock, self.said.append, ask, self.assume_yes)

    def _ask(self, question: str) -> str:
        self.asked.append(question)
        assert self.answer is not None
        return self.answer

    def file(self, document: object, name: str = "config.json") -> Path:
        path = self.home / name
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return path

    def import_settings(self, document: Any) -> int:
        return self.importer.import_settings(self.file(document))

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    @property
    def copies(self) -> list[str]:
        return [path.name for path in self.home.glob("settings.json.*")]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def test_settings_are_shown_asked_for_and_written(session: Session) -> None:
    before = session.settings_file.read_bytes()
    assert session.import_settings(node_document(vwapProtection=True, slPercent=3)) == EXIT_DONE
    assert session.said[0].endswith("config.json is the node bot's config.json.")
    assert "  symbols.BTCUSDT.stop_loss_pct: 2 -> 3" in session.said
    assert "  globals.hedge_mode: true -> false" in session.said
    assert not any("margin_type" in each for each in session.said)  # the default of both is no change
    assert session.asked == [f"Write these settings to {session.settings_file}? Type yes: "]
    assert load_settings(session.settings_file).symbols["BTCUSDT"].stop_loss_pct == 3
    (copy,) = session.copies
    assert (session.home / copy).read_bytes() == before
    assert f"The settings before are in {session.home / copy}. They apply when the bot starts" in session.text
    (kept,) = read_imported(session.home / "data" / "bot.db", 5).imports
    assert (kept["kind"], kept["source"]) == ("settings", "config.json")
    assert any("VWAP" in note for note in kept["notes"])


def test_the_same_import_again_changes_nothing(session: Session) -> None:
    session.import_settings(node_document())
    content = session.settings_file.read_bytes()
    assert session.import_settings(node_document()) == EXIT_DONE
    assert session.said[-1] == f"{session.settings_file} already has these settings. Nothing was changed."
    assert session.settings_file.read_bytes() == content
    assert len(session.asked) == len(session.copies) == 1


@pytest.mark.parametrize("answer", ["no", "", "YE", None])
def test_nothing_is_written_without_a_yes(session: Session, answer: str | None) -> None:
    before, session.answer = session.settings_file.read_bytes(), answer
    assert session.import_settings(PREDECESSOR) == EXIT_FAILED
    assert "Nothing was changed." in session.said[-1]
    assert session.settings_file.read_bytes() == before
    assert session.copies == []


def test_scripts_add_yes(session: Session) -> None:
    session.answer, session.assume_yes = None, True
    assert session.import_settings(PREDECESSOR) == EXIT_DONE
    assert list(load_settings(session.settings_file).symbols) == ["LINKUSDT"]
    assert "  symbols.BTCUSDT: removed" in session.said
    assert "  symbols.LINKUSDT: added, 0.75 USDT of margin at 8x, stop 10 %, take profit 1 %" in session.said


def test_file_that_changed_while_it_was_asked_is_not_overwritten(session: Session) -> None:
    def edit(_: str) -> str:
        session.settings_file.write_text(json.dumps(a_document(leverage=3)), encoding="utf-8")
        return "yes"

    importer = Importer(load_environment(session.home, {}), session.clock, session.said.append, edit)
    with pytest.raises(ConfigError, match="has changed meanwhile: nothing was written; run this again"):
        importer.import_settings(session.file(node_document()))
    assert load_settings(session.settings_file).symbols["BTCUSDT"].leverage == 3


@pytest.mark.parametrize("current", ["{,", None])
def test_missing_or_faulty_settings_are_replaced_and_kept(session: Session, current: str | None) -> None:
    session.settings_file.unlink()
    if current is not None:
        session.settings_file.write_text(current, encoding="utf-8")
    assert session.import_settings(node_document()) == EXIT_DONE
    assert load_settings(session.settings_file).symbols["BTCUSDT"].leverage == 8
    if current is not None:
        assert (session.home / "settings.json.broken").read_text(encoding="utf-8") == current
        assert "An import replaces the file and keeps it as settings.json.broken." in session.text


def test_unwritable_settings_are_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", str(session.settings_file))

    monkeypatch.setattr("src.core.operator.importing.save_settings", fail)
    with pytest.raises(ConfigError, match=r"settings\.json cannot be written \(No space left on device\)"):
        session.import_settings(node_document())


def test_running_bot_is_said_to_apply_them(session: Session) -> None:
    harness = Harness(session.home / "data" / "bot.db").connect()
    assert session.import_settings(node_document()) == EXIT_DONE
    assert "The running bot applies them within two seconds; more risk waits for your confirmation." in session.text
    harness.close()


def test_history_is_taken_over_once_with_what_it_means(session: Session) -> None:
    older = make_older(session.home / "older.db", [LIQUIDATION, (5, *LIQUIDATION[1:])], [older_trade()])
    assert session.importer.import_database(older) == EXIT_DONE
    assert session.said[0] == f"{older} is the database of the older bot. It is only read."
    assert "Done: 1 new liquidation, 1 new or changed trade." in session.said
    assert "  - 1 row left out: time is before 2019 or in the future" in session.said
    assert "It counts in no position, statistic or limit of the bot" in session.text
    assert session.importer.import_database(older) == EXIT_DONE
    assert "Done: 0 new liquidations, 0 new or changed trades." in session.said
    assert len(read_imported(session.home / "data" / "bot.db", 5).imports) == 1


def test_history_of_the_node_bot_has_no_trades(session: Session) -> None:
    assert session.importer.import_database(make_node(session.home / "liquidations.db")) == EXIT_DONE
    assert "Done: 1 new liquidation." in session.said
    assert "  - that bot keeps liquidations only, no trades" in session.said


def test_a_running_bot_is_not_disturbed(session: Session) -> None:
    """The import has a file of its own: the bot goes on trading and its history stays its own."""
    harness = Harness(session.home / "data" / "bot.db").connect()
    filled = [older_trade(status="FILLED", filled_qty=0.002, realized_pnl=-500.0)]
    assert session.importer.import_database(make_older(session.home / "older.db", trades=filled)) == EXIT_DONE
    tables = ("fills", "trades", "liquidations", "positions")
    assert [harness.rows(f"SELECT * FROM {table}") for table in tables] == [[], [], [], []]
    harness.close()


def test_interrupted_import_goes_on_where_it_was(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    older = make_older(session.home / "older.db", [LIQUIDATION] * (PIECE + 2))
    add, calls = ImportedHistory.add_liquidations, list[int]()

    def interrupted(history: ImportedHistory, name: str, rows: Any) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(len(rows))
        return add(history, name, rows)

    monkeypatch.setattr(ImportedHistory, "add_liquidations", interrupted)
    assert session.importer.import_database(older) == EXIT_INTERRUPTED
    assert session.said[-1] == (
        "Stopped: 5,000 new liquidations, 0 new or changed trades so far. Nothing is lost; run it again to take over "
        "the rest."
    )
    monkeypatch.setattr(ImportedHistory, "add_liquidations", add)
    assert session.importer.import_database(older) == EXIT_DONE
    assert "Done: 2 new liquidations, 0 new or changed trades." in session.said


def test_long_work_shows_its_progress(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    older = make_older(session.home / "older.db", [LIQUIDATION] * (PIECE + 2))
    add = ImportedHistory.add_liquidations

    def slow(history: ImportedHistory, name: str, rows: Any) -> int:
        session.clock.advance(3500)
        return add(history, name, rows)

    monkeypatch.setattr(ImportedHistory, "add_liquidations", slow)
    session.importer.import_database(older)
    assert [each for each in session.said if each.startswith("liquidations: ")] == [
        "liquidations: 5,000 of 5,002 read",
        "liquidations: 5,002 of 5,002 read",
    ]


def test_command_line_runs_both(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(session.home)]
    config = str(session.file(node_document()))
    assert program.main([*home, "--import-settings", config, "--yes"]) == 0
    assert program.main([*home, "--import-db", str(make_node(session.home / "liquidations.db"))]) == 0
    assert program.main([*home, "--import-db", config]) == 2
    assert program.main([*home, "--import-settings", str(session.file("{", "odd.json"))]) == 2
    shown = capsys.readouterr()
    assert "Done: 1 new liquidation." in shown.out
    assert "is not an SQLite database" in shown.err
    assert "odd.json: line 1, column 2: " in shown.err


def test_an_empty_file_name_starts_no_bot() -> None:
    assert parse_arguments(["--import-db", ""]).command == "import-db"


def test_the_commands_named_at_start_take_over_the_older_bots_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its settings.json and bot.db in our home: start, run the two commands of the message, start again."""
    monkeypatch.setattr(program, "stop_on_signals", lambda _: None)
    monkeypatch.setattr(program, "set_up_logging", lambda *_, **__: None)
    monkeypatch.setenv("HUNTER_HOME", str(tmp_path))
    document = {**PREDECESSOR, "globals": {**PREDECESSOR["globals"], "db_path": "bot.db", "simulate_only": True}}
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    database = make_older(tmp_path / "bot.db", trades=[older_trade()])
    assert program.main([]) == 2
    move, importing = (shlex.split(each) for each in re.findall("`(.*?)`", capsys.readouterr().err))
    Path(move[1]).rename(move[2])
    assert importing[:3] == ["python", "main.py", "--import-db"]
    assert program.main(importing[2:]) == 0
    assert foreign_owner(database) is None
    assert read_imported(database, 1).trades[0].count == 1
    assert program.main(["--status"]) == 1
    assert "bot: has never run here" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["data\\bot.db", "C:\\temp\\new\\bot.db"])
def test_path_of_the_other_bots_database_is_not_taken_over(session: Session, path: str) -> None:
    """Not even one that a backslash made unusable: JSON reads the one of ``data\\bot.db`` as a backspace."""
    written = json.dumps(PREDECESSOR).replace('"globals": {', f'"globals": {{"db_path": "{path}", ')
    assert session.import_settings(written) == EXIT_DONE
    assert load_settings(session.settings_file).globals_.db_path == "data/bot.db"
    assert "this bot keeps its own database; python main.py --import-db FILE takes over that one" in session.text
    assert not any(not char.isprintable() for each in session.said for char in each)


def test_wrapped_and_lower_case_symbols_are_imported(session: Session) -> None:
    wrapped = {"btcusdt": {"symbol": "btcusdt", "config": {"leverage": 3, "volume_threshold": 900}}}
    assert session.import_settings({"globals": {"use_position_monitor": True}, "symbols": wrapped}) == EXIT_DONE
    part = load_settings(session.settings_file).symbols["BTCUSDT"]
    assert (part.leverage, part.stop_loss_pct) == (3, D(2))
    assert "stop_loss_pct of BTCUSDT is missing in this older file: 2 applies until you set it" in session.text


def test_file_of_windows_in_another_encoding_is_named(session: Session) -> None:
    file = session.home / "config.json"
    file.write_text(json.dumps(node_document()), encoding="utf-16")
    with pytest.raises(ConfigError, match=r"config\.json: the file is not UTF-8: save it in that encoding"):
        session.importer.import_settings(file)
