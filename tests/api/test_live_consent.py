"""The confirmation of live trading: valid only for the terms that were shown."""

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
    harness.set_state("live_consent_pending", **PENDING)
    return harness


def live_commands(harness: ApiHarness) -> list[OperatorCommand]:
    return CommandReader(harness.environment.control_database).after(0)


def test_pending_terms_are_shown_and_flagged_in_health(awaiting_consent: ApiHarness) -> None:
    assert awaiting_consent.json("/api/live-consent") == {"pending": {**PENDING, "mode": "LIVE"}, "word": "LIVE"}
    assert awaiting_consent.json("/api/health")["awaits_consent"] == PENDING["fingerprint"]


def test_nothing_is_pending_otherwise(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.set_state("live_consent_pending")
    assert harness.json("/api/live-consent")["pending"] is None
    assert harness.json("/api/health")["awaits_consent"] is None
    answer = harness.post(CONFIRM, CONFIRMATION)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "nothing_pending")


@pytest.mark.parametrize("typed", ["LIVE", "live", " 7c4e "])
def test_confirmation_is_sent_with_its_terms(awaiting_consent: ApiHarness, typed: str) -> None:
    answer = awaiting_consent.post(CONFIRM, {**CONFIRMATION, "typed": typed})
    assert answer.status_code == 202
    [command] = live_commands(awaiting_consent)
    assert (command.action, command.terms_fingerprint, command.id) == (
        OperatorAction.CONFIRM_LIVE, PENDING["fingerprint"], answer.json["command_id"]
    )  # fmt: skip


def test_same_nonce_confirms_once(awaiting_consent: ApiHarness) -> None:
    awaiting_consent.post(CONFIRM, CONFIRMATION)
    awaiting_consent.post(CONFIRM, CONFIRMATION)
    assert len(live_commands(awaiting_consent)) == 1


def test_changed_terms_cannot_be_confirmed(awaiting_consent: ApiHarness) -> None:
    answer = awaiting_consent.post(CONFIRM, {**CONFIRMATION, "fingerprint": "another"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "terms_changed")
    assert live_commands(awaiting_consent) == []


def test_confirmation_is_rejected_while_the_bot_is_down(awaiting_consent: ApiHarness) -> None:
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
def test_invalid_confirmation_is_rejected(awaiting_consent: ApiHarness, changes: dict[str, Any]) -> None:
    assert awaiting_consent.post(CONFIRM, {**CONFIRMATION, **changes}).status_code == 400
    assert live_commands(awaiting_consent) == []


def test_another_page_cannot_confirm(awaiting_consent: ApiHarness) -> None:
    assert awaiting_consent.post(CONFIRM, CONFIRMATION, Origin="http://evil.example").status_code == 403
    assert awaiting_consent.post(CONFIRM, CONFIRMATION, X_Hunter_Token="wrong").status_code == 403
    assert awaiting_consent.post(CONFIRM, {**CONFIRMATION, "more": "x" * 70_000}).status_code == 413
    assert awaiting_consent.get(CONFIRM).status_code == 405
    assert live_commands(awaiting_consent) == []


def test_confirm_live_is_not_a_control_action(awaiting_consent: ApiHarness) -> None:
    """The control route cannot confirm live trading without terms."""
    assert (
        awaiting_consent.post("/api/control", {"action": "confirm_live", "nonce": "a-name-of-my-own"}).status_code
        == 400
    )
