"""Account snapshots and paginated histories."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.api_wallet import ApiWallet
from src.domain.clock import DAY_MS, HOUR_MS, ManualClock
from src.domain.commands import FetchFills, FetchIncome, FetchOrders, TakeSnapshot
from src.domain.enums import IncomeType, MarginType, PositionSide, Side
from src.domain.errors import (
    ProtocolError,
    Rejected,
    Unreachable,
)
from src.domain.events import FillsFetched, IncomeFetched, OrdersFetched, Outcome, SnapshotTaken, UnreadableMessages
from src.domain.orders import Fill
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.exchange import wire
from src.exchange.aster import AsterExchange
from src.exchange.limits import RateLimits
from src.utils.auth import ApiVersion
from tests.exchange.builders import ACCEPTED, failure_of, rejected
from tests.exchange.conftest import NOW_MS, a_signer
from tests.exchange.scripted_server import ReceivedRequest, Reply, Reset, ScriptedServer

REPORT = PositionReport(
    "BTCUSDT", PositionSide.BOTH, Decimal("0.01"), Decimal(60000), Decimal(60100), Decimal(1), Decimal(40000), 20,
    MarginType.CROSSED, Decimal(0), NOW_MS,
)  # fmt: skip
SUMMARY = AccountSummary(Decimal(1000), Decimal(1), Decimal(1001), Decimal(900), Decimal(30), Decimal(3))
USDT = Balance("USDT", Decimal(1000), Decimal(1000))
API_WALLETS = "/fapi/v3/agent"
SNAPSHOT_BODIES = {
    "/fapi/v1/positionSide/dual": wire.render_position_mode(False),
    "/fapi/v1/multiAssetsMargin": wire.render_multi_assets_mode(True),
    "/fapi/v2/positionRisk": [wire.render_position(REPORT)],
    "/fapi/v1/openOrders": [wire.render_order(ACCEPTED)],
    "/fapi/v4/account": wire.render_account(SUMMARY, [USDT], [REPORT]),
}


@pytest.fixture(params=ApiVersion)
def scheme(request: pytest.FixtureRequest) -> ApiVersion:
    return ApiVersion(request.param)


@pytest.fixture
def readable(server: ScriptedServer) -> ScriptedServer:
    for path, body in SNAPSHOT_BODIES.items():
        server.script("GET", path, Reply(body))
    return server


@pytest.mark.usefixtures("readable")
def test_api_wallet_is_read_once_an_hour_and_its_failure_changes_nothing(
    exchange: AsterExchange, server: ScriptedServer, clock: ManualClock, scheme: ApiVersion
) -> None:
    address = a_signer(scheme).wallet_address
    wallet = ApiWallet(NOW_MS + 60 * DAY_MS, True, "192.0.2.1 10.0.0.0/24")
    if address is not None:
        others = wire.render_api_wallet(replace(wallet, can_withdraw=False), "0x00")
        server.script("GET", API_WALLETS, Reply([others, wire.render_api_wallet(wallet, address.lower())]))
    expected = None if address is None else wallet

    assert exchange.snapshot("start").api_wallet == expected
    server.script("GET", API_WALLETS, Reply(b"", 404))
    assert exchange.snapshot("again").api_wallet == expected
    clock.advance(HOUR_MS)
    assert exchange.snapshot("later").api_wallet == expected
    assert len(server.received_at(API_WALLETS)) == (0 if address is None else 2)


class TestSnapshot:
    @pytest.mark.usefixtures("readable")
    def test_snapshot_contains_every_part(
        self, exchange: AsterExchange, limits: RateLimits, scheme: ApiVersion
    ) -> None:
        outcome = exchange.execute(TakeSnapshot("start"))[0]

        assert isinstance(outcome, SnapshotTaken)
        snapshot = outcome.snapshot
        assert outcome.reason == "start"
        assert (snapshot.requested_at, snapshot.taken_at) == (NOW_MS, NOW_MS)
        assert (snapshot.hedge_mode, snapshot.multi_assets_mode) == (False, True)
        assert snapshot.account == SUMMARY
        assert snapshot.balances == (USDT,)
        assert snapshot.positions == (REPORT,)
        assert snapshot.open_orders == (ACCEPTED,)
        api_wallets = 20 if scheme is ApiVersion.V3 else 0
        assert limits.weight_used == 1 + 30 + 30 + 5 + 40 + 5 + api_wallets

    @pytest.mark.parametrize("path", SNAPSHOT_BODIES)
    @pytest.mark.parametrize(
        "reply",
        [Reply(b"", 503), Reply(b""), Reply(b"<html>", 403), Reply("x"), Reply([{}]), rejected(-1121), Reset()],
    )
    def test_one_failed_read_fails_the_snapshot(
        self, exchange: AsterExchange, readable: ScriptedServer, path: str, reply: Reply | Reset
    ) -> None:
        readable.script("GET", path, reply)

        with pytest.raises((Unreachable, Rejected, ProtocolError)):
            exchange.snapshot("audit")

    def test_parts_from_before_and_after_a_suspension_are_no_snapshot(
        self, exchange: AsterExchange, readable: ScriptedServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reply = readable.next_reply

        def suspend(request: ReceivedRequest) -> Reply | Reset:
            if request.path.endswith("openOrders"):
                clock.advance(60_000)
            return reply(request)

        monkeypatch.setattr(readable, "next_reply", suspend)
        with pytest.raises(Unreachable, match="it is read again"):
            exchange.execute(TakeSnapshot("test"))

    @pytest.mark.parametrize("path", ["/fapi/v2/positionRisk", "/fapi/v1/openOrders"])
    def test_object_instead_of_a_list_raises(
        self, exchange: AsterExchange, readable: ScriptedServer, path: str
    ) -> None:
        readable.script("GET", path, Reply({}))

        with pytest.raises(ProtocolError):
            exchange.snapshot("audit")


def fill(trade_id: int) -> Fill:
    return Fill(
        "BTCUSDT", trade_id, 42, "", Side.BUY, PositionSide.BOTH, Decimal("0.01"), Decimal(60000), Decimal(0),
        Decimal("0.24"), "USDT", False, NOW_MS,
    )  # fmt: skip


def fills_of(outcomes: Sequence[Outcome]) -> list[int]:
    [outcome] = outcomes
    assert isinstance(outcome, FillsFetched)
    return [each.trade_id for each in outcome.fills]


class TestHistories:
    TRADES = "/fapi/v1/userTrades"

    def test_trades_since_a_time(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", self.TRADES, Reply([wire.render_fill(fill(7))]))

        outcomes = exchange.execute(FetchFills("BTCUSDT", NOW_MS - 1000))

        assert outcomes == [FillsFetched("BTCUSDT", (fill(7),), NOW_MS, NOW_MS - 1000)]
        parameters = server.received_at(self.TRADES)[0].parameters
        assert parameters["startTime"] == str(NOW_MS - 1000)
        assert "fromId" not in parameters

    def test_trades_from_an_id_are_read_to_the_last_page(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        pages = [[wire.render_fill(fill(each)) for each in ids] for ids in (range(5, 1005), range(1005, 1010))]
        server.script("GET", self.TRADES, *map(Reply, pages))

        outcomes = exchange.execute(FetchFills("BTCUSDT", 0, from_trade_id=5))

        assert fills_of(outcomes) == list(range(5, 1010))
        parameters = [each.parameters for each in server.received_at(self.TRADES)]
        assert [each["fromId"] for each in parameters] == ["5", "1005"]
        assert all("startTime" not in each for each in parameters)

    @pytest.mark.parametrize("field", ["id", "orderId", "side", "positionSide", "qty", "price", "realizedPnl", "time"])
    @pytest.mark.parametrize("value", [None, "", "SOMETHING_NEW"])
    def test_trade_that_cannot_be_read_does_not_lose_the_others(
        self, exchange: AsterExchange, server: ScriptedServer, field: str, value: str | None
    ) -> None:
        broken = {**wire.render_fill(fill(7)), field: value}
        server.script("GET", self.TRADES, Reply([broken, wire.render_fill(fill(8))]))

        trades, lost = exchange.execute(FetchFills("BTCUSDT", NOW_MS - 1000))

        assert trades == FillsFetched("BTCUSDT", (fill(8),), NOW_MS, NOW_MS - 1000, is_incomplete=True)
        assert isinstance(lost, UnreadableMessages)
        assert (lost.count, lost.problem.startswith("trade list: ")) == (1, True)

    def test_page_without_a_readable_trade_is_the_last(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", self.TRADES, Reply([{**wire.render_fill(fill(7)), "qty": ""}] * 1000))

        trades, _ = exchange.execute(FetchFills("BTCUSDT", 0, from_trade_id=5))

        assert trades == FillsFetched("BTCUSDT", (), NOW_MS, 0, is_incomplete=True)

    def test_trade_history_is_limited_to_seven_days(
        self, exchange: AsterExchange, server: ScriptedServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.script("GET", self.TRADES, Reply([]))

        with caplog.at_level(logging.WARNING):
            assert fills_of(exchange.execute(FetchFills("BTCUSDT", 0))) == []

        start_ms = int(server.received_at(self.TRADES)[0].parameters["startTime"])
        assert start_ms > NOW_MS - 7 * 86_400_000
        assert "trade history limited" in caplog.text

    @pytest.mark.parametrize(
        ("command", "path"),
        [
            (FetchFills("BTCUSDT", NOW_MS + 60_000), TRADES),
            (FetchIncome(NOW_MS + 60_000), "/fapi/v1/income"),
        ],
    )
    def test_start_in_the_future_is_limited_to_now(
        self, exchange: AsterExchange, server: ScriptedServer, command: FetchFills | FetchIncome, path: str
    ) -> None:
        server.script("GET", path, Reply([]))

        exchange.execute(command)

        assert int(server.received_at(path)[0].parameters["startTime"]) <= NOW_MS + 250

    def test_object_instead_of_trades_raises(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", self.TRADES, Reply({}))

        assert isinstance(failure_of(exchange, FetchFills("BTCUSDT", NOW_MS)), ProtocolError)

    def test_funding_is_read_to_the_last_page(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        def income(number: int) -> Income:
            return Income(number, "BTCUSDT", "FUNDING_FEE", "USDT", Decimal("-0.01"), NOW_MS + number)

        pages = [[wire.render_income(income(each)) for each in ids] for ids in (range(1000), range(999, 1003))]
        server.script("GET", "/fapi/v1/income", *map(Reply, pages))

        outcomes = exchange.execute(FetchIncome(NOW_MS))

        assert outcomes == [IncomeFetched(tuple(income(each) for each in range(1003)), NOW_MS)]
        parameters = [each.parameters for each in server.received_at("/fapi/v1/income")]
        assert [each["startTime"] for each in parameters] == [str(NOW_MS), str(NOW_MS + 999)]
        assert {each["incomeType"] for each in parameters} == {"FUNDING_FEE"}

    def test_long_income_history_is_read_in_parts_of_a_week(
        self, exchange: AsterExchange, server: ScriptedServer
    ) -> None:
        server.script("GET", "/fapi/v1/income", Reply([]))
        command = FetchIncome(NOW_MS - 10 * 86_400_000, IncomeType.REALIZED_PNL, "BTCUSDT")

        assert exchange.execute(command) == [IncomeFetched((), NOW_MS, IncomeType.REALIZED_PNL, "BTCUSDT")]

        first, second = (each.parameters for each in server.received_at("/fapi/v1/income"))
        assert int(first["endTime"]) - int(first["startTime"]) < 7 * 86_400_000
        assert second["startTime"] == first["endTime"]
        assert "endTime" not in second
        assert {(each["symbol"], each["incomeType"]) for each in (first, second)} == {("BTCUSDT", "REALIZED_PNL")}

    def test_income_of_many_years_is_limited_to_four_weeks(
        self, exchange: AsterExchange, server: ScriptedServer
    ) -> None:
        server.script("GET", "/fapi/v1/income", Reply([]))

        exchange.execute(FetchIncome(0, IncomeType.TRANSFER))

        starts = [int(each.parameters["startTime"]) for each in server.received_at("/fapi/v1/income")]
        assert len(starts) == 4
        assert starts[0] > NOW_MS - 28 * 86_400_000

    @pytest.mark.parametrize("missing", ["tranId", "incomeType", "income", "asset", "time", "symbol"])
    def test_income_that_cannot_be_read_does_not_lose_the_others(
        self, exchange: AsterExchange, server: ScriptedServer, missing: str
    ) -> None:
        known = Income(1, "BTCUSDT", "FUNDING_FEE", "USDT", Decimal(1), NOW_MS)
        broken = {**wire.render_income(replace(known, transaction_id=2)), missing: None}
        server.script("GET", "/fapi/v1/income", Reply([broken, wire.render_income(known)]))

        read, lost = exchange.execute(FetchIncome(NOW_MS))

        assert read == IncomeFetched((known,), NOW_MS)
        assert isinstance(lost, UnreadableMessages)
        assert (lost.count, lost.problem) == (1, f"income history: {missing} is missing")

    def test_page_without_new_records_is_the_last(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        same = Income(1, "", "FUNDING_FEE", "USDT", Decimal(1), NOW_MS)
        server.script("GET", "/fapi/v1/income", Reply([wire.render_income(same)] * 1000))

        assert exchange.execute(FetchIncome(NOW_MS)) == [IncomeFetched((same,), NOW_MS)]


class TestOrders:
    ORDERS = "/fapi/v1/allOrders"

    def test_orders_since_a_time(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        server.script("GET", self.ORDERS, Reply([wire.render_order(ACCEPTED)]))
        outcomes = exchange.execute(FetchOrders("BTCUSDT", NOW_MS - 1000))
        assert outcomes == [OrdersFetched("BTCUSDT", (ACCEPTED,), NOW_MS - 1000, NOW_MS)]

    def test_order_pages_continue_by_order_id(self, exchange: AsterExchange, server: ScriptedServer) -> None:
        many = [replace(ACCEPTED, order_id=number) for number in range(1, 1002)]
        first, last = ([wire.render_order(each) for each in page] for page in (many[:1000], many[1000:]))
        server.script("GET", self.ORDERS, Reply(first), Reply(last))
        [outcome] = exchange.execute(FetchOrders("BTCUSDT", NOW_MS - 1000))
        assert isinstance(outcome, OrdersFetched)
        assert outcome.orders == tuple(many)
