"""Listen keys of the user data stream, and public market data."""

from decimal import Decimal

import pytest

from src.domain.clock import ManualClock
from src.domain.commands import FetchQuote
from src.domain.errors import (
    InvariantError,
    Rejected,
    Unreachable,
)
from src.domain.instrument import IncompleteInstrument
from src.exchange import wire
from src.exchange.aster import AsterExchange, AsterListenKeys, AsterMarket
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from tests.exchange.builders import (
    QUERY,
    rejected,
)
from tests.exchange.conftest import API_KEY, NOW_MS
from tests.exchange.scripted_server import Reply, Reset, ScriptedServer
from tests.exchange.wire.values import an_instrument


class TestListenKeys:
    PATH = "/fapi/v1/listenKey"

    def test_listen_key_needs_only_the_api_key(self, client: AsterClient, server: ScriptedServer) -> None:
        server.script("POST", self.PATH, Reply({"listenKey": "abc"}))
        server.script("PUT", self.PATH, Reply())
        server.script("DELETE", self.PATH, Reply())
        keys = AsterListenKeys(client)

        assert keys.create() == "abc"
        keys.keep_alive()
        keys.close()

        received = server.received_at(self.PATH)
        assert [each.method for each in received] == ["POST", "PUT", "DELETE"]
        assert {each.headers["X-MBX-APIKEY"] for each in received} == {API_KEY}
        assert {each.signed_text for each in received} == {""}

    def test_expired_listen_key_is_rejected(self, client: AsterClient, server: ScriptedServer) -> None:
        server.script("PUT", self.PATH, rejected(-1125))

        with pytest.raises(Rejected) as caught:
            AsterListenKeys(client).keep_alive()

        assert caught.value.code == -1125

    def test_lost_listen_key_response_is_unreachable(self, client: AsterClient, server: ScriptedServer) -> None:
        server.script("POST", self.PATH, Reset())

        with pytest.raises(Unreachable):
            AsterListenKeys(client).create()


class TestMarket:
    @pytest.fixture
    def market(self, server: ScriptedServer, clock: ManualClock, limits: RateLimits) -> AsterMarket:
        return AsterMarket(AsterClient(server.url, clock, limits))

    def test_time_needs_no_api_key(self, market: AsterMarket, server: ScriptedServer) -> None:
        assert market.server_time() == NOW_MS + 250
        assert "X-MBX-APIKEY" not in server.received[0].headers

    def test_invalid_symbol_is_named(self, market: AsterMarket, server: ScriptedServer) -> None:
        server.script("GET", "/fapi/v1/exchangeInfo", Reply({"symbols": [{"symbol": "ODDUSDT"}]}))

        listed = market.list_instruments()

        assert listed.instruments == {}
        assert listed.incomplete == (IncompleteInstrument("ODDUSDT", "filters is missing"),)

    def test_candles(self, market: AsterMarket, server: ScriptedServer) -> None:
        candle = (NOW_MS, Decimal(1), Decimal(4), Decimal(1), Decimal(2), Decimal(9))
        server.script("GET", "/fapi/v1/klines", Reply([wire.render_kline(candle, NOW_MS + 59_999)]))

        assert market.klines("BTCUSDT", "1m", 1) == [candle]
        assert server.received[0].parameters == {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}

    def test_quote_is_read_from_depth(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        bid, ask = (Decimal(1), Decimal(5)), (Decimal(2), Decimal(6))
        server.script("GET", "/fapi/v1/depth", Reply(wire.render_depth([bid], [ask], 1, NOW_MS - 3)))

        assert exchange.execute(FetchQuote("BTCUSDT")) == [
            wire.parse_depth(wire.render_depth([bid], [ask], 1, NOW_MS - 3), "BTCUSDT", NOW_MS)
        ]

    def test_signed_request_without_key_is_an_invariant_error(
        self, server: ScriptedServer, clock: ManualClock, limits: RateLimits
    ) -> None:
        with pytest.raises(InvariantError):
            AsterExchange(AsterClient(server.url, clock, limits)).execute(QUERY)

    def test_instruments_are_returned_by_symbol(self, market: AsterMarket, server: ScriptedServer) -> None:
        instrument = an_instrument()
        server.script("GET", "/fapi/v1/exchangeInfo", Reply(wire.render_exchange_info([instrument], NOW_MS)))

        assert market.instruments() == {"BTCUSDT": instrument}
