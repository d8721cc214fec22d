"""``--check`` as a whole: its lines, its colours and its exit code."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from main import main
from src.credentials.credentials import CREDENTIAL_NAMES
from src.doctor.run import print_report, run_checks
from src.domain.checks import Check, failed, passed, warned
from src.domain.clock import SystemClock
from src.sandbox.server import SandboxServer
from tests.builders import settings_document
from tests.helpers import free_port


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


FINE, ODD, BAD = passed("disk", "much is free"), warned("bot", "odd", "look"), failed("clock", "late", "set it")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home directory with keys and settings for a sandbox."""
    for name in (*CREDENTIAL_NAMES, "HOST", "PORT", "DB_PATH", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", str(free_port()))  # a dashboard may use the default port
    document = settings_document(margin_type="CROSSED", leverage=20, stop_loss_pct=1)
    document["globals"]["hedge_mode"] = False
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    with SandboxServer(tmp_path):
        yield tmp_path


def printed(*checks: Check, out: io.StringIO | None = None) -> tuple[int, str]:
    stream = out or io.StringIO()
    return print_report(iter(checks), stream), stream.getvalue()


def test_only_failures_set_the_exit_code() -> None:
    assert printed(FINE, ODD)[0] == 0
    code, text = printed(FINE, BAD, ODD)
    assert code == 1
    assert text.splitlines() == [
        "ok    disk: much is free",
        "fail  clock: late; set it",
        "warn  bot: odd; look",
        "",
        "The bot cannot trade with these settings: fix the check marked FAIL.",
    ]


def test_colours_are_used_only_on_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in printed(FINE, BAD)[1]
    assert "\x1b[32mok  \x1b[0m  disk" in printed(FINE, BAD, out=Terminal())[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(FINE, BAD, out=Terminal())[1]


def test_control_characters_do_not_reach_the_terminal() -> None:
    _, text = printed(failed("rules", "bad \x1b[2J answer\nof two lines", "look"))
    assert text.splitlines()[0] == "fail  rules: bad  [2J answer of two lines; look"


def test_bot_that_can_trade_is_reported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--home", str(home)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "The bot can trade with these settings."
    assert [line for line in lines if line.startswith(("warn", "fail"))] == []
    assert not (home / "bot.db").exists() and not (home / "data").exists()


def test_broken_files_are_reported_and_the_rest_is_checked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "settings.json").write_text("{ this is not JSON", encoding="utf-8")
    monkeypatch.delenv("PORT")
    with (home / ".env").open("a", encoding="utf-8") as file:
        file.write("\nPORT=none\n")
    assert main(["--check", "--home", str(home)]) == 1
    text = capsys.readouterr().out
    assert "fail  .env: PORT must be a number" in text
    assert "fail  settings: settings.json: line 1, column 3" in text
    assert "ok    network: http://127.0.0.1" in text
    assert "ok    disk:" in text


def test_missing_home_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--home", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_report_contains_no_secret(home: Path) -> None:
    secrets = [
        line.split("=", 1)[1] for line in (home / ".env").read_text(encoding="utf-8").splitlines() if "=" in line
    ]
    keys = [text for text in secrets if len(text) >= 32]
    assert keys
    text = "\n".join(check.line for check in run_checks(home, SystemClock()))
    assert not [key for key in keys if key in text]
