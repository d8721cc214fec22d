from itertools import pairwise

from src.sandbox.server import SandboxServer
from src.sandbox.streams.user_events import MAX_LATENCY_MS, EventLatency
from tests.sandbox.client import Client, Subscriber
from tests.sandbox.streams.test_server import wait_for_subscription

HAPPENED = range(1_000, 3_000, 3)


def test_event_time_is_late_by_20_ms_at_most_and_never_goes_back() -> None:
    times = EventLatency()
    event_times = [times.event_time(at) for at in HAPPENED]
    late = [one - other for one, other in zip(event_times, HAPPENED, strict=True)]

    assert all(0 <= each <= MAX_LATENCY_MS for each in late)
    assert set(late) >= {1, MAX_LATENCY_MS}
    assert all(one <= other for one, other in pairwise(event_times))


def test_the_same_seed_draws_the_same_times() -> None:
    one, other = EventLatency(seed=3), EventLatency(seed=3)
    assert [one.event_time(at) for at in HAPPENED] == [other.event_time(at) for at in HAPPENED]


def test_order_and_account_update_of_a_fill_share_their_times(server: SandboxServer, client: Client) -> None:
    late = []
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
            late.append(fill["E"] - fill["T"])

    assert max(late) > min(late) >= 0
