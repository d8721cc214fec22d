"""The setup routes: credentials are tested, saved, and never returned."""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from src.credentials.credentials import AnyCredentials
from src.credentials.env_file import read_env_file
from src.database.control import CommandReader
from src.domain.checks import Check, failed, passed
from src.domain.commands import OperatorAction
from src.domain.enums import MarginType, PositionSide
from src.domain.positions import Position, PositionRecord, Protection
from src.settings.config import Credentials, WalletCredentials, load_environment
from tests.api.harness import ORIGIN, ApiHarness
from tests.builders import NOW, D

USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
SIGNER = "0x21cF8Ae13Bb72632562c6Fff438652Ba1a151bb0"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
WALLET = {"kind": "api_wallet", "user_address": USER, "signer_private_key": PRIVATE_KEY}
KEY = {"kind": "api_key", "api_key": "canaryKey0123abcd", "api_secret": "canarySecret4567wxyz"}
SECRETS = (PRIVATE_KEY.removeprefix("0x"), KEY["api_secret"], KEY["api_key"])
ROUTES = ("/api/setup/test", "/api/setup/save", "/api/setup/paper")


class FakeChecker:
    """Returns prepared checks, and records the credentials it was given."""

    def __init__(self) -> None:
        self.answers: Sequence[Check] = (passed("access", "the exchange accepts it"),)
        self.requests: list[tuple[AnyCredentials, bool | None]] = []
        self.gate: threading.Event | None = None
        self.is_asked = threading.Event()

    def check(self, credentials: AnyCredentials, *, hedge_mode: bool | None = None) -> Sequence[Check]:
        self.requests.append((credentials, hedge_mode))
        self.is_asked.set()
        if self.gate is not None:
            assert self.gate.wait(10)
        return self.answers


@pytest.fixture
def checker() -> FakeChecker:
    return FakeChecker()


@pytest.fixture
def harness(tmp_path: Path, checker: FakeChecker) -> Iterator[ApiHarness]:
    made = ApiHarness(tmp_path, checker=checker)
    made.write_env("")
    yield made
    made.close()


def commands(harness: ApiHarness) -> list[str]:
    return [each.action for each in CommandReader(harness.environment.control_database).after(0)]


def all_files(harness: ApiHarness) -> str:
    """The content of every file of the home except ``.env``."""
    files = [file for file in harness.home.rglob("*") if file.is_file() and file.name != ".env"]
    return "\n".join(file.read_bytes().decode("latin-1") for file in files)


class TestTheFirstRun:
    def test_opens_the_setup_page_until_paper_is_chosen(self, harness: ApiHarness) -> None:
        assert "setup.js" in harness.get("/").text
        assert harness.json("/api/setup")["first_run"]
        answer = harness.post("/api/setup/paper", {})
        assert (answer.status_code, answer.json["success"]) == (200, True)
        assert "dashboard.js" in harness.get("/").text
        assert not harness.json("/api/setup")["first_run"]
        assert "setup.js" in harness.get("/setup").text

    def test_ends_once_a_key_is_stored_or_in_the_environment(self, harness: ApiHarness) -> None:
        harness.write_env("API_KEY=abcdefgh\nAPI_SECRET=ijklmnop\n")
        assert "dashboard.js" in harness.get("/").text
        harness.write_env("this is no line\n")
        assert "dashboard.js" in harness.get("/").text

    def test_page_has_the_csp_header_and_the_token(self, harness: ApiHarness) -> None:
        page = harness.get("/setup")
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert harness.token in page.text

    def test_choosing_paper_changes_a_live_settings_file(self, harness: ApiHarness) -> None:
        assert harness.saved_settings()["globals"]["simulate_only"] is False
        harness.post("/api/setup/paper", {})
        assert harness.saved_settings()["globals"]["simulate_only"] is True
        assert commands(harness) == [OperatorAction.RELOAD_SETTINGS, OperatorAction.RESTART]


class TestATest:
    def test_passes_the_credentials_and_lists_the_checks(self, harness: ApiHarness, checker: FakeChecker) -> None:
        checker.answers = (passed("clock", "fine"), failed("access", "refused", "copy it again"))
        answer = harness.post("/api/setup/test", WALLET).json
        assert answer["passed"] is False
        assert answer["checks"][1] == {
            "name": "access", "level": "fail", "message": "refused", "remedy": "copy it again"
        }  # fmt: skip
        assert checker.requests == [(WalletCredentials(USER, SIGNER, PRIVATE_KEY), True)]
        assert read_env_file(harness.home / ".env") == {}
        assert commands(harness) == []

    def test_strips_pasted_spaces(self, harness: ApiHarness, checker: FakeChecker) -> None:
        harness.post("/api/setup/test", {**KEY, "api_key": f"  {KEY['api_key']}\n"})
        assert checker.requests[0][0] == Credentials(KEY["api_key"], KEY["api_secret"])

    def test_runs_one_at_a_time(self, harness: ApiHarness, checker: FakeChecker) -> None:
        checker.gate = threading.Event()
        harness.get("/")
        first = threading.Thread(target=harness.post, args=("/api/setup/test", KEY))
        first.start()
        assert checker.is_asked.wait(10)
        assert harness.post("/api/setup/test", KEY).status_code == 429
        checker.gate.set()
        first.join(10)

    def test_needs_a_connection_to_the_exchange(self, tmp_path: Path) -> None:
        harness = ApiHarness(tmp_path)
        assert harness.post("/api/setup/test", KEY).status_code == 503


class TestASave:
    @pytest.mark.parametrize("body", [WALLET, KEY], ids=["V3", "V1"])
    def test_writes_the_key_to_env_and_restarts_the_bot(self, harness: ApiHarness, body: dict[str, str]) -> None:
        harness.write_env("# mine\nPORT=5000\nHUNTER_SETUP=paper\nAPI_KEY=old\nAPI_SECRET=older\n")
        answer = harness.post("/api/setup/save", body)
        assert answer.status_code == 200, answer.text
        assert answer.json["message"] == "Key saved. Start the bot: python launcher.py"
        text = (harness.home / ".env").read_text(encoding="utf-8")
        assert text.startswith("# mine\nPORT=5000\nHUNTER_SETUP=\n")
        assert "old" not in text
        found = load_environment(harness.home, {}).credentials
        assert found is not None and found.label in (USER, "API key …abcd")
        assert commands(harness) == [OperatorAction.RESTART]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_makes_the_env_file_private(self, harness: ApiHarness) -> None:
        (harness.home / ".env").chmod(0o644)
        harness.post("/api/setup/save", KEY)
        assert (harness.home / ".env").stat().st_mode & 0o777 == 0o600

    def test_switches_to_live_mode(self, harness: ApiHarness) -> None:
        harness.post("/api/setup/paper", {})
        harness.post("/api/setup/save", KEY)
        assert harness.saved_settings()["globals"]["simulate_only"] is False

    def test_message_says_whether_the_bot_restarts(self, harness: ApiHarness) -> None:
        harness.heartbeat(is_supervised=True)
        assert harness.post("/api/setup/save", KEY).json["message"] == "Key saved. The bot is restarting."
        harness.heartbeat(is_supervised=False)
        assert "no launcher is running" in harness.post("/api/setup/save", KEY).json["message"]

    def test_expects_a_restart_under_a_launcher(self, tmp_path: Path) -> None:
        harness = ApiHarness(tmp_path, env_overrides={"HUNTER_SUPERVISED": "1"})
        answer = harness.post("/api/setup/save", KEY).json
        assert (answer["is_restarting"], answer["message"]) == (True, "Key saved. The bot is restarting.")

    def test_shows_only_the_end_of_the_key_afterwards(self, harness: ApiHarness) -> None:
        harness.post("/api/setup/save", KEY)
        assert harness.json("/api/setup")["stored"] == {
            "kind": "api_key", "key_suffix": "abcd", "user": "", "signer": "", "fault": "", "env_override": []
        }  # fmt: skip
        harness.post("/api/setup/save", WALLET)
        stored = harness.json("/api/setup")["stored"]
        assert (stored["kind"], stored["user"], stored["signer"]) == ("api_wallet", USER, SIGNER)

    def test_is_rejected_while_the_settings_are_invalid(self, harness: ApiHarness) -> None:
        harness.settings_file.write_text("{", encoding="utf-8")
        assert harness.post("/api/setup/save", KEY).status_code == 503
        assert read_env_file(harness.home / ".env") == {}

    def test_is_rejected_with_keys_in_the_environment(self, tmp_path: Path) -> None:
        harness = ApiHarness(tmp_path, env_overrides={"API_KEY": "abcdefgh", "API_SECRET": "ijklmnop"})
        answer = harness.post("/api/setup/save", KEY)
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "keys_outside")
        assert harness.json("/api/setup")["stored"]["env_override"] == ["API_KEY", "API_SECRET"]

    def test_is_rejected_with_a_broken_or_unwritable_env_file(self, harness: ApiHarness) -> None:
        harness.get("/")
        harness.write_env("this is no line\n")
        assert harness.post("/api/setup/save", KEY).json["error"]["code"] == "env_unreadable"
        (harness.home / ".env").unlink()
        (harness.home / ".env").mkdir()
        assert harness.post("/api/setup/paper", {}).status_code == 503


class TestAPositionThatIsOpen:
    @pytest.fixture
    def holding(self, harness: ApiHarness) -> ApiHarness:
        harness.write_env(f"ASTER_USER_ADDRESS={USER}\nASTER_SIGNER_PRIVATE_KEY={PRIVATE_KEY}\n")
        harness.heartbeat(is_simulated=False)
        add_position(harness, Protection.OK)
        return harness

    def test_cannot_change_its_account(self, holding: ApiHarness) -> None:
        for route, body in (("save", KEY), ("paper", {})):
            answer = holding.post(f"/api/setup/{route}", body)
            assert (answer.status_code, answer.json["error"]["code"]) == (409, "positions_open")
        assert holding.json("/api/setup")["open_positions"] == ["BTCUSDT"]
        assert holding.json("/api/setup")["stored"]["kind"] == "api_wallet"

    def test_allows_a_new_key_of_the_same_account(self, holding: ApiHarness) -> None:
        renewed = {**WALLET, "signer_private_key": "0x" + "11" * 32}
        assert holding.post("/api/setup/save", renewed).status_code == 200

    def test_external_one_does_not_block_a_new_account(self, harness: ApiHarness) -> None:
        harness.heartbeat(is_simulated=False)
        add_position(harness, Protection.EXTERNAL)
        assert harness.post("/api/setup/save", KEY).status_code == 200


class TestHostileRequests:
    @pytest.mark.parametrize("route", ROUTES)
    def test_without_token_or_from_another_site_are_rejected(self, harness: ApiHarness, route: str) -> None:
        assert harness.post(route, KEY, X_Hunter_Token="wrong").status_code == 403
        assert harness.post(route, KEY, Origin="http://evil.example").status_code == 403
        assert harness.post(route, KEY, Sec_Fetch_Site="cross-site").status_code == 403
        form = harness.client.post(route, data=KEY, headers={"Origin": ORIGIN}, base_url=ORIGIN)
        assert form.status_code == 415
        assert harness.get(route).status_code == 405
        assert read_env_file(harness.home / ".env") == {}

    @pytest.mark.parametrize("route", ROUTES)
    def test_too_large_or_not_an_object_are_rejected(self, harness: ApiHarness, route: str) -> None:
        assert harness.post(route, {**KEY, "more": "x" * 70_000}).status_code == 413
        assert harness.post(route, ["a"]).status_code == 400

    @pytest.mark.parametrize("route", ROUTES[:2])
    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": "other"},
            {"kind": ["api_key"]},
            {"kind": None},
            {"api_key": 7},
            {"api_key": ["canary"]},
            {"api_key": "a" * 201},
            {"api_secret": ""},
            {"api_secret": None},
            {"api_secret": "canary\nASTER_NETWORK=testnet"},
            {"api_secret": "canary\r\nASTER_BASE_URL=https://evil.example"},
            {"api_key": "canary'"},
            {"api_key": "canary # remark"},
            {"api_key": "${HOME}"},
            {"api_key": "canary\u2028API_SECRET=x"},
            {"api_key": "cänary"},
        ],
    )
    def test_with_invalid_fields_change_nothing(self, harness: ApiHarness, route: str, changes: dict[str, Any]) -> None:
        harness.write_env("PORT=5000\n")
        answer = harness.post(route, {**KEY, **changes})
        assert answer.status_code == 400
        assert "canary" not in answer.text
        assert (harness.home / ".env").read_text(encoding="utf-8") == "PORT=5000\n"
        assert commands(harness) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"user_address": SIGNER}, "login wallet"),
            ({"user_address": "0x12"}, "not an address"),
            ({"signer_private_key": "0x12"}, "not a private key"),
            ({"signer_private_key": "0x" + "ff" * 32}, "not a private key"),
            ({"signer_address": USER}, "copy both from the same API wallet"),
            ({"user_address": f"{USER}\nAPI_KEY=x"}, "not an address"),
        ],
    )
    def test_with_a_mismatched_wallet_explain_the_error(
        self, harness: ApiHarness, changes: dict[str, str], words: str
    ) -> None:
        answer = harness.post("/api/setup/save", {**WALLET, **changes})
        assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_credentials")
        assert words in answer.json["error"]["message"]
        assert read_env_file(harness.home / ".env") == {}


def test_key_is_stored_nowhere_but_in_env(
    harness: ApiHarness, checker: FakeChecker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answers = [harness.post(route, body).text for route in ROUTES[:2] for body in (KEY, WALLET)]
    answers += [harness.post("/api/setup/save", {**KEY, "api_secret": KEY["api_secret"] + "\n#"}).text]
    answers += [harness.get(path).text for path in ("/", "/setup", "/api/setup", "/api/health", "/api/config/history")]
    output = "\n".join((*answers, caplog.text, all_files(harness), json.dumps(repr(checker.requests))))
    assert [secret for secret in SECRETS if secret in output] == []


def add_position(harness: ApiHarness, protection: Protection) -> None:
    harness.add_position(
        PositionRecord(
            position=Position("BTCUSDT", PositionSide.LONG, D("0.002"), D(96_000)),
            mark_price=D(96_000),
            leverage=5,
            margin_type=MarginType.ISOLATED,
            liquidation_price=None,
            take_profit_price=None,
            stop_loss_price=D(95_000),
            protection=protection,
            opened_at=NOW,
            as_of=NOW,
        )
    )


def test_page_does_not_parse_the_env_file_again(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.write_env("API_KEY=canaryKey0123abcd\nAPI_SECRET=canarySecret4567wxyz\n")
    assert "Liquidation Hunter" in harness.get("/").text

    def fail(_path: Path) -> None:
        raise AssertionError("the file holds the keys")

    monkeypatch.setattr("src.api.setup_service.load_stored", fail)
    assert harness.get("/").status_code == 200


def test_choice_made_outside_the_page_is_noticed(harness: ApiHarness) -> None:
    assert 'id="setup"' in harness.get("/").text
    harness.write_env("HUNTER_SETUP=paper\n")
    assert 'id="setup"' not in harness.get("/").text


def test_no_answer_holds_the_home_path(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.journal("alert", {"message": f"damaged, moved to {harness.home / 'data' / 'bot.db.corrupt-1'}"})
    assert harness.app.name
    harness.write_env("this is no line of a .env\n")
    fault = harness.get("/api/setup")
    assert fault.status_code == 503 and str(harness.home) not in fault.text
    assert fault.json["error"]["message"] == ".env, line 1: expected NAME=value."
    (entry,) = harness.json("/api/journal")
    assert entry["payload"]["message"] == f"damaged, moved to {Path('data', 'bot.db.corrupt-1')}"
    harness.settings_file.unlink()
    for path in ("/", "/setup", "/api/config", "/api/health", "/api/journal", "/api/config/in-force"):
        assert str(harness.home) not in harness.get(path).text
