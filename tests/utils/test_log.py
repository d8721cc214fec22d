"""Readable lines on the terminal, details in the file, and secrets in neither."""

import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.utils import log as log_module
from src.utils.log import escape_control_characters, make_redactor, set_up_logging

SECRET = "s3cr3tCanaryValue0123456789"
LISTEN_KEY = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"


@pytest.fixture(autouse=True)
def restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the logging and hooks of the test run."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root, level = logging.getLogger(), logging.getLogger().level
    before = list(root.handlers)
    yield
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def written(directory: Path) -> str:
    return (directory / "bot.log").read_text(encoding="utf-8")


def test_terminal_shows_one_readable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("bot", tmp_path)
    logging.getLogger("x").info("entry placed symbol=%s", "币安人生USDT")

    assert re.fullmatch(r"\d\d:\d\d:\d\d  entry placed symbol=币安人生USDT\n", capsys.readouterr().out)


def test_file_has_time_level_thread_and_logger(tmp_path: Path) -> None:
    set_up_logging("bot", tmp_path / "a" / "logs")
    logging.getLogger("src.core.trader").warning("stop missing symbol=%s", "BTCUSDT")

    line = written(tmp_path / "a" / "logs")
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        when + r" WARNING MainThread src\.core\.trader: stop missing symbol=BTCUSDT\n",
        line,
    )


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_depend_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_coloured: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    set_up_logging("bot", tmp_path)
    logging.getLogger("x").error("stop missing")

    assert ("\033[31mstop missing" in terminal.getvalue()) is is_coloured
    assert "\033" not in written(tmp_path)


def test_colours_can_be_forced_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setenv("FORCE_COLOR", "1")
    set_up_logging("bot", tmp_path)
    logging.getLogger("x").info("message")
    assert pipe.getvalue().startswith("\033[2m")


def test_process_without_terminal_logs_to_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    set_up_logging("bot", tmp_path)
    logging.getLogger("x").info("still here")
    assert "still here" in written(tmp_path)


def test_second_setup_writes_each_line_once(tmp_path: Path) -> None:
    set_up_logging("bot", tmp_path)
    set_up_logging("bot", tmp_path)
    logging.getLogger("x").info("once")
    assert written(tmp_path).count("once") == 1


def test_unwritable_directory_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("a file, not a folder", encoding="utf-8")
    set_up_logging("bot", tmp_path / "logs")
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("x").exception("still logging")

    out = capsys.readouterr().out
    assert "cannot write a log file directory=" in out
    assert "still logging\n    | Traceback" in out


def test_log_files_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "_MAX_FILE_BYTES", 500)
    set_up_logging("bot", tmp_path)
    for number in range(100):
        logging.getLogger("x").info("line %s", number)

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["bot.log", *(f"bot.log.{number}" for number in range(1, 6))]


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"key {SECRET}", ()),
        ("key %s", (SECRET,)),
        ("request %r", ({"X-MBX-APIKEY": SECRET, "n": 1},)),
        ("url %s", ("https://x.test/fapi/v1/order?timestamp=1&signature=0123abcdef&listenKey=zzzzzz1234",)),
        ("socket %s", (f"wss://x.test/ws/{LISTEN_KEY}",)),
        ("socket %s", (f"wss://x.test/stream?streams={LISTEN_KEY}",)),
        ("answer %s", (f'{{"listenKey": "{LISTEN_KEY}"}}',)),
        ("header Authorization: Bearer %s", ("0123abcdef",)),
    ],
)
def test_secrets_are_masked_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str, arguments: tuple[object, ...]
) -> None:
    set_up_logging("bot", tmp_path, secrets=[SECRET, ""])
    logging.getLogger("x").warning(message, *arguments)

    captured = capsys.readouterr()
    for text in (written(tmp_path), captured.out, captured.err):
        assert not any(secret in text for secret in (SECRET, LISTEN_KEY, "0123abcdef", "zzzzzz1234"))
    assert "***" in captured.out


def test_wrong_log_call_does_not_lose_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's handler would raise
    set_up_logging("bot", tmp_path, secrets=[SECRET])
    logging.getLogger("x").warning("lost %s of %s", SECRET)
    assert "lost %s of %s ('***',)" in written(tmp_path)


def test_traceback_is_complete_in_the_file_and_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("bot", tmp_path, secrets=[SECRET])
    try:
        raise ConnectionError(f"GET /x?signature=0123abcdef failed\n2026-01-01T00:00:00.000Z INFO forged {SECRET}")
    except ConnectionError:
        logging.getLogger("x").exception("request failed", stack_info=True)

    out, text = capsys.readouterr().out, written(tmp_path)
    assert out.count("\n") == 1
    assert "request failed: ConnectionError: GET /x?signature=*** failed" in out
    assert "    | Traceback (most recent call last):" in text
    assert "    | Stack (most recent call last):" in text
    assert all(line.startswith("    | ") for line in text.splitlines()[1:])
    assert not any(secret in out + text for secret in (SECRET, "0123abcdef"))


def test_uncaught_exceptions_are_logged_and_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("bot", tmp_path, secrets=[SECRET])

    def fail() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=fail, name="streamer")
    thread.start()
    thread.join(5)
    sys.excepthook(RuntimeError, RuntimeError(SECRET), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    captured, text = capsys.readouterr(), written(tmp_path)
    assert "unexpected error thread=streamer" in text
    assert "unexpected error, the process stops" in text
    assert "interrupted" in text
    assert SECRET not in text + captured.out + captured.err


def test_system_exit_of_a_thread_is_not_logged(tmp_path: Path) -> None:
    set_up_logging("bot", tmp_path)
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(0), None, None)))
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("x"), None, None)))
    text = written(tmp_path)
    assert "SystemExit" not in text
    assert "thread=unknown" in text


def test_warnings_are_logged(tmp_path: Path) -> None:
    set_up_logging("bot", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("deprecated option", UserWarning, stacklevel=1)
    assert "deprecated option" in written(tmp_path)


def test_closed_terminal_is_reported_once_without_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ClosedTerminal(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, f"Broken pipe {text}")

    monkeypatch.setattr(sys, "stdout", ClosedTerminal())
    set_up_logging("bot", tmp_path)
    logging.getLogger("x").info("first %s", "private")
    logging.getLogger("x").info("second")

    assert capsys.readouterr().err == "lost a log line of x: BrokenPipeError\n"
    assert "second" in written(tmp_path)


def test_closed_stdout_and_stderr_do_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = StringIO()
    monkeypatch.setattr(sys, "stdout", closed)
    monkeypatch.setattr(sys, "stderr", closed)
    set_up_logging("bot", tmp_path)
    closed.close()
    logging.getLogger("x").info("survived")
    assert "survived" in written(tmp_path)


@given(st.text())
def test_no_text_breaks_the_line(text: str) -> None:
    line = escape_control_characters(text)
    assert len(line.splitlines()) <= 1
    assert "\033" not in line
    assert "\u202e" not in line
    assert line.encode("utf-8").decode("utf-8") == line


@given(st.text(), st.text(), st.text(alphabet="abcdefABCDEF0123456789", min_size=6, max_size=80))
def test_known_secret_is_always_masked(before: str, after: str, secret: str) -> None:
    assert secret not in make_redactor([secret])(f"{before}{secret}{after}").replace("***", "")


def test_harmless_text_is_unchanged() -> None:
    text = "order lh-1a2b3c-e1 symbol=BTCUSDT price=91250.5 key points: none"
    assert make_redactor(["longsecret"])(text) == text
