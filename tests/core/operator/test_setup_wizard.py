"""The setup dialog in a terminal: questions, credential test and save, without echoing secrets."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from src.core.operator.setup_wizard import Terminal, run_setup
from src.credentials.credentials import AnyCredentials
from src.credentials.env_file import read_env_file
from src.database.open_database import open_database
from src.database.repositories import Store
from src.domain.checks import Check, failed, passed
from src.domain.clock import ManualClock
from src.domain.enums import MarginType, PositionSide
from src.domain.errors import ConfigError
from src.domain.positions import Position, PositionRecord, Protection
from src.settings.config import load_environment
from tests.builders import NOW, D, settings_document
from tests.database.other_bots import make_older

USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
FINE = (passed("access", "the exchange accepts it"),)
WRONG = (failed("access", "refused", "copy it again"),)


class Person:
    """Answers questions in order, and separately those that do not echo."""

    def __init__(self, *answers: str, secrets: Sequence[str] = ()) -> None:
        self._answers, self._secrets = iter(answers), iter(secrets)
        self.shown: list[str] = []
        self.asked: list[str] = []

    @property
    def terminal(self) -> Terminal:
        return Terminal(self._ask, self._ask_secret, self.shown.append)

    def _ask(self, question: str) -> str:
        self.asked.append(question)
        return next(self._answers)

    def _ask_secret(self, question: str) -> str:
        assert "not shown" in question
        return next(self._secrets)

    def was_shown(self, words: str) -> bool:
        return any(words in each for each in self.shown)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "settings.json").write_text(json.dumps(settings_document()), encoding="utf-8")
    return tmp_path


def simulated(home: Path) -> bool:
    document = json.loads((home / "settings.json").read_text(encoding="utf-8"))
    return bool(document["globals"]["simulate_only"])


def run(home: Path, person: Person, *verdicts: Sequence[Check], environ: dict[str, str] | None = None) -> int:
    answers: Iterator[Sequence[Check]] = iter(verdicts)
    asked: list[AnyCredentials] = []

    def check(credentials: AnyCredentials, hedge_mode: bool) -> Sequence[Check]:
        assert hedge_mode
        asked.append(credentials)
        return next(answers)

    return run_setup(load_environment(home, environ or {}), person.terminal, check)


def test_paper_choice_is_saved(home: Path) -> None:
    person = Person("maybe", "paper")
    assert run(home, person) == 0
    assert simulated(home)
    assert read_env_file(home / ".env") == {"HUNTER_SETUP": "paper"}
    assert person.was_shown("Please answer paper or live.")
    assert person.was_shown("python launcher.py.")


def test_wallet_is_tested_and_saved(home: Path) -> None:
    person = Person("live", "wallet", f" {USER} ", secrets=[PRIVATE_KEY])
    assert run(home, person, FINE) == 0
    assert not simulated(home)
    found = load_environment(home, {}).credentials
    assert found is not None and found.label == USER
    assert person.was_shown("ok    access: the exchange accepts it")
    assert person.was_shown("without permission to withdraw")
    assert person.was_shown("which asks you to confirm live trading")
    assert not person.was_shown(PRIVATE_KEY)


def test_failed_key_can_be_retried(home: Path) -> None:
    person = Person("l", "k", "y", "k", secrets=["wrong", "wrong", "right1", "right2"])
    assert run(home, person, WRONG, FINE) == 0
    assert person.was_shown("fail  access: refused; copy it again")
    assert read_env_file(home / ".env")["API_KEY"] == "right1"


def test_cancelled_setup_saves_nothing(home: Path) -> None:
    person = Person("live", "key", "yes", "wallet", "", "no", secrets=["half", "", ""])
    assert run(home, person) == 1
    assert not (home / ".env").exists()
    assert person.was_shown("API_SECRET is missing")
    assert person.was_shown("Nothing was entered.")
    assert person.shown[-1] == "Nothing was saved."


def test_keys_outside_env_file_are_reported(home: Path) -> None:
    environ = {"API_KEY": "abcdefgh", "API_SECRET": "ijklmnop"}
    with pytest.raises(ConfigError, match="API_KEY and API_SECRET are set outside"):
        run(home, Person(), environ=environ)


def test_unwritable_file_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.credentials.env_file.write_atomic", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        run(home, Person("paper"))


def test_setup_is_blocked_by_open_positions(home: Path) -> None:
    (home / "data").mkdir()
    engine = open_database(home / "data" / "bot.db", NOW).engine
    store = Store(engine, ManualClock(NOW))
    with store.transaction():
        store.set_state("bot", {"is_simulated": False})
        store.save_position(a_record())
    engine.dispose()
    with pytest.raises(ConfigError, match="close them first: BTCUSDT"):
        run(home, Person("paper"))
    with pytest.raises(ConfigError, match="close them first: BTCUSDT"):
        run(home, Person("live", "wallet", USER, secrets=[PRIVATE_KEY]), FINE)
    (home / ".env").write_text(f"ASTER_USER_ADDRESS={USER}\nASTER_SIGNER_PRIVATE_KEY=0x{'11' * 32}\n", encoding="utf-8")
    assert run(home, Person("live", "wallet", USER, secrets=[PRIVATE_KEY]), FINE) == 0


def a_record() -> PositionRecord:
    return PositionRecord(
        position=Position("BTCUSDT", PositionSide.LONG, D("0.002"), D(96_000)),
        mark_price=D(96_000),
        leverage=5,
        margin_type=MarginType.ISOLATED,
        liquidation_price=None,
        take_profit_price=None,
        stop_loss_price=D(95_000),
        protection=Protection.OK,
        opened_at=NOW,
        as_of=NOW,
    )


def test_database_of_another_program_is_named_before_any_question(home: Path) -> None:
    make_older(load_environment(home, {}).database)
    person = Person()
    with pytest.raises(ConfigError, match=r"the older bot's database.*python main\.py --import-db"):
        run(home, person)
    assert (person.shown, person.asked) == ([], [])
