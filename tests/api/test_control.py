"""Commands to the bot: stored once, answered with an id, rejected while the bot is down."""

from dataclasses import replace
from typing import Any

import pytest

from src.database.control import CommandReader
from src.domain.commands import OperatorAction, OperatorCommand
from src.domain.enums import OrderRole, OrderStatus, PositionSide
from src.domain.positions import Protection
from tests.api.harness import ApiHarness
from tests.api.test_account import LONG, SHORT
from tests.builders import ENTRY_ID, NOW, D, an_order


@pytest.fixture
def harness(harness: ApiHarness) -> ApiHarness:
    """The bot is running."""
    harness.heartbeat()
    return harness


def a_question(symbol: str = "BTCUSDT", side: str = "LONG", **changes: object) -> dict[str, object]:
    """An open question about a position, as the bot publishes it."""
    item = {"symbol": symbol, "position_side": side, "quantity": "1.5", "own_quantity": "1.0", "asked_at": NOW - 9}
    return {**item, **changes}


def commands(harness: ApiHarness) -> list[OperatorCommand]:
    return CommandReader(harness.environment.control_database).after(0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("pause", "pausing entries"),
        ("resume", "resuming entries"),
        ("halt", "halting"),
        ("flatten", "cancelling entries and closing all positions"),
        ("restart", "restarting the bot"),
    ],
)
def test_command_is_stored_and_its_id_returned(harness: ApiHarness, action: str, message: str) -> None:
    response = harness.post("/api/control", {"action": action, "nonce": "nonce-0001"})
    (command,) = commands(harness)
    assert response.status_code == 202
    assert response.json["success"] is True
    assert (command.action, command.at) == (OperatorAction(action), NOW)
    assert response.json["command_id"] == command.id
    assert response.json["message"] == message


def test_same_nonce_is_stored_once(harness: ApiHarness) -> None:
    body = {"action": "flatten", "nonce": "nonce-0001"}
    numbers = {harness.post("/api/control", body).json["command_id"] for _ in range(3)}
    assert numbers == {command.id for command in commands(harness)} and len(numbers) == 1


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"action": "pause"}, "nonce"),
        ({"action": "pause", "nonce": "short"}, "nonce"),
        ({"action": "pause", "nonce": "x" * 65}, "nonce"),
        ({"action": "pause", "nonce": "has space in it"}, "nonce"),
        ({"action": "pause", "nonce": 12345678}, "nonce"),
        ({"action": "dance", "nonce": "nonce-0001"}, "action"),
        ({"action": ["pause"], "nonce": "nonce-0001"}, "action"),
        ({"action": "reload_settings", "nonce": "nonce-0001"}, "action"),
        ({"action": "close_position", "nonce": "nonce-0001"}, "action"),
        ({"nonce": "nonce-0001"}, "action"),
        ({"action": "cancel_entry", "nonce": "nonce-0001"}, "client_order_id"),
    ],
)
def test_invalid_command_is_rejected(harness: ApiHarness, body: dict[str, Any], parameter: str) -> None:
    response = harness.post("/api/control", body)
    assert (response.status_code, response.json["error"]["parameter"]) == (400, parameter)
    assert commands(harness) == []


def test_open_entry_is_cancelled_by_client_order_id(harness: ApiHarness) -> None:
    harness.add_orders(an_order())
    body = {"action": "cancel_entry", "nonce": "nonce-0001", "client_order_id": ENTRY_ID}
    assert harness.post("/api/control", body).status_code == 202
    (command,) = commands(harness)
    assert (command.client_order_id, command.symbol) == (ENTRY_ID, "BTCUSDT")


def test_protective_and_closed_orders_are_not_cancelled(harness: ApiHarness) -> None:
    stop = an_order(OrderRole.STOP_LOSS, 1)
    harness.add_orders(an_order(status=OrderStatus.FILLED), stop)
    for name in (ENTRY_ID, stop.client_order_id, "lh-unknown-e"):
        body = {"action": "cancel_entry", "nonce": "nonce-0001", "client_order_id": name}
        assert harness.post("/api/control", body).status_code == 404
    assert commands(harness) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/control", {"action": "flatten", "nonce": "nonce-0001"}),
        ("/api/positions/BTCUSDT/LONG/close", {}),
        ("/api/positions/BTCUSDT/LONG/owner", {"owner": "external"}),
    ],
)
def test_command_is_rejected_while_the_bot_is_down(harness: ApiHarness, path: str, body: dict[str, Any]) -> None:
    harness.add_position(LONG)
    harness.set_state("position_questions", items=[a_question()])
    harness.clock.advance(15_001)
    response = harness.post(path, body)
    assert (response.status_code, response.json["error"]["code"]) == (409, "bot_silent")
    assert commands(harness) == []


@pytest.mark.parametrize(("fraction", "share"), [("1", "closing BTCUSDT"), (0.5, "closing 50 % of BTCUSDT")])
def test_position_is_closed_by_fraction(harness: ApiHarness, fraction: object, share: str) -> None:
    harness.add_position(LONG)
    response = harness.post("/api/positions/BTCUSDT/LONG/close", {"fraction": fraction, "nonce": "nonce-0001"})
    (command,) = commands(harness)
    assert response.status_code == 202 and share in response.json["message"]
    assert (command.action, command.symbol, command.position_side) == (
        OperatorAction.CLOSE_POSITION,
        "BTCUSDT",
        PositionSide.LONG,
    )
    assert command.close_fraction == D(str(fraction))


def test_one_way_position_is_closed_without_a_nonce(harness: ApiHarness) -> None:
    harness.add_position(SHORT)
    assert harness.post("/api/positions/币安人生USDT/SHORT/close", {}).status_code == 202
    (command,) = commands(harness)
    assert (command.symbol, command.position_side, command.close_fraction) == ("币安人生USDT", PositionSide.BOTH, D(1))


@pytest.mark.parametrize("fraction", [0, -1, "1.01", "NaN", "Infinity", "half", True, None, [1], "1e-999999999999"])
def test_invalid_fraction_is_rejected(harness: ApiHarness, fraction: object) -> None:
    harness.add_position(LONG)
    response = harness.post("/api/positions/BTCUSDT/LONG/close", {"fraction": fraction})
    assert (response.status_code, response.json["error"]["parameter"]) == (400, "fraction")
    assert commands(harness) == []


def test_only_an_open_position_can_be_closed(harness: ApiHarness) -> None:
    assert harness.post("/api/positions/BTCUSDT/LONG/close", {}).status_code == 404
    assert commands(harness) == []


def test_external_position_cannot_be_closed(harness: ApiHarness) -> None:
    harness.add_position(replace(LONG, protection=Protection.EXTERNAL, entry_client_order_id=None))
    response = harness.post("/api/positions/BTCUSDT/LONG/close", {})
    assert (response.status_code, response.json["error"]["code"]) == (409, "not_ours")
    assert commands(harness) == []


@pytest.mark.parametrize(
    ("owner", "action", "message"),
    [
        ("ours", OperatorAction.POSITION_OURS, "managing BTCUSDT LONG as the bot's"),
        (
            "external",
            OperatorAction.POSITION_EXTERNAL,
            "leaving BTCUSDT LONG to you; cancelling the bot's orders behind it",
        ),
    ],
)
def test_question_about_a_position_is_answered(
    harness: ApiHarness, owner: str, action: OperatorAction, message: str
) -> None:
    harness.set_state("position_questions", items=[a_question()])
    body = {"owner": owner, "nonce": "nonce-0001"}
    response = harness.post("/api/positions/BTCUSDT/LONG/owner", body)
    assert harness.post("/api/positions/BTCUSDT/LONG/owner", body).json == response.json  # executed once
    (command,) = commands(harness)
    assert response.status_code == 202
    assert response.json == {"success": True, "command_id": command.id, "message": message}
    assert (command.action, command.symbol, command.position_side) == (action, "BTCUSDT", PositionSide.LONG)


@pytest.mark.parametrize("side", ["short", "BOTH"])
def test_one_way_question_is_found_by_direction_or_both(harness: ApiHarness, side: str) -> None:
    harness.set_state("position_questions", items=[a_question("币安人生USDT", "BOTH", quantity="-3")])
    assert harness.post(f"/api/positions/币安人生USDT/{side}/owner", {"owner": "ours"}).status_code == 202
    (command,) = commands(harness)
    assert (command.symbol, command.position_side) == ("币安人生USDT", PositionSide.BOTH)


def test_position_that_the_bot_does_not_ask_about_keeps_its_owner(harness: ApiHarness) -> None:
    harness.add_position(LONG)
    harness.set_state("position_questions", items=[a_question("ETHUSDT")])
    for owner in ("ours", "external"):
        response = harness.post("/api/positions/BTCUSDT/LONG/owner", {"owner": owner})
        assert (response.status_code, response.json["error"]["code"]) == (404, "not_found")
    assert commands(harness) == []


def test_external_position_is_made_the_bots(harness: ApiHarness) -> None:
    harness.add_position(replace(LONG, protection=Protection.EXTERNAL, entry_client_order_id=None))
    assert harness.post("/api/positions/BTCUSDT/LONG/owner", {"owner": "external"}).status_code == 404
    assert harness.post("/api/positions/BTCUSDT/LONG/owner", {"owner": "ours"}).status_code == 202
    assert [command.action for command in commands(harness)] == [OperatorAction.POSITION_OURS]


@pytest.mark.parametrize("owner", [None, "mine", ["ours"], True, "OURS"])
def test_unknown_owner_is_rejected(harness: ApiHarness, owner: object) -> None:
    harness.set_state("position_questions", items=[a_question()])
    response = harness.post("/api/positions/BTCUSDT/LONG/owner", {"owner": owner})
    assert (response.status_code, response.json["error"]["parameter"]) == (400, "owner")
    assert commands(harness) == []


def test_resume_answers_no_question(harness: ApiHarness) -> None:
    harness.set_state("position_questions", items=[a_question()])
    harness.post("/api/control", {"action": "resume", "nonce": "nonce-0001"})
    (command,) = commands(harness)
    assert (command.action, command.symbol) == (OperatorAction.RESUME, None)
    assert len(harness.json("/api/health")["position_questions"]) == 1
