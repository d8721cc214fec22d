"""The word that lets real orders through: bound to the terms that were shown, and refused in any other form."""

from typing import Any

import pytest

from src.database.control import CommandReader
from src.domain.messages import OperatorAction, OperatorCommand
from tests.api.rig import Rig

PENDING = {
    "fingerprint": "0123456789abcdef",
    "rising": ["BTCUSDT is new"],
    "terms": {"network": "mainnet", "account": "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e", "symbols": {}},
}
WORD = {"fingerprint": "0123456789abcdef", "typed": "LIVE", "nonce": "a-name-of-my-own"}
CONFIRM = "/api/live/confirm"


@pytest.fixture
def waiting(rig: Rig) -> Rig:
    rig.beat(network="mainnet")
    rig.say("live_pending", **PENDING)
    return rig


def wishes(rig: Rig) -> list[OperatorCommand]:
    return CommandReader(rig.environment.control_database).after(0)


def test_what_waits_is_shown_and_health_says_that_something_does(waiting: Rig) -> None:
    assert waiting.json("/api/live") == {"pending": PENDING, "word": "LIVE"}
    assert waiting.json("/api/health")["awaits_consent"] == PENDING["fingerprint"]


def test_nothing_waits_otherwise(rig: Rig) -> None:
    rig.beat()
    rig.say("live_pending")
    assert rig.json("/api/live")["pending"] is None
    assert rig.json("/api/health")["awaits_consent"] is None
    answer = rig.post(CONFIRM, WORD)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "nothing_pending")


@pytest.mark.parametrize("typed", ["LIVE", "live", " 7c4e "])
def test_the_word_goes_to_the_bot_with_the_terms_it_is_for(waiting: Rig, typed: str) -> None:
    answer = waiting.post(CONFIRM, {**WORD, "typed": typed})
    assert answer.status_code == 202
    [wish] = wishes(waiting)
    assert (wish.action, wish.terms, wish.id) == (
        OperatorAction.CONFIRM_LIVE, PENDING["fingerprint"], answer.json["command_id"]
    )  # fmt: skip


def test_one_nonce_is_one_word(waiting: Rig) -> None:
    waiting.post(CONFIRM, WORD)
    waiting.post(CONFIRM, WORD)
    assert len(wishes(waiting)) == 1


def test_terms_that_changed_meanwhile_are_not_agreed_to(waiting: Rig) -> None:
    answer = waiting.post(CONFIRM, {**WORD, "fingerprint": "another"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "terms_changed")
    assert wishes(waiting) == []


def test_a_silent_bot_hears_no_word(waiting: Rig) -> None:
    waiting.clock.advance(60_000)
    assert waiting.post(CONFIRM, WORD).json["error"]["code"] == "bot_silent"


@pytest.mark.parametrize(
    "changes",
    [
        {"typed": "yes"},
        {"typed": ""},
        {"typed": True},
        {"typed": None},
        {"fingerprint": None},
        {"fingerprint": 7},
        {"nonce": None},
        {"nonce": "x"},
        {"nonce": ["LIVE"]},
    ],
)
def test_anything_else_is_no_word(waiting: Rig, changes: dict[str, Any]) -> None:
    assert waiting.post(CONFIRM, {**WORD, **changes}).status_code == 400
    assert wishes(waiting) == []


def test_another_page_cannot_say_it(waiting: Rig) -> None:
    assert waiting.post(CONFIRM, WORD, Origin="http://evil.example").status_code == 403
    assert waiting.post(CONFIRM, WORD, X_Hunter_Token="wrong").status_code == 403
    assert waiting.post(CONFIRM, {**WORD, "more": "x" * 70_000}).status_code == 413
    assert waiting.get(CONFIRM).status_code == 405
    assert wishes(waiting) == []


def test_a_waiting_word_is_no_control(waiting: Rig) -> None:
    """The wish without its terms cannot be made by the other route."""
    assert waiting.post("/api/control", {"action": "confirm_live", "nonce": "a-name-of-my-own"}).status_code == 400
