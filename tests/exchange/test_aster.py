"""Orders, modes, keys and public facts against a real HTTP server."""

import json
from decimal import Decimal

import pytest

from src.domain.account_commands import SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.clock import ManualClock
from src.domain.enums import MarginType
from src.domain.errors import (
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    Unreachable,
)
from src.domain.messages import AccountSet, Command, OrderNotFound, SubmitOrder
from src.exchange import wire
from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.port import Exchange, ListenKeys, MarketReader
from src.utils.auth import Scheme
from tests.exchange.builders import (
    ACCEPTED,
    CANCEL,
    ENTRY,
    ENTRY_ID,
    ORDER,
    QUERY,
    SUBMIT,
    accepted,
    failure_of,
    refused,
)
from tests.exchange.conftest import NOW_MS, a_signer
from tests.exchange.scripted import Answer, Reset, ScriptedServer


@pytest.fixture(params=Scheme)
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return Scheme(request.param)


def test_the_adapters_are_the_ports(client: AsterClient) -> None:
    exchange: Exchange = AsterExchange(client)
    keys: ListenKeys = AsterListenKeys(client)
    market: MarketReader = AsterMarket(client)

    assert all([exchange, keys, market])


class TestOrders:
    def test_a_submit_is_signed_and_becomes_an_update(
        self, exchange: AsterExchange, server: ScriptedServer, scheme: Scheme
    ) -> None:
        server.script("POST", ORDER, accepted())

        assert exchange.execute(SUBMIT) == [ACCEPTED]

        asked = server.asked_for(ORDER)[0]
        expected = wire.render_order_request(ENTRY)
        assert asked.parameters.items() >= expected.items()
        assert asked.signed_text == a_signer(scheme).sign(expected, NOW_MS + 250)

    def test_a_cancel_names_the_order_by_our_id(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("DELETE", ORDER, accepted())

        assert exchange.execute(CANCEL) == [ACCEPTED]
        assert server.asked_for(ORDER)[0].parameters["origClientOrderId"] == ENTRY_ID

    def test_a_query_tells_the_order(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, accepted())

        assert exchange.execute(QUERY) == [ACCEPTED]

    def test_an_order_nobody_knows(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, refused(-2013))
        server.script("DELETE", ORDER, refused(-2011))

        assert exchange.execute(QUERY) == [OrderNotFound("BTCUSDT", ENTRY_ID, NOW_MS)]
        error = failure_of(exchange, CANCEL)
        assert isinstance(error, Rejected)
        assert error.code == -2011

    def test_a_query_that_is_refused_otherwise(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, refused(-1121))

        assert isinstance(failure_of(exchange, QUERY), Rejected)

    def test_a_query_answered_with_another_order(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, Answer({**wire.render_order(ACCEPTED), "symbol": "ETHUSDT"}))

        assert isinstance(failure_of(exchange, QUERY), ProtocolError)

    def test_an_entry_past_its_time_does_not_leave(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        error = failure_of(exchange, SubmitOrder(ENTRY, not_after=NOW_MS - 1))

        assert isinstance(error, Unreachable)
        assert server.asked == []

    def test_an_entry_in_time_leaves(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, accepted())

        assert exchange.execute(SubmitOrder(ENTRY, not_after=NOW_MS)) == [ACCEPTED]

    @pytest.mark.parametrize("command", [SUBMIT, CANCEL])
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(b"", 503),
            refused(-1007),
            Reset(),
            Answer(b""),
            Answer(b"<html>hello</html>"),
            Answer(json.dumps(wire.render_order(ACCEPTED))[:-9].encode()),
            Answer([]),
            Answer({}),
            Answer({**wire.render_order(ACCEPTED), "orderId": None}),
            Answer({**wire.render_order(ACCEPTED), "symbol": "ETHUSDT"}),
            Answer({**wire.render_order(ACCEPTED), "clientOrderId": "another"}),
            Answer({**wire.render_order(ACCEPTED), "status": "A_WORD_OF_TOMORROW"}),
            Answer({"code": -2019, "msg": "under a good status"}),
        ],
    )
    def test_a_lost_answer_is_never_asked_for_twice(
        self, exchange: AsterExchange, server: ScriptedServer, command: Command, answer: Answer | Reset
    ) -> None:
        server.script("POST", ORDER, answer)
        server.script("DELETE", ORDER, answer)

        assert isinstance(failure_of(exchange, command), OutcomeUnknown)
        assert len(server.asked_for(ORDER)) == 1

    def test_a_refusal_is_definite(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, refused(-2021))

        error = failure_of(exchange, SUBMIT)

        assert isinstance(error, Rejected)
        assert (error.code, error.reason) == (-2021, "no")

    def test_a_refused_connection_left_nothing(self, clock: ManualClock, limits: RateLimits, scheme: Scheme) -> None:
        refuser = AsterClient("http://127.0.0.1:1", clock, limits, a_signer(scheme))

        error = failure_of(AsterExchange(refuser), SUBMIT)

        assert isinstance(error, Unreachable)


class TestSettings:
    @pytest.mark.parametrize(
        ("command", "path", "parameters"),
        [
            (SetPositionMode(True), "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}),
            (SetMultiAssetsMode(False), "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "false"}),
            (
                SetMarginType("BTCUSDT", MarginType.ISOLATED),
                "/fapi/v1/marginType",
                {"symbol": "BTCUSDT", "marginType": "ISOLATED"},
            ),
        ],
    )
    def test_a_setting_is_done(
        self,
        exchange: AsterExchange,
        server: ScriptedServer,
        command: SetPositionMode | SetMultiAssetsMode | SetMarginType,
        path: str,
        parameters: dict[str, str],
    ) -> None:
        server.script("POST", path, Answer(wire.render_done()))

        assert exchange.execute(command) == [AccountSet(command, NOW_MS)]
        assert server.asked_for(path)[0].parameters.items() >= parameters.items()

    def test_leverage_is_read_back(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        told = wire.render_leverage("BTCUSDT", 20, Decimal(1000))
        server.script("POST", "/fapi/v1/leverage", Answer(told))

        assert exchange.execute(SetLeverage("BTCUSDT", 20)) == [AccountSet(SetLeverage("BTCUSDT", 20), NOW_MS)]
        assert isinstance(failure_of(exchange, SetLeverage("BTCUSDT", 10)), OutcomeUnknown)

    @pytest.mark.parametrize("answer", [Answer({}), Answer({"code": 201, "msg": "later"})])
    def test_a_strange_answer_leaves_it_open(
        self, exchange: AsterExchange, server: ScriptedServer, answer: Answer
    ) -> None:
        server.script("POST", "/fapi/v1/positionSide/dual", answer)

        assert isinstance(failure_of(exchange, SetPositionMode(True)), OutcomeUnknown)

    @pytest.mark.parametrize(
        ("command", "path", "code"),
        [
            (SetPositionMode(True), "/fapi/v1/positionSide/dual", -4059),
            (SetMarginType("BTCUSDT", MarginType.CROSSED), "/fapi/v1/marginType", -4046),
        ],
    )
    def test_what_is_already_so_is_done(
        self,
        exchange: AsterExchange,
        server: ScriptedServer,
        command: SetPositionMode | SetMarginType,
        path: str,
        code: int,
    ) -> None:
        server.script("POST", path, refused(code))
        assert exchange.execute(command) == [AccountSet(command, NOW_MS)]

        server.script("POST", path, refused(-4067))
        assert isinstance(failure_of(exchange, command), Rejected)

    def test_multi_assets_mode_is_looked_up_when_refused(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        path = "/fapi/v1/multiAssetsMargin"
        server.script("POST", path, refused(-4171))
        server.script("GET", path, Answer(wire.render_multi_assets_mode(False)))

        assert exchange.execute(SetMultiAssetsMode(False)) == [AccountSet(SetMultiAssetsMode(False), NOW_MS)]
        assert isinstance(failure_of(exchange, SetMultiAssetsMode(True)), Rejected)

    def test_a_leverage_that_is_not_allowed(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", "/fapi/v1/leverage", refused(-4028))

        assert isinstance(failure_of(exchange, SetLeverage("BTCUSDT", 999)), Rejected)
