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


def commands(harness: ApiHarness) -> list[OperatorCommand]:
    return CommandReader(harness.environment.control_database).after(0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("pause", "pausing entries"),
        ("resume", "resuming entries"),
        ("halt", "halting"),
        ("flatten", "cancelling entries and closing all positions"),
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
    ],
)
def test_command_is_rejected_while_the_bot_is_down(harness: ApiHarness, path: str, body: dict[str, Any]) -> None:
    harness.add_position(LONG)
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
