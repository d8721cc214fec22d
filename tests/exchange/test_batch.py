"""Several orders in one request: what is sent, and what each answer means, with V1 and V3."""

import json
from dataclasses import replace

import pytest

from src.domain.clock import ManualClock
from src.domain.commands import CancelOrder, OrderWrite, SubmitOrder
from src.domain.errors import AuthError, NotSent, OutcomeUnknown, ProtocolError, RateLimited, Rejected
from src.exchange import wire
from src.exchange.aster import AsterExchange
from src.exchange.batch import read_answers
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.port import Answer
from src.utils.auth import ApiVersion
from tests.exchange.builders import ACCEPTED, ENTRY, ORDER, STOP, accepted, rejected
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer

BATCH = "/fapi/v1/batchOrders"
OTHER_ID = "lh-other00-e"
OTHER = replace(ENTRY, client_order_id=OTHER_ID, symbol="ETHUSDT")
OTHER_ACCEPTED = replace(ACCEPTED, client_order_id=OTHER_ID, symbol="ETHUSDT", order_id=43)
ENTRIES: tuple[OrderWrite, ...] = (SubmitOrder(ENTRY), SubmitOrder(OTHER))
CANCELS: tuple[OrderWrite, ...] = tuple(CancelOrder("BTCUSDT", name) for name in ("one", "two"))
BOTH = [wire.render_order(ACCEPTED), wire.render_order(OTHER_ACCEPTED)]
NO_MARGIN = {"code": -2019, "msg": "Margin is insufficient."}


@pytest.fixture(params=ApiVersion)
def scheme(request: pytest.FixtureRequest) -> ApiVersion:
    return ApiVersion(request.param)


def test_orders_leave_as_one_json_list(server: ScriptedServer, exchange: AsterExchange, limits: RateLimits) -> None:
    server.script("POST", BATCH, Reply(BOTH))
    assert exchange.execute_batch(ENTRIES) == [[ACCEPTED], [OTHER_ACCEPTED]]
    [request] = server.received_at(BATCH)
    text = request.parameters["batchOrders"]
    assert json.loads(text) == [wire.render_order_request(each) for each in (ENTRY, OTHER)]
    assert ": " not in text
    assert ", " not in text
    assert (limits.weight_used, limits.orders_used) == (5 + 1, 2)  # 1 for the time of the exchange


def test_cancels_leave_as_one_list_of_ids(server: ScriptedServer, exchange: AsterExchange) -> None:
    server.script("DELETE", BATCH, Reply([{"code": -2011, "msg": "Unknown order sent."}] * 2))
    answers = exchange.execute_batch(CANCELS)
    assert [each.code for each in answers if isinstance(each, Rejected)] == [-2011, -2011]
    parameters = server.received_at(BATCH)[0].parameters
    assert (parameters["symbol"], parameters["origClientOrderIdList"]) == ("BTCUSDT", '["one","two"]')


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (wire.render_order(OTHER_ACCEPTED), [OTHER_ACCEPTED]),
        (NO_MARGIN, Rejected(-2019, "Margin is insufficient")),
        ({"code": -1007, "msg": "Timeout"}, OutcomeUnknown("code -1007: Timeout")),
        ({"code": -4083, "msg": "Fail"}, OutcomeUnknown("code -4083: Fail")),
        ({"code": 200, "msg": "ok"}, OutcomeUnknown("code 200: ok")),
        ({"code": -2015, "msg": "no"}, AuthError(-2015, "no")),
        (wire.render_order(ACCEPTED), OutcomeUnknown("the response is about lh-abc123-e, not lh-other00-e")),
        ({}, OutcomeUnknown("the response is not an order")),
        (None, OutcomeUnknown("the response is not an order")),
        ({"code": "x", "msg": 1}, OutcomeUnknown("the answer is not readable")),
    ],
)
def test_each_answer_is_read_by_itself(entry: object, expected: Answer) -> None:
    first, second = read_answers(ENTRIES, [wire.render_order(ACCEPTED), entry])
    assert first == [ACCEPTED]
    if isinstance(expected, Exception):
        assert type(second) is type(expected)
        assert getattr(second, "code", None) == getattr(expected, "code", None)
        assert isinstance(second, AuthError | Rejected) or str(expected) in str(second)
    else:
        assert second == expected


@pytest.mark.parametrize("response", [None, {}, [], BOTH[:1], [*BOTH, *BOTH], {"code": 200, "msg": "ok"}])
def test_response_of_another_shape_leaves_every_order_unknown(response: object) -> None:
    with pytest.raises(OutcomeUnknown):
        read_answers(ENTRIES, response)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reset(), OutcomeUnknown),
        (Reply(b"<html>", 502), OutcomeUnknown),
        (Reply(b"[{", 200), OutcomeUnknown),
        (rejected(-1007, 503), OutcomeUnknown),
        (rejected(-4083), OutcomeUnknown),
        (rejected(-4082), Rejected),
        (rejected(-2015, 401), AuthError),
        (rejected(-1003, 429), RateLimited),
    ],
)
def test_request_that_fails_as_a_whole_raises(
    server: ScriptedServer, exchange: AsterExchange, reply: Reply | Reset, error: type[Exception]
) -> None:
    server.script("POST", BATCH, reply)
    with pytest.raises(error):
        exchange.execute_batch(ENTRIES)
    assert len(server.received_at(BATCH)) == 1


def test_rejected_timestamp_sends_the_same_batch_again(server: ScriptedServer, exchange: AsterExchange) -> None:
    server.script("POST", BATCH, rejected(-1021), Reply(BOTH))
    assert exchange.execute_batch(ENTRIES) == [[ACCEPTED], [OTHER_ACCEPTED]]
    first, second = (each.parameters["batchOrders"] for each in server.received_at(BATCH))
    assert first == second


class Guard:
    """Allows the first ``times`` attempts."""

    def __init__(self, times: int) -> None:
        self._times = times

    def __call__(self, _now_ms: int) -> None:
        self._times -= 1
        if self._times < 0:
            raise NotSent("HALT")


@pytest.mark.parametrize("attempts", [0, 1])
def test_withheld_order_is_left_out_of_its_batch(
    server: ScriptedServer, exchange: AsterExchange, attempts: int
) -> None:
    """Before the first attempt, or before the one after a rejected timestamp."""
    server.script("POST", BATCH, *[rejected(-1021)] * attempts, Reply(BOTH[1:]))
    withheld, sent = exchange.execute_batch([SubmitOrder(ENTRY, before_send=Guard(attempts)), ENTRIES[1]])
    assert isinstance(withheld, NotSent)
    assert sent == [OTHER_ACCEPTED]
    names = [
        [order["newClientOrderId"] for order in json.loads(each.parameters["batchOrders"])]
        for each in server.received_at(BATCH)
    ]
    assert names == [[ENTRY.client_order_id, OTHER_ID]] * attempts + [[OTHER_ID]]


def test_failure_of_the_others_is_not_the_answer_to_a_withheld_order(
    server: ScriptedServer, exchange: AsterExchange
) -> None:
    """An entry that was never sent would be searched for at the exchange."""
    server.script("POST", BATCH, Reset())
    withheld, lost = exchange.execute_batch([SubmitOrder(ENTRY, before_send=Guard(0)), ENTRIES[1]])
    assert isinstance(withheld, NotSent)
    assert isinstance(lost, OutcomeUnknown)


def test_nothing_is_sent_if_every_order_is_withheld(server: ScriptedServer, exchange: AsterExchange) -> None:
    answers = exchange.execute_batch([SubmitOrder(each, before_send=Guard(0)) for each in (ENTRY, OTHER)])
    assert all(isinstance(each, NotSent) for each in answers)
    assert server.received_at(BATCH) == []


def test_orders_leave_one_by_one_where_the_limits_have_no_room_for_all(
    server: ScriptedServer, client: AsterClient, limits: RateLimits
) -> None:
    limits.acquire(1_677, essential=False)  # 70 % of 2,400 are 1,680
    server.script("POST", ORDER, accepted(), Reply(BOTH[1]))
    exchange = AsterExchange(client)
    assert exchange.execute_batch(ENTRIES) == [[ACCEPTED], [OTHER_ACCEPTED]]
    last = exchange.execute_batch(ENTRIES)
    assert all(isinstance(each, RateLimited) for each in last)
    assert len(server.received_at(ORDER)) == 2
    assert server.received_at(BATCH) == []


def test_exits_may_use_the_reserved_part_of_the_limits(
    server: ScriptedServer, client: AsterClient, limits: RateLimits
) -> None:
    limits.acquire(2_000, essential=True)
    server.script("POST", BATCH, Reply([NO_MARGIN, NO_MARGIN]))
    takes = [SubmitOrder(replace(STOP, client_order_id=f"lh-abc12{number}-t1")) for number in (3, 4)]
    assert all(isinstance(each, Rejected) for each in AsterExchange(client).execute_batch(takes))


def test_one_order_over_the_limit_pauses_entries(
    server: ScriptedServer, exchange: AsterExchange, limits: RateLimits, clock: ManualClock
) -> None:
    server.script("POST", BATCH, Reply([BOTH[0], {"code": -1015, "msg": "Too many new orders."}]))
    _, limited = exchange.execute_batch(ENTRIES)
    assert isinstance(limited, RateLimited)
    assert limits.blocked_until == clock.now_ms() + 60_000


def test_unreadable_order_is_no_protocol_error_of_the_batch() -> None:
    first, second = read_answers(CANCELS, [{"orderId": 1}, {"code": -2011, "msg": "Unknown order sent."}])
    assert isinstance(first, OutcomeUnknown)
    assert not isinstance(first, ProtocolError)
    assert isinstance(second, Rejected)
