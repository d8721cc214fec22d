"""One contract, three exchanges: paper trading, and the live adapter on the sandbox over real sockets, V1 and V3."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import pytest

from src.domain.account_commands import SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.clock import SystemClock
from src.domain.enums import MarginType, OrderRole, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from src.domain.errors import Rejected
from src.domain.instrument import Price, Quantity
from src.domain.market import MarkPrice, Quote
from src.domain.messages import (
    AccountSet,
    CancelOrder,
    Command,
    Event,
    FetchFills,
    FetchFunding,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    FillsFetched,
    FundingFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    QueryOrder,
    SnapshotTaken,
    Stream,
    StreamUp,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.paper import PaperKept
from src.domain.positions import PositionReport, Snapshot
from src.engine.costs import Costs
from src.engine.engine import Engine
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.paper import PAPER_CAPITAL, PaperExchange
from src.exchange.port import Exchange
from src.sandbox.catalogue import load_catalogue
from src.sandbox.server import SandboxServer
from src.utils.auth import Scheme, Signer
from tests.builders import a_request
from tests.sandbox.credentials import credentials_of

D = Decimal
SYMBOL = "BTCUSDT"
PRICE = D(50_000)


class Place(Protocol):
    """An exchange, and the hand that moves its market."""

    @property
    def exchange(self) -> Exchange: ...

    def quote(self, bid: Decimal, ask: Decimal) -> None: ...

    def mark(self, price: Decimal) -> None: ...

    def restart(self) -> None:
        """The bot's process ends, and another one asks from now on."""
        ...


@dataclass
class OnPaper:
    exchange: PaperExchange
    posted: list[Event]

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        now_ms = SystemClock().now_ms()
        self.exchange.observe(Quote(SYMBOL, bid, D(50), ask, D(50), now_ms, now_ms))

    def mark(self, price: Decimal) -> None:
        now_ms = SystemClock().now_ms()
        self.exchange.observe(MarkPrice(SYMBOL, price, price, D(0), now_ms + 3_600_000, now_ms, now_ms))

    def restart(self) -> None:
        """All that is left is what was to be kept in the ledger."""
        kept = [event.document for event in self.posted if isinstance(event, PaperKept)][-1]
        self.exchange = _paper_exchange(self.posted)
        self.exchange.start(kept)


@dataclass
class OnTheWire:
    exchange: AsterExchange
    server: SandboxServer
    signer: Signer

    def quote(self, bid: Decimal, ask: Decimal) -> None:
        self.server.exchange.set_quote(SYMBOL, bid, ask)

    def mark(self, price: Decimal) -> None:
        self.server.exchange.set_mark(SYMBOL, price)

    def restart(self) -> None:
        self.exchange = _wire_exchange(self.server, self.signer)


def _paper_exchange(posted: list[Event]) -> PaperExchange:
    instruments = {symbol: listing.instrument for symbol, listing in load_catalogue().items()}
    return PaperExchange(Engine(instruments, Costs()), posted.extend, SystemClock(), lambda: instruments)


def _wire_exchange(server: SandboxServer, signer: Signer) -> AsterExchange:
    clock = SystemClock()
    return AsterExchange(AsterClient(server.base_url, clock, RateLimits(clock), signer))


def on_paper() -> OnPaper:
    posted: list[Event] = []
    place = OnPaper(_paper_exchange(posted), posted)
    place.exchange.start()
    return place


@pytest.fixture(params=["paper", *Scheme])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """In hedge mode, the book one tick wide around 50,000."""
    if request.param == "paper":
        found: Place = on_paper()
        _open(found)
        yield found
        return
    with SandboxServer() as server:
        signer = credentials_of(server, request.param).make_signer()
        found = OnTheWire(_wire_exchange(server, signer), server, signer)
        _open(found)
        yield found


def _open(place: Place) -> None:
    place.mark(PRICE)
    place.quote(PRICE, PRICE + D("0.1"))
    place.mark(PRICE)
    place.exchange.execute(SetPositionMode(True))


def an_entry(price: Decimal = PRICE - 100, **changes: Any) -> OrderRequest:
    return a_request(price=Price(price), **changes)


def bought(place: Place) -> None:
    """A long of 0.01 at the ask."""
    place.exchange.execute(SubmitOrder(an_entry(PRICE + D("0.1"))))


def shown(place: Place) -> Snapshot:
    return place.exchange.snapshot("test")


def long_quantity(place: Place) -> Decimal:
    positions = shown(place).positions
    return next(each.quantity for each in positions if (each.symbol, each.position_side) == (SYMBOL, PositionSide.LONG))


def test_an_entry_below_the_market_rests_and_is_found(place: Place) -> None:
    request = an_entry()
    place.exchange.execute(SubmitOrder(request))
    [order] = shown(place).open_orders
    assert (order.client_order_id, order.status) == (request.client_order_id, OrderStatus.NEW)
    [found] = place.exchange.execute(QueryOrder(SYMBOL, request.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert found.price == request.price


def test_a_cancelled_order_is_gone(place: Place) -> None:
    request = an_entry()
    place.exchange.execute(SubmitOrder(request))
    place.exchange.execute(CancelOrder(SYMBOL, request.client_order_id))
    assert shown(place).open_orders == ()
    [found] = place.exchange.execute(QueryOrder(SYMBOL, request.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert found.status is OrderStatus.CANCELED


def test_an_order_at_the_ask_fills_and_its_fill_is_told(place: Place) -> None:
    bought(place)
    assert long_quantity(place) == D("0.01")
    [told] = place.exchange.execute(FetchFills(SYMBOL, since_ms=SystemClock().now_ms() - 60_000))
    assert isinstance(told, FillsFetched)
    [fill] = told.fills
    assert (fill.side, fill.quantity, fill.price) == (Side.BUY, D("0.01"), PRICE + D("0.1"))
    assert fill.commission > 0


def test_a_stop_closes_the_whole_position(place: Place) -> None:
    bought(place)
    place.exchange.execute(SubmitOrder(a_request(OrderRole.STOP_LOSS, 1)))
    place.mark(D(49_000))
    place.quote(D("48999.9"), D(49_000))
    assert long_quantity(place) == 0


def test_a_stop_that_would_fire_at_once_is_refused(place: Place) -> None:
    bought(place)
    with pytest.raises(Rejected) as refusal:
        place.exchange.execute(SubmitOrder(a_request(OrderRole.STOP_LOSS, 1, stop_price=Price(D(51_000)))))
    assert refusal.value.code == -2021


def test_a_market_order_closes(place: Place) -> None:
    bought(place)
    place.exchange.execute(SubmitOrder(a_request(OrderRole.CLOSE, 1, quantity=Quantity(D("0.01")))))
    assert long_quantity(place) == 0


def test_post_only_never_takes(place: Place) -> None:
    crossing = an_entry(PRICE + 10, time_in_force=TimeInForce.GTX)
    place.exchange.execute(SubmitOrder(crossing))
    [found] = place.exchange.execute(QueryOrder(SYMBOL, crossing.client_order_id))
    assert isinstance(found, OrderUpdate)
    assert (found.status, found.filled_quantity) == (OrderStatus.EXPIRED, D(0))


def test_what_is_not_there_is_said(place: Place) -> None:
    with pytest.raises(Rejected) as refusal:
        place.exchange.execute(CancelOrder(SYMBOL, "lh-abcdef-e"))
    assert refusal.value.code == -2011
    [answer] = place.exchange.execute(QueryOrder(SYMBOL, "lh-abcdef-e"))
    assert isinstance(answer, OrderNotFound)


def test_the_account_is_set_and_read_back(place: Place) -> None:
    commands: list[Command] = [
        SetPositionMode(True),
        SetMultiAssetsMode(False),
        SetMarginType(SYMBOL, MarginType.ISOLATED),
        SetMarginType(SYMBOL, MarginType.ISOLATED),
        SetLeverage(SYMBOL, 7),
    ]
    for command in commands:
        [done] = place.exchange.execute(command)
        assert isinstance(done, AccountSet)
    reports = [report for report in shown(place).positions if report.symbol == SYMBOL]
    assert {(report.leverage, report.margin_type) for report in reports} == {(7, MarginType.ISOLATED)}


def test_a_leverage_that_is_none_is_refused(place: Place) -> None:
    with pytest.raises(Rejected):
        place.exchange.execute(SetLeverage(SYMBOL, 126))


def test_a_fresh_account_holds_its_capital_and_has_paid_nothing(place: Place) -> None:
    [taken] = place.exchange.execute(TakeSnapshot("test"))
    assert isinstance(taken, SnapshotTaken)
    assert taken.snapshot.account.wallet_balance == PAPER_CAPITAL
    assert taken.snapshot.hedge_mode
    [paid] = place.exchange.execute(FetchFunding(since_ms=0))
    assert isinstance(paid, FundingFetched)
    assert paid.incomes == ()


def test_the_book_can_be_asked_for(place: Place) -> None:
    [quote] = place.exchange.execute(FetchQuote(SYMBOL))
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.ask) == (PRICE, PRICE + D("0.1"))


def test_the_account_outlives_the_process_that_asks(place: Place) -> None:
    place.exchange.execute(SetLeverage(SYMBOL, 7))
    bought(place)
    stop, resting = a_request(OrderRole.STOP_LOSS, 1), an_entry(PRICE - 500, client_order_id="lh-another0-e")
    place.exchange.execute(SubmitOrder(stop))
    place.exchange.execute(SubmitOrder(resting))
    before = shown(place)
    place.restart()
    after = shown(place)
    assert [_lasting(each) for each in after.positions] == [_lasting(each) for each in before.positions]
    assert after.open_orders == before.open_orders
    assert after.account.wallet_balance == before.account.wallet_balance != PAPER_CAPITAL
    assert after.hedge_mode

    place.exchange.execute(CancelOrder(SYMBOL, resting.client_order_id))
    place.mark(D(49_000))
    place.quote(D("48999.9"), D(49_000))
    assert shown(place).open_orders == ()
    assert long_quantity(place) == 0


def _lasting(report: PositionReport) -> tuple[object, ...]:
    """What no price moves."""
    terms = report.leverage, report.margin_type
    return report.symbol, report.position_side, report.quantity, report.entry_price, terms, report.updated_at


def test_paper_posts_what_the_private_stream_would_tell() -> None:
    place = on_paper()
    _open(place)
    bought(place)
    assert isinstance(place.posted[0], StreamUp)
    assert place.posted[0].stream is Stream.USER
    fills = [event.fill for event in place.posted if isinstance(event, OrderUpdate) and event.fill]
    assert [fill.quantity for fill in fills] == [D("0.01")]


def test_paper_knows_no_book_it_has_not_seen() -> None:
    assert on_paper().exchange.execute(FetchQuote(SYMBOL)) == []


def test_paper_refuses_what_the_exchange_would() -> None:
    place = on_paper()
    _open(place)
    unknown = a_request(symbol="NOSUCHUSDT", type=OrderType.MARKET, price=None, time_in_force=None)
    with pytest.raises(Rejected):
        place.exchange.execute(SubmitOrder(unknown))


def test_every_order_can_be_listed_ended_ones_too(place: Place) -> None:
    [listed] = place.exchange.execute(FetchOrders(SYMBOL, since_ms=SystemClock().now_ms() - 60_000))
    assert isinstance(listed, OrdersFetched)
    assert listed.orders == ()


def test_the_rules_can_be_read_anew(place: Place) -> None:
    [read] = place.exchange.execute(FetchInstruments())
    assert isinstance(read, InstrumentsFetched)
    assert SYMBOL in {instrument.symbol for instrument in read.instruments}
