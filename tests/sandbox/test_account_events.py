"""Events and position reports that differ in order and stamps, as on the real exchange."""

from collections.abc import Iterator

import pytest

from src.sandbox.faults import FOREVER
from src.sandbox.server import SandboxServer
from src.sandbox.streams.user_events import MAX_SKEW_MS
from tests.sandbox.client import Answer, Client, Subscriber
from tests.sandbox.streams.test_server import wait_for_subscription
from tests.sandbox.test_faults import inject

POSITIONS = "/fapi/v2/positionRisk"


@pytest.fixture
def user_stream(server: SandboxServer, client: Client) -> Iterator[Subscriber]:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as listener:
        wait_for_subscription(server, key)
        yield listener


def trade(client: Client, user_stream: Subscriber) -> tuple[Answer, Answer, bool]:
    """Trade once; returns its order event, its account event, and whether the account event came first."""
    client.order()
    events: list[Answer] = []
    while len(events) < 2:
        event = user_stream.next()
        if event["e"] == "ACCOUNT_UPDATE" or event.get("o", {}).get("X") == "FILLED":
            events.append(event)
    order, account = sorted(events, key=lambda event: event["e"] == "ACCOUNT_UPDATE")
    return order, account, events[0] is account


def test_order_event_comes_first_without_a_fault(client: Client, user_stream: Subscriber) -> None:
    order, account, account_first = trade(client, user_stream)

    assert not account_first
    assert (order["E"], order["o"]["T"]) == (account["E"], account["T"])


def test_account_event_comes_before_its_order_event(client: Client, user_stream: Subscriber) -> None:
    inject(client, "account_event_first", path="BTCUSDT")
    placed = [trade(client, user_stream)[2] for _ in range(2)]

    assert placed == [True, False]


def test_account_event_comes_first_in_a_share_of_trades(client: Client, user_stream: Subscriber) -> None:
    inject(client, "account_event_first", times=FOREVER, value=50)

    assert {trade(client, user_stream)[2] for _ in range(12)} == {True, False}


@pytest.mark.parametrize("skew", [-50, -1, 1, 50])
def test_account_event_is_stamped_before_or_after_the_trade(client: Client, user_stream: Subscriber, skew: int) -> None:
    inject(client, "stamps_differ", value=skew)
    order, account, _ = trade(client, user_stream)

    assert account["T"] - order["o"]["T"] == account["E"] - order["E"] == skew
    (fill,) = client.get("/fapi/v1/userTrades", symbol="BTCUSDT")
    assert fill["time"] == order["o"]["T"]


def test_random_stamps_differ_by_up_to_50_ms_either_way(client: Client, user_stream: Subscriber) -> None:
    inject(client, "stamps_differ", times=FOREVER)
    skews = []
    for _ in range(12):
        order, account, _ = trade(client, user_stream)
        skews.append(account["T"] - order["o"]["T"])

    assert all(1 <= abs(skew) <= MAX_SKEW_MS for skew in skews)
    assert min(skews) < 0 < max(skews)


@pytest.mark.parametrize("kind", ["position_time_of_account", "position_time_zero", None])
def test_position_has_the_time_of_either_event_or_zero(
    client: Client, user_stream: Subscriber, kind: str | None
) -> None:
    inject(client, "stamps_differ", value=-7)
    order, account, _ = trade(client, user_stream)
    expected = {"position_time_of_account": account["T"], "position_time_zero": 0, None: order["o"]["T"]}
    if kind is not None:
        inject(client, kind, path="BTCUSDT")

    assert client.get(POSITIONS, symbol="BTCUSDT")[0]["updateTime"] == expected[kind]
    assert client.get(POSITIONS, symbol="BTCUSDT")[0]["updateTime"] == order["o"]["T"]


def test_flat_symbols_are_omitted_from_position_risk(client: Client) -> None:
    client.order()
    inject(client, "flat_omitted", times=FOREVER)

    assert [each["symbol"] for each in client.get(POSITIONS)] == ["BTCUSDT"]
    assert client.get(POSITIONS, symbol="ETHUSDT") == []
    assert len(client.get("/fapi/v4/account")["positions"]) == 12
