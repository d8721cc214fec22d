from itertools import pairwise

from src.sandbox.event_times import MOST_LATE_MS, EventTimes
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Client, Listener
from tests.sandbox.test_streams import heard

HAPPENED = range(1_000, 3_000, 3)


def test_an_event_is_told_up_to_twenty_milliseconds_after_it_happened_and_never_before_the_last() -> None:
    times = EventTimes()
    told = [times.told_at(at) for at in HAPPENED]
    late = [one - other for one, other in zip(told, HAPPENED, strict=True)]

    assert all(0 <= each <= MOST_LATE_MS for each in late)
    assert set(late) >= {1, MOST_LATE_MS}
    assert all(one <= other for one, other in pairwise(told))


def test_the_same_seed_draws_the_same_times() -> None:
    one, other = EventTimes(seed=3), EventTimes(seed=3)
    assert [one.told_at(at) for at in HAPPENED] == [other.told_at(at) for at in HAPPENED]


def test_order_and_account_tell_of_one_fill_with_the_same_times(server: SandboxServer, client: Client) -> None:
    late = []
    key = client.listen_key()
    with Listener(server, f"/ws/{key}") as listener:
        heard(server, key)
        for _ in range(10):
            client.order()
            fill = listener.until("ORDER_TRADE_UPDATE")
            while fill["o"]["X"] != "FILLED":
                fill = listener.until("ORDER_TRADE_UPDATE")
            account = listener.until("ACCOUNT_UPDATE")
            assert (fill["E"], fill["T"], fill["o"]["T"]) == (account["E"], account["T"], account["T"])
            late.append(fill["E"] - fill["T"])

    assert max(late) > min(late) >= 0
