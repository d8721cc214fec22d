"""The word that lets real orders through: bound to the terms that were shown, and refused in any other form."""

from typing import Any

import pytest

from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from tests.api.harness import ApiHarness

PENDING = {
    "fingerprint": "0123456789abcdef",
    "risk_increases": ["BTCUSDT is new"],
    "terms": {"network": "mainnet", "account": "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e", "symbols": {}},
}
CONFIRMATION = {"fingerprint": "0123456789abcdef", "typed": "LIVE", "nonce": "a-name-of-my-own"}
CONFIRM = "/api/live-consent/confirm"


@pytest.fixture
def awaiting_consent(harness: ApiHarness) -> ApiHarness:
    harness.heartbeat(network="mainnet")
    harness.set_state("live_pending", **PENDING)
    return harness


def live_commands(harness: ApiHarness) -> list[OperatorCommand]:
    return CommandReader(harness.environment.control_database).after(0)


def test_what_waits_is_shown_and_health_says_that_something_does(awaiting_consent: ApiHarness) -> None:
    assert awaiting_consent.json("/api/live-consent") == {"pending": PENDING, "word": "LIVE"}
    assert awaiting_consent.json("/api/health")["awaits_consent"] == PENDING["fingerprint"]


def test_nothing_waits_otherwise(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.set_state("live_pending")
    assert harness.json("/api/live-consent")["pending"] is None
    assert harness.json("/api/health")["awaits_consent"] is None
    answer = harness.post(CONFIRM, CONFIRMATION)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "nothing_pending")


@pytest.mark.parametrize("typed", ["LIVE", "live", " 7c4e "])
def test_the_word_goes_to_the_bot_with_the_terms_it_is_for(awaiting_consent: ApiHarness, typed: str) -> None:
    answer = awaiting_consent.post(CONFIRM, {**CONFIRMATION, "typed": typed})
    assert answer.status_code == 202
    [wish] = live_commands(awaiting_consent)
    assert (wish.action, wish.terms, wish.id) == (
        OperatorAction.CONFIRM_LIVE, PENDING["fingerprint"], answer.json["command_id"]
    )  # fmt: skip


def test_one_nonce_is_one_word(awaiting_consent: ApiHarness) -> None:
    awaiting_consent.post(CONFIRM, CONFIRMATION)
    awaiting_consent.post(CONFIRM, CONFIRMATION)
    assert len(live_commands(awaiting_consent)) == 1


def test_terms_that_changed_meanwhile_are_not_agreed_to(awaiting_consent: ApiHarness) -> None:
    answer = awaiting_consent.post(CONFIRM, {**CONFIRMATION, "fingerprint": "another"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "terms_changed")
    assert live_commands(awaiting_consent) == []


def test_a_silent_bot_hears_no_word(awaiting_consent: ApiHarness) -> None:
    awaiting_consent.clock.advance(60_000)
    assert awaiting_consent.post(CONFIRM, CONFIRMATION).json["error"]["code"] == "bot_silent"


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
def test_anything_else_is_no_word(awaiting_consent: ApiHarness, changes: dict[str, Any]) -> None:
    assert awaiting_consent.post(CONFIRM, {**CONFIRMATION, **changes}).status_code == 400
    assert live_commands(awaiting_consent) == []


def test_another_page_cannot_say_it(awaiting_consent: ApiHarness) -> None:
    assert awaiting_consent.post(CONFIRM, CONFIRMATION, Origin="http://evil.example").status_code == 403
    assert awaiting_consent.post(CONFIRM, CONFIRMATION, X_Hunter_Token="wrong").status_code == 403
    assert awaiting_consent.post(CONFIRM, {**CONFIRMATION, "more": "x" * 70_000}).status_code == 413
    assert awaiting_consent.get(CONFIRM).status_code == 405
    assert live_commands(awaiting_consent) == []


def test_a_waiting_word_is_no_control(awaiting_consent: ApiHarness) -> None:
    """The wish without its terms cannot be made by the other route."""
    assert (
        awaiting_consent.post("/api/control", {"action": "confirm_live", "nonce": "a-name-of-my-own"}).status_code
        == 400
    )
