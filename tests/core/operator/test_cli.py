"""The command line: commands for the bot, and its status report."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.core.operator.cli import CliCommand, answer_position, parse_arguments, run_command
from src.core.operator.control_files import ControlFiles
from src.domain.clock import ManualClock
from src.domain.commands import OperatorAction
from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.positions import PositionRecord, Protection
from tests.builders import NOW, settings_document
from tests.core.harness import Harness
from tests.database.other_bots import make_older


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DB_PATH", "API_KEY", "API_SECRET", "ASTER_NETWORK", "HUNTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    document = settings_document()
    document["globals"]["db_path"] = "bot.db"
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


@pytest.fixture
def alive(home: Path) -> Iterator[Harness]:
    """A running bot of this home."""
    harness = Harness(home / "bot.db").connect()
    yield harness
    harness.close()


def run(command: CliCommand, home: Path, now_ms: int = NOW) -> int:
    return run_command(command, str(home), ManualClock(now_ms))


def pending_actions(home: Path) -> list[OperatorAction]:
    return [request.action for request in ControlFiles(home / "bot.db").pending()]


def modified_times(home: Path) -> dict[str, float]:
    """Modification time of each database file."""
    return {file.name: file.stat().st_mtime for file in home.glob("*.db*") if not file.name.endswith("-shm")}


def test_commands_are_mutually_exclusive() -> None:
    assert parse_arguments([]).command is None
    assert parse_arguments(["--halt", "--home", "x"]).command is CliCommand.HALT
    for both in (["--halt", "--resume"], ["--status", "--protect-only"]):
        with pytest.raises(SystemExit):
            parse_arguments(both)


def test_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    output = capsys.readouterr().out
    assert all(f"--{command}" in output for command in CliCommand)
    assert "Exit codes" in output


def test_halt_and_resume_without_running_bot(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CliCommand.HALT, home) == 0
    assert (home / "HALT").exists()
    assert "No bot is running" in capsys.readouterr().out
    assert run(CliCommand.RESUME, home) == 0
    assert not (home / "HALT").exists()
    assert pending_actions(home) == [OperatorAction.RESUME]
    run(CliCommand.HALT, home)
    assert pending_actions(home) == []


def test_flatten_creates_command_file(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    before = modified_times(home)
    assert run(CliCommand.FLATTEN, home, alive.now) == 0
    assert pending_actions(home) == [OperatorAction.FLATTEN]
    assert "The bot does it within a second" in capsys.readouterr().out
    assert modified_times(home) == before


def test_flatten_without_bot_says_how_to_withdraw_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(CliCommand.FLATTEN, home)
    (request,) = ControlFiles(home / "bot.db").pending()
    assert f"unless you delete {request.file} first" in capsys.readouterr().out


def test_unwritable_command_is_reported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "commands").touch()  # a file instead of the directory
    assert run(CliCommand.FLATTEN, home) == 2
    assert "failed:" in capsys.readouterr().err


def test_halt_works_beside_a_damaged_database(home: Path) -> None:
    (home / "bot.db").write_bytes(b"no database at all" * 100)
    assert run(CliCommand.HALT, home) == 0
    assert (home / "HALT").exists()


def test_status_of_trading_bot(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.open_position()
    alive.audit()
    before = modified_times(home)
    assert run(CliCommand.STATUS, home, alive.now + 800) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bot: alive (process 1, sandbox, orders with play money, last heartbeat 0.8 s ago)",
        "trading: ACTIVE",
        "position: BTCUSDT LONG 0.010 at 50000, stop loss 49000.0, take profit 50500.0, mark 50000, protection ok",
        "exposure: 50.00 of 500.00 USDT margin",
        "today: -0.10 USDT net",
    ]
    assert modified_times(home) == before


def test_status_counts_todays_results_exactly(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.open_position()
    alive.clock.advance(10)
    alive.fill(alive.last(OrderRole.STOP_LOSS), pnl="-10.13")
    alive.audit()
    run(CliCommand.STATUS, home, alive.now)
    assert "today: -10.33 USDT net" in capsys.readouterr().out


def test_status_shows_why_entries_are_blocked(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.command(OperatorAction.PAUSE)
    assert run(CliCommand.STATUS, home, alive.now) == 1
    assert "trading: REDUCE_ONLY, entries are paused by the operator" in capsys.readouterr().out
    alive.command(OperatorAction.RESUME)
    run(CliCommand.HALT, home, alive.now)
    assert run(CliCommand.STATUS, home, alive.now) == 1
    assert "HALT: the file exists" in capsys.readouterr().out


def test_bot_without_heartbeat_is_not_alive(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CliCommand.STATUS, home, alive.now + 15_001) == 1
    assert "bot: NOT RUNNING" in capsys.readouterr().out


def test_stopped_bot_is_not_alive(home: Path, alive: Harness) -> None:
    store = alive.context.store
    with store.transaction():
        store.begin_run("1.0", 1)
    assert run(CliCommand.STATUS, home, alive.now) == 0
    with store.transaction():
        store.end_run()
    assert run(CliCommand.STATUS, home, alive.now) == 1


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_status_without_readable_database(
    home: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (home / "bot.db").write_bytes(content)
    assert run(CliCommand.STATUS, home) == 1
    output = capsys.readouterr().out
    assert ("never run here" if content is None else "cannot be read") in output


def test_status_before_the_first_heartbeat(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harness = Harness(home / "bot.db")
    harness.engine.dispose()
    with sqlite3.connect(home / "bot.db") as connection:
        connection.execute("DELETE FROM bot_state")
    connection.close()
    assert run(CliCommand.STATUS, home) == 1
    assert capsys.readouterr().out.splitlines() == ["bot: has never run here", "today: +0.00 USDT net"]


OURS, EXTERNAL = OperatorAction.POSITION_OURS, OperatorAction.POSITION_EXTERNAL
SIDES = PositionSide


def ask_about(bot: Harness, symbol: str = "BTCUSDT", side: str = "LONG", held: str = "1.5", own: str = "1.0") -> None:
    """Publish an open question, as the bot does."""
    item = {"symbol": symbol, "position_side": side, "quantity": held, "own_quantity": own, "asked_at": bot.now}
    with bot.context.store.transaction():
        bot.context.store.set_state("position_questions", {"items": [item]})


def answer(home: Path, *argv: str, ask: Callable[[str], str] | None = None, now_ms: int = NOW) -> int:
    return answer_position(parse_arguments(["--home", str(home), *argv]), ManualClock(now_ms), ask)


def answers(home: Path) -> list[tuple[OperatorAction, str | None, PositionSide | None]]:
    pending = ControlFiles(home / "bot.db").pending()
    return [(request.action, request.symbol, request.position_side) for request in pending]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--position", "BTCUSDT", "--ours"],
        ["--position", "BTCUSDT", "UP", "--ours"],
        ["--position", "BTCUSDT", "LONG"],
        ["--ours"],
        ["--external", "--halt"],
        ["--position", "BTCUSDT", "LONG", "--ours", "--halt"],
    ],
)
def test_wrong_use_of_position_is_one_plain_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(wrong)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "main.py: Give symbol, side and answer: main.py --position BTCUSDT LONG --ours, or --external. "
        "SIDE is LONG, SHORT or BOTH.\n"
    )


def test_wrong_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--position", "BTCUSDT", "LONG", "--ours", "--external"])
    assert capsys.readouterr().err == (
        "main.py: argument --external: not allowed with argument --ours. main.py --help lists the options.\n"
    )


def test_status_lists_open_questions_with_their_answers(
    home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_about(alive)
    run(CliCommand.STATUS, home, alive.now)
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "question: BTCUSDT LONG: the exchange holds 1.5, the bot's own trades explain 1.0. "
        "Stop loss and take profit stay; no entry is made, and it is closed only if no stop loss can be placed.",
        "  if it is the bot's: main.py --position BTCUSDT LONG --ours",
        "  if it is yours: main.py --position BTCUSDT LONG --external",
    ]


@pytest.mark.parametrize(
    ("side", "held", "own", "sentence"),
    [
        ("SHORT", "-12000", "-2000", "BTCUSDT SHORT: the exchange holds 12,000, the bot's own trades explain 2,000."),
        ("BOTH", "-0.5", "0", "BTCUSDT SHORT: the exchange holds 0.5, the bot's own trades explain none of it."),
        ("BOTH", "0.5", "-1.0", "BTCUSDT LONG: the exchange holds 0.5, the bot's own trades explain 1.0 SHORT."),
    ],
)
def test_question_names_both_quantities_and_their_direction(
    home: Path,
    alive: Harness,
    capsys: pytest.CaptureFixture[str],
    side: str,
    held: str,
    own: str,
    sentence: str,
) -> None:
    ask_about(alive, side=side, held=held, own=own)
    run(CliCommand.STATUS, home, alive.now)
    output = capsys.readouterr().out
    assert sentence in output
    assert f"main.py --position BTCUSDT {side} --ours" in output


def test_answer_ours_is_passed_to_the_bot(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    ask_about(alive)
    before = modified_times(home)
    assert answer(home, "--position", "btcusdt", "long", "--ours", now_ms=alive.now) == 0
    assert answers(home) == [(OURS, "BTCUSDT", SIDES.LONG)]
    assert capsys.readouterr().out == (
        "Requested: BTCUSDT LONG is the bot's: the bot manages all of it. "
        "The bot does it within a second; main.py --status shows the result.\n"
    )
    assert modified_times(home) == before


def test_answer_finds_a_one_way_position_by_its_direction(home: Path, alive: Harness) -> None:
    ask_about(alive, "币安人生USDT", "BOTH", held="-3", own="-1")
    assert answer(home, "--position", "币安人生usdt", "SHORT", "--external", "--yes", now_ms=alive.now) == 0
    assert answers(home) == [(EXTERNAL, "币安人生USDT", SIDES.BOTH)]
    assert answer(home, "--position", "币安人生usdt", "LONG", "--external", "--yes", now_ms=alive.now) == 2


@pytest.mark.parametrize(("typed", "code"), [("yes", 0), (" YES ", 0), ("y", 2), ("", 2)])
def test_external_asks_again_and_states_the_consequence(home: Path, alive: Harness, typed: str, code: int) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return typed

    ask_about(alive)
    assert answer(home, "--position", "BTCUSDT", "LONG", "--external", ask=ask, now_ms=alive.now) == code
    assert asked == [
        "The bot cancels its stop loss and take profit behind BTCUSDT LONG. The position is then without the bot's "
        "protection.\nType YES if the position is yours: "
    ]
    assert answers(home) == ([] if code else [(EXTERNAL, "BTCUSDT", SIDES.LONG)])


def test_external_that_is_not_confirmed_changes_nothing(
    home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    ask_about(alive)
    assert answer(home, "--position", "BTCUSDT", "LONG", "--external", ask=interrupt, now_ms=alive.now) == 2
    assert "stop loss and take profit stay, and the question stays open" in capsys.readouterr().err
    assert answers(home) == []


def test_external_without_a_terminal_needs_yes(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    ask_about(alive)
    assert answer(home, "--position", "BTCUSDT", "LONG", "--external", now_ms=alive.now) == 2
    assert "Run it in a terminal to confirm, or add --yes." in capsys.readouterr().err
    assert answers(home) == []
    assert answer(home, "--position", "BTCUSDT", "LONG", "--external", "--yes", now_ms=alive.now) == 0
    assert answers(home) == [(EXTERNAL, "BTCUSDT", SIDES.LONG)]


def test_answer_without_a_question_is_refused(home: Path, alive: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    alive.open_position()
    alive.audit()
    for owner in ("--ours", "--external"):
        assert answer(home, "--position", "BTCUSDT", "LONG", owner, "--yes", now_ms=alive.now) == 2
    assert "The bot does not ask about BTCUSDT LONG. main.py --status lists its questions." in capsys.readouterr().err
    assert answers(home) == []


def test_external_position_can_be_made_the_bots_without_a_question(home: Path, alive: Harness) -> None:
    alive.open_position()
    (tracked,) = alive.context.portfolio.open_positions()
    external = PositionRecord(
        tracked.position, None, 10, MarginType.ISOLATED, None, None, None, Protection.EXTERNAL, NOW, NOW
    )
    with alive.context.store.transaction():
        alive.context.store.save_position(external)
    assert answer(home, "--position", "BTCUSDT", "LONG", "--external", "--yes", now_ms=alive.now) == 2
    assert answer(home, "--position", "BTCUSDT", "LONG", "--ours", now_ms=alive.now) == 0
    assert answers(home) == [(OURS, "BTCUSDT", SIDES.LONG)]


@pytest.mark.parametrize("content", [None, b"no database at all" * 100])
def test_answer_waits_for_the_next_start(home: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (home / "bot.db").write_bytes(content)
    assert answer(home, "--position", "btcusdt", "BOTH", "--ours") == 0
    (request,) = ControlFiles(home / "bot.db").pending()
    assert (request.action, request.symbol, request.position_side) == (OURS, "BTCUSDT", SIDES.BOTH)
    assert f"No bot is running: it is done at the next start, unless you delete {request.file} first." in (
        capsys.readouterr().out
    )


def test_impossible_symbol_is_reported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(home, "--position", "X" * 200, "LONG", "--ours") == 2
    assert "is not a symbol" in capsys.readouterr().err


def test_database_of_another_program_is_named_with_what_to_do(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = make_older(home / "bot.db").read_bytes()
    assert run(CliCommand.STATUS, home) == 1
    assert "the older bot's database: it was left as it is; stop that program, then run `" in capsys.readouterr().out
    assert (home / "bot.db").read_bytes() == content
