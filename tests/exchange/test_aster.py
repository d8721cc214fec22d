"""Orders and account settings against a real HTTP server."""

import json
from decimal import Decimal

import pytest

from src.domain.clock import ManualClock
from src.domain.commands import Command, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.enums import MarginType
from src.domain.errors import (
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    Unreachable,
)
from src.domain.events import AccountConfigured, OrderNotFound
from src.exchange import wire
from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.port import Exchange, ListenKeys, MarketReader
from src.utils.auth import ApiVersion
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
    rejected,
)
from tests.exchange.conftest import NOW_MS, a_signer
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer


@pytest.fixture(params=ApiVersion)
def scheme(request: pytest.FixtureRequest) -> ApiVersion:
    return ApiVersion(request.param)


def test_adapters_implement_the_protocols(client: AsterClient) -> None:
    exchange: Exchange = AsterExchange(client)
    keys: ListenKeys = AsterListenKeys(client)
    market: MarketReader = AsterMarket(client)

    assert all([exchange, keys, market])


class TestOrders:
    def test_submit_is_signed_and_returns_an_update(
        self, exchange: AsterExchange, server: ScriptedServer, scheme: ApiVersion
    ) -> None:
        server.script("POST", ORDER, accepted())

        assert exchange.execute(SUBMIT) == [ACCEPTED]

        received = server.received_at(ORDER)[0]
        expected = wire.render_order_request(ENTRY)
        assert received.parameters.items() >= expected.items()
        assert received.signed_text == a_signer(scheme).sign(expected, NOW_MS + 250)

    def test_cancel_uses_the_client_order_id(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("DELETE", ORDER, accepted())

        assert exchange.execute(CANCEL) == [ACCEPTED]
        assert server.received_at(ORDER)[0].parameters["origClientOrderId"] == ENTRY_ID

    def test_query_returns_the_order(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, accepted())

        assert exchange.execute(QUERY) == [ACCEPTED]

    def test_unknown_order_is_reported(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, rejected(-2013))
        server.script("DELETE", ORDER, rejected(-2011))

        assert exchange.execute(QUERY) == [OrderNotFound("BTCUSDT", ENTRY_ID, NOW_MS)]
        error = failure_of(exchange, CANCEL)
        assert isinstance(error, Rejected)
        assert error.code == -2011

    def test_query_rejected_for_another_reason(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, rejected(-1121))

        assert isinstance(failure_of(exchange, QUERY), Rejected)

    def test_query_answered_with_another_order_raises(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", ORDER, Reply({**wire.render_order(ACCEPTED), "symbol": "ETHUSDT"}))

        assert isinstance(failure_of(exchange, QUERY), ProtocolError)

    @pytest.mark.parametrize("command", [SUBMIT, CANCEL])
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(b"", 503),
            rejected(-1007),
            Reset(),
            Reply(b""),
            Reply(b"<html>hello</html>"),
            Reply(json.dumps(wire.render_order(ACCEPTED))[:-9].encode()),
            Reply([]),
            Reply({}),
            Reply({**wire.render_order(ACCEPTED), "orderId": None}),
            Reply({**wire.render_order(ACCEPTED), "symbol": "ETHUSDT"}),
            Reply({**wire.render_order(ACCEPTED), "clientOrderId": "another"}),
            Reply({**wire.render_order(ACCEPTED), "status": "UNKNOWN_STATUS"}),
            Reply({"code": -2019, "msg": "under a good status"}),
        ],
    )
    def test_lost_response_is_never_retried(
        self, exchange: AsterExchange, server: ScriptedServer, command: Command, reply: Reply | Reset
    ) -> None:
        server.script("POST", ORDER, reply)
        server.script("DELETE", ORDER, reply)

        assert isinstance(failure_of(exchange, command), OutcomeUnknown)
        assert len(server.received_at(ORDER)) == 1

    def test_rejection_is_definite(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", ORDER, rejected(-2021))

        error = failure_of(exchange, SUBMIT)

        assert isinstance(error, Rejected)
        assert (error.code, error.reason) == (-2021, "no")

    def test_rejected_connection_is_unreachable(
        self, clock: ManualClock, limits: RateLimits, scheme: ApiVersion
    ) -> None:
        client = AsterClient("http://127.0.0.1:1", clock, limits, a_signer(scheme))

        error = failure_of(AsterExchange(client), SUBMIT)

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
    def test_setting_is_applied(
        self,
        exchange: AsterExchange,
        server: ScriptedServer,
        command: SetPositionMode | SetMultiAssetsMode | SetMarginType,
        path: str,
        parameters: dict[str, str],
    ) -> None:
        server.script("POST", path, Reply(wire.render_success()))

        assert exchange.execute(command) == [AccountConfigured(command, NOW_MS)]
        assert server.received_at(path)[0].parameters.items() >= parameters.items()

    def test_leverage_is_confirmed_by_the_response(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        reply = wire.render_leverage("BTCUSDT", 20, Decimal(1000))
        server.script("POST", "/fapi/v1/leverage", Reply(reply))

        assert exchange.execute(SetLeverage("BTCUSDT", 20)) == [AccountConfigured(SetLeverage("BTCUSDT", 20), NOW_MS)]
        assert isinstance(failure_of(exchange, SetLeverage("BTCUSDT", 10)), OutcomeUnknown)

    @pytest.mark.parametrize("reply", [Reply({}), Reply({"code": 201, "msg": "later"})])
    def test_unexpected_response_leaves_the_outcome_unknown(
        self, exchange: AsterExchange, server: ScriptedServer, reply: Reply
    ) -> None:
        server.script("POST", "/fapi/v1/positionSide/dual", reply)

        assert isinstance(failure_of(exchange, SetPositionMode(True)), OutcomeUnknown)

    @pytest.mark.parametrize(
        ("command", "path", "code"),
        [
            (SetPositionMode(True), "/fapi/v1/positionSide/dual", -4059),
            (SetMarginType("BTCUSDT", MarginType.CROSSED), "/fapi/v1/marginType", -4046),
        ],
    )
    def test_unchanged_setting_counts_as_done(
        self,
        exchange: AsterExchange,
        server: ScriptedServer,
        command: SetPositionMode | SetMarginType,
        path: str,
        code: int,
    ) -> None:
        server.script("POST", path, rejected(code))
        assert exchange.execute(command) == [AccountConfigured(command, NOW_MS)]

        server.script("POST", path, rejected(-4067))
        assert isinstance(failure_of(exchange, command), Rejected)

    def test_multi_assets_mode_is_read_after_a_rejection(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        path = "/fapi/v1/multiAssetsMargin"
        server.script("POST", path, rejected(-4171))
        server.script("GET", path, Reply(wire.render_multi_assets_mode(False)))

        assert exchange.execute(SetMultiAssetsMode(False)) == [AccountConfigured(SetMultiAssetsMode(False), NOW_MS)]
        assert isinstance(failure_of(exchange, SetMultiAssetsMode(True)), Rejected)

    def test_leverage_above_the_maximum_is_rejected(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("POST", "/fapi/v1/leverage", rejected(-4028))

        assert isinstance(failure_of(exchange, SetLeverage("BTCUSDT", 999)), Rejected)
