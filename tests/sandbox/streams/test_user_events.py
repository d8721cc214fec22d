from itertools import pairwise

from src.sandbox.server import SandboxServer
from src.sandbox.streams.user_events import MAX_LATENCY_MS, EventLatency
from tests.sandbox.client import Client, Subscriber
from tests.sandbox.streams.test_server import wait_for_subscription

TRANSACTION_TIMES = range(1_000, 3_000, 3)


def test_event_time_is_at_most_20_ms_late_and_increases() -> None:
    latency = EventLatency()
    event_times = [latency.event_time(at) for at in TRANSACTION_TIMES]
    delays = [one - other for one, other in zip(event_times, TRANSACTION_TIMES, strict=True)]

    assert all(0 <= each <= MAX_LATENCY_MS for each in delays)
    assert set(delays) >= {1, MAX_LATENCY_MS}
    assert all(one <= other for one, other in pairwise(event_times))


def test_same_seed_gives_the_same_event_times() -> None:
    one, other = EventLatency(seed=3), EventLatency(seed=3)
    assert [one.event_time(at) for at in TRANSACTION_TIMES] == [other.event_time(at) for at in TRANSACTION_TIMES]


def test_order_and_account_update_of_a_fill_share_their_times(server: SandboxServer, client: Client) -> None:
    delays = []
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as listener:
        wait_for_subscription(server, key)
        for _ in range(10):
            client.order()
            fill = listener.until("ORDER_TRADE_UPDATE")
            while fill["o"]["X"] != "FILLED":
                fill = listener.until("ORDER_TRADE_UPDATE")
            account = listener.until("ACCOUNT_UPDATE")
            assert (fill["E"], fill["T"], fill["o"]["T"]) == (account["E"], account["T"], account["T"])
            delays.append(fill["E"] - fill["T"])

    assert max(delays) > min(delays) >= 0
