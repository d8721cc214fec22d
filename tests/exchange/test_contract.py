"""One contract for paper trading and for the REST adapter on the sandbox with V1 and V3."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import pytest

from src.domain.clock import SystemClock
from src.domain.commands import (
    CancelOrder,
    Command,
    FetchFills,
    FetchIncome,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    QueryOrder,
    SetLeverage,
    SetMarginType,
    SetMultiAssetsMode,
    SetPositionMode,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.enums import MarginType, Network, OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.events import (
    AccountConfigured,
    Event,
    FillsFetched,
    IncomeFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    PaperAccountSaved,
    SnapshotTaken,
    Stream,
    StreamUp,
)
from src.domain.instrument import InstrumentList, Price, Quantity
from src.domain.market import MarkPrice, Quote
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.positions import PositionReport, Snapshot
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.paper import PAPER_CAPITAL, PaperExchange
from src.exchange.port import Exchange
from src.sandbox.market.listings import load_listings
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion, Signer
from tests.builders import a_request
from tests.sandbox.credentials import credentials_of

D = Decimal
SYMBOL = "BTCUSDT"
PRICE = D(50_000)


class Venue(Protocol):
    """An exchange with market prices set by the test."""

    @property
    def exchange(self) -> Exchange: ...

    def quote(self, bid: Decimal, ask: Decimal) -> None: ...

    def mark(self, price: Decimal) -> None: ...

    def restart(self) -> None:
        """Replace the bot's process by a new one."""
        ...


@dataclass
class PaperVenue:
    exchange: PaperExchange
    events: list[Event]

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        now_ms = SystemClock().now_ms()
        self.exchange.on_price(Quote(SYMBOL, bid, D(50), ask, D(50), now_ms, now_ms))

    def mark(self, price: Decimal) -> None:
        now_ms = SystemClock().now_ms()
        self.exchange.on_price(MarkPrice(SYMBOL, price, price, D(0), now_ms + 3_600_000, now_ms, now_ms))

    def restart(self) -> None:
        """Start again with the last account state that was saved."""
        saved = [event.document for event in self.events if isinstance(event, PaperAccountSaved)][-1]
        self.exchange = _paper_exchange(self.events)
        self.exchange.start(saved)


@dataclass
class SandboxVenue:
    exchange: AsterExchange
    server: SandboxServer
    signer: Signer

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        self.server.exchange.set_quote(SYMBOL, bid, ask)

    def mark(self, price: Decimal) -> None:
        self.server.exchange.set_mark(SYMBOL, price)

    def restart(self) -> None:
        self.exchange = _sandbox_exchange(self.server, self.signer)


def _paper_exchange(posted: list[Event]) -> PaperExchange:
    instruments = {symbol: listing.instrument for symbol, listing in load_listings().items()}
    return PaperExchange(Engine(instruments, Fees()), posted.extend, SystemClock(), lambda: InstrumentList(instruments))


def _sandbox_exchange(server: SandboxServer, signer: Signer) -> AsterExchange:
    clock = SystemClock()
    return AsterExchange(AsterClient(server.base_url, clock, RateLimits(clock), signer))


def paper_venue() -> PaperVenue:
    posted: list[Event] = []
    venue = PaperVenue(_paper_exchange(posted), posted)
    venue.exchange.start()
    return venue


@pytest.fixture(params=["paper", *ApiVersion])
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    """A venue in hedge mode with a spread of one tick at 50,000."""
    if request.param == "paper":
        paper: Venue = paper_venue()
        _open(paper)
        yield paper
        return
    with SandboxServer() as server:
        signer = credentials_of(server, request.param).make_signer(Network.SANDBOX)
        sandbox = SandboxVenue(_sandbox_exchange(server, signer), server, signer)
        _open(sandbox)
        yield sandbox


def _open(venue: Venue) -> None:
    venue.mark(PRICE)
    venue.quote(PRICE, PRICE + D("0.1"))
    venue.mark(PRICE)
    venue.exchange.execute(SetPositionMode(True))


def an_entry(price: Decimal = PRICE - 100, **changes: Any) -> OrderRequest:
    return a_request(price=Price(price), **changes)


def buy(venue: Venue) -> None:
    """Open a long position of 0.01 at the ask."""
    venue.exchange.execute(SubmitOrder(an_entry(PRICE + D("0.1"))))


def snapshot_of(venue: Venue) -> Snapshot:
    return venue.exchange.snapshot("test")


def long_quantity(venue: Venue) -> Decimal:
    positions = snapshot_of(venue).positions
    return next(each.quantity for each in positions if (each.symbol, each.position_side) == (SYMBOL, PositionSide.LONG))


def test_entry_below_the_market_is_open_and_found(venue: Venue) -> None:
    request = an_entry()
    venue.exchange.execute(SubmitOrder(request))
    [order] = snapshot_of(venue).open_orders
    assert (order.client_order_id, order.status) == (request.client_order_id, OrderStatus.NEW)
    [found] = venue.exchange.execute(QueryOrder(SYMBOL, request.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert found.price == request.price


def test_cancelled_order_is_closed(venue: Venue) -> None:
    request = an_entry()
    venue.exchange.execute(SubmitOrder(request))
    venue.exchange.execute(CancelOrder(SYMBOL, request.client_order_id))
    assert snapshot_of(venue).open_orders == ()
    [found] = venue.exchange.execute(QueryOrder(SYMBOL, request.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert found.status is OrderStatus.CANCELED


def test_order_at_the_ask_fills_and_its_fill_is_listed(venue: Venue) -> None:
    buy(venue)
    assert long_quantity(venue) == D("0.01")
    [fetched] = venue.exchange.execute(FetchFills(SYMBOL, since_ms=SystemClock().now_ms() - 60_000))
    assert isinstance(fetched, FillsFetched)
    [fill] = fetched.fills
    assert (fill.side, fill.quantity, fill.price) == (Side.BUY, D("0.01"), PRICE + D("0.1"))
    assert fill.commission > 0


def test_stop_closes_the_whole_position(venue: Venue) -> None:
    buy(venue)
    venue.exchange.execute(SubmitOrder(a_request(OrderRole.STOP_LOSS, 1)))
    venue.mark(D(49_000))
    venue.quote(D("48999.9"), D(49_000))
    assert long_quantity(venue) == 0


def test_stop_that_would_trigger_at_once_is_rejected(venue: Venue) -> None:
    buy(venue)
    with pytest.raises(Rejected) as caught:
        venue.exchange.execute(SubmitOrder(a_request(OrderRole.STOP_LOSS, 1, stop_price=Price(D(51_000)))))
    assert caught.value.code == -2021


def test_market_order_closes_the_position(venue: Venue) -> None:
    buy(venue)
    venue.exchange.execute(SubmitOrder(a_request(OrderRole.CLOSE, 1, quantity=Quantity(D("0.01")))))
    assert long_quantity(venue) == 0


def test_crossing_post_only_order_expires(venue: Venue) -> None:
    crossing = an_entry(PRICE + 10, time_in_force=TimeInForce.GTX)
    venue.exchange.execute(SubmitOrder(crossing))
    [found] = venue.exchange.execute(QueryOrder(SYMBOL, crossing.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert (found.status, found.filled_quantity) == (OrderStatus.EXPIRED, D(0))


def test_unknown_orders_are_not_found(venue: Venue) -> None:
    with pytest.raises(Rejected) as caught:
        venue.exchange.execute(CancelOrder(SYMBOL, "lh-abcdef-e"))
    assert caught.value.code == -2011
    [outcome] = venue.exchange.execute(QueryOrder(SYMBOL, "lh-abcdef-e"))
    assert isinstance(outcome, OrderNotFound)


def test_account_settings_are_applied(venue: Venue) -> None:
    commands: list[Command] = [
        SetPositionMode(True),
        SetMultiAssetsMode(False),
        SetMarginType(SYMBOL, MarginType.ISOLATED),
        SetMarginType(SYMBOL, MarginType.ISOLATED),
        SetLeverage(SYMBOL, 7),
    ]
    for command in commands:
        [done] = venue.exchange.execute(command)
        assert isinstance(done, AccountConfigured)
    reports = [report for report in snapshot_of(venue).positions if report.symbol == SYMBOL]
    assert {(report.leverage, report.margin_type) for report in reports} == {(7, MarginType.ISOLATED)}


def test_invalid_leverage_is_rejected(venue: Venue) -> None:
    with pytest.raises(Rejected):
        venue.exchange.execute(SetLeverage(SYMBOL, 126))


def test_new_account_holds_its_capital_and_paid_no_funding(venue: Venue) -> None:
    [taken] = venue.exchange.execute(TakeSnapshot("test"))
    assert isinstance(taken, SnapshotTaken)
    assert taken.snapshot.account.wallet_balance == PAPER_CAPITAL
    assert taken.snapshot.hedge_mode
    [paid] = venue.exchange.execute(FetchIncome(since_ms=0))
    assert isinstance(paid, IncomeFetched)
    assert paid.incomes == ()


def test_quote_can_be_fetched(venue: Venue) -> None:
    [quote] = venue.exchange.execute(FetchQuote(SYMBOL))
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.ask) == (PRICE, PRICE + D("0.1"))


def test_account_survives_a_restart(venue: Venue) -> None:
    venue.exchange.execute(SetLeverage(SYMBOL, 7))
    buy(venue)
    stop, resting = a_request(OrderRole.STOP_LOSS, 1), an_entry(PRICE - 500, client_order_id="lh-another0-e")
    venue.exchange.execute(SubmitOrder(stop))
    venue.exchange.execute(SubmitOrder(resting))
    before = snapshot_of(venue)
    venue.restart()
    after = snapshot_of(venue)
    assert [_lasting(each) for each in after.positions] == [_lasting(each) for each in before.positions]
    assert after.open_orders == before.open_orders
    assert after.account.wallet_balance == before.account.wallet_balance != PAPER_CAPITAL
    assert after.hedge_mode

    venue.exchange.execute(CancelOrder(SYMBOL, resting.client_order_id))
    venue.mark(D(49_000))
    venue.quote(D("48999.9"), D(49_000))
    assert snapshot_of(venue).open_orders == ()
    assert long_quantity(venue) == 0


def test_batch_answers_each_order_and_each_cancel(venue: Venue) -> None:
    open_entry, bad = an_entry(), an_entry(client_order_id="lh-another0-e", quantity=Quantity(D("0.0000001")))
    short = an_entry(PRICE + 100, client_order_id="lh-another1-e", side=Side.SELL, position_side=PositionSide.SHORT)
    placed = venue.exchange.execute_batch([SubmitOrder(each) for each in (open_entry, bad, short)])
    assert [isinstance(each, Rejected) for each in placed] == [False, True, False]
    names = {order.client_order_id for order in snapshot_of(venue).open_orders}
    assert names == {open_entry.client_order_id, short.client_order_id}
    known = [open_entry.client_order_id, "lh-another2-e", short.client_order_id]
    cancelled = venue.exchange.execute_batch([CancelOrder(SYMBOL, name) for name in known])
    assert [isinstance(each, Rejected) and each.code for each in cancelled] == [False, -2011, False]
    assert snapshot_of(venue).open_orders == ()


def _lasting(report: PositionReport) -> tuple[object, ...]:
    """The fields that do not depend on the market price."""
    config = report.leverage, report.margin_type
    return report.symbol, report.position_side, report.quantity, report.entry_price, config, report.updated_at


def test_paper_emits_user_stream_events() -> None:
    venue = paper_venue()
    _open(venue)
    buy(venue)
    assert isinstance(venue.events[0], StreamUp)
    assert venue.events[0].stream is Stream.USER
    fills = [event.fill for event in venue.events if isinstance(event, OrderUpdate) and event.fill]
    assert [fill.quantity for fill in fills] == [D("0.01")]


def test_paper_returns_no_quote_before_the_first() -> None:
    assert paper_venue().exchange.execute(FetchQuote(SYMBOL)) == []


def test_paper_rejects_unknown_symbol() -> None:
    venue = paper_venue()
    _open(venue)
    unknown = a_request(symbol="NOSUCHUSDT", type=OrderType.MARKET, price=None, time_in_force=None)
    with pytest.raises(Rejected):
        venue.exchange.execute(SubmitOrder(unknown))


def test_order_history_can_be_fetched(venue: Venue) -> None:
    [listed] = venue.exchange.execute(FetchOrders(SYMBOL, since_ms=SystemClock().now_ms() - 60_000))
    assert isinstance(listed, OrdersFetched)
    assert listed.orders == ()


def test_instruments_can_be_refreshed(venue: Venue) -> None:
    [read] = venue.exchange.execute(FetchInstruments())
    assert isinstance(read, InstrumentsFetched)
    assert SYMBOL in {instrument.symbol for instrument in read.instruments}
