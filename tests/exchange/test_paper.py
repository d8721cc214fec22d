"""The paper exchange across restarts: it emits the state to save and restores it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from src.domain.clock import ManualClock
from src.domain.commands import QueryOrder, SetLeverage, SetPositionMode, SubmitOrder
from src.domain.enums import OrderRole, PositionSide
from src.domain.events import Event, IncomeFetched, PaperAccountSaved, StreamUp
from src.domain.instrument import InstrumentList
from src.domain.market import MarkPrice, Quote
from src.domain.orders import OrderRequest, OrderUpdate
from src.domain.positions import Snapshot
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.exchange.paper import PaperExchange
from tests.builders import NOW, D, a_mark, a_quote, a_request, an_instrument


@dataclass
class PaperHarness:
    """A paper exchange in hedge mode; a restart uses the last emitted account state, as the database would."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    emitted: list[Sequence[Event]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start(None)
        self.exchange.execute(SetPositionMode(True))
        self.market(50_000)

    def start(self, saved: Any) -> None:
        instruments = {"BTCUSDT": an_instrument()}
        self.exchange = PaperExchange(
            Engine(instruments, Fees()), self.emitted.append, self.clock, lambda: InstrumentList(instruments)
        )
        self.exchange.start(saved)

    def restart(self) -> "PaperHarness":
        self.start(json.loads(json.dumps(self.saved)))
        return self

    @property
    def saved(self) -> Any:
        last = self.emitted[-1][-1]
        assert isinstance(last, PaperAccountSaved)
        return last.document

    def market(self, price: int, *, is_mark_first: bool = False, **mark: Any) -> None:
        self.clock.advance(1_000)
        now = self.clock.now_ms()
        quote: Quote | MarkPrice = a_quote(price, D(price) + D("0.1"), at=now, received_at=now)
        marked = a_mark(price, at=now, received_at=now, **mark)
        for each in [marked, quote] if is_mark_first else [quote, marked]:
            self.exchange.on_price(each)

    def submit(self, role: OrderRole = OrderRole.ENTRY, number: int = 0, **changes: Any) -> OrderRequest:
        request = a_request(role, number, **changes)
        self.exchange.execute(SubmitOrder(request))
        return request

    @property
    def snapshot(self) -> Snapshot:
        return self.exchange.snapshot("test")

    @property
    def held(self) -> Decimal:
        return next(each.quantity for each in self.snapshot.positions if each.position_side is PositionSide.LONG)


def a_protected_position() -> PaperHarness:
    paper = PaperHarness()
    paper.submit(price=D(50_001))
    paper.submit(OrderRole.STOP_LOSS, 1)
    paper.submit(OrderRole.TAKE_PROFIT, 2)
    return paper


def test_account_is_saved_after_every_change() -> None:
    paper = a_protected_position()
    paper.exchange.execute(SetLeverage("BTCUSDT", 7))
    for batch in paper.emitted:
        assert [isinstance(event, PaperAccountSaved) for event in batch] == [*[False] * (len(batch) - 1), True]
    quiet = len(paper.emitted)
    paper.market(50_010)
    paper.exchange.execute(SetPositionMode(True))
    assert len(paper.emitted) == quiet


def test_restart_restores_the_account_exactly() -> None:
    paper = a_protected_position()
    before = paper.snapshot
    after = paper.restart().snapshot
    assert (after.positions, after.open_orders) == (before.positions, before.open_orders)
    assert (after.account, after.balances, after.hedge_mode) == (before.account, before.balances, True)
    assert before.account.wallet_balance != 10_000
    first = paper.emitted[-1][0]
    assert isinstance(first, StreamUp)


def test_orders_are_found_by_client_id_after_restart() -> None:
    paper = a_protected_position()
    [found] = paper.restart().exchange.execute(QueryOrder("BTCUSDT", a_request(OrderRole.STOP_LOSS, 1).client_order_id))
    assert isinstance(found, OrderUpdate)
    assert (found.stop_price, found.close_position) == (D(49_000), True)


def test_stop_triggers_before_liquidation_after_restart() -> None:
    paper = PaperHarness()
    paper.exchange.execute(SetLeverage("BTCUSDT", 20))
    paper.submit(price=D(50_001), quantity=D("3"))
    paper.submit(OrderRole.STOP_LOSS, 1)
    paper.restart().market(47_000, is_mark_first=True)
    fills = [event.fill for batch in paper.emitted for event in batch if isinstance(event, OrderUpdate) and event.fill]
    assert {fill.client_order_id for fill in fills[1:]} == {a_request(OrderRole.STOP_LOSS, 1).client_order_id}
    assert paper.held == 0


def test_funding_is_emitted_with_the_account() -> None:
    paper = a_protected_position()
    due = paper.clock.now_ms() + 1_500
    paper.market(50_000, funding_rate=D("0.001"), next_funding_at=due)
    paper.market(50_000, funding_rate=D("0.001"), next_funding_at=due + 3_600_000)
    batch = paper.emitted[-1]
    paid = [event.incomes for event in batch if isinstance(event, IncomeFetched)]
    assert [[income.amount for income in incomes] for incomes in paid] == [[D("-0.5")]]


def test_new_account_starts_with_its_capital() -> None:
    paper = PaperHarness()
    assert paper.restart().snapshot.account.wallet_balance == 10_000


def test_price_dated_in_the_future_dates_no_trade_and_pays_no_funding() -> None:
    harness = PaperHarness()
    due = NOW + 3_600_000
    harness.market(50_000, next_funding_at=due)
    harness.submit(price=D(49_990))
    future = {"at": harness.clock.now_ms() * 1000, "received_at": harness.clock.now_ms()}
    harness.exchange.on_price(a_quote(49_980, "49980.1", **future))
    harness.exchange.on_price(a_mark(49_980, next_funding_at=due, **future))
    events = [event for batch in harness.emitted for event in batch]
    [fill] = [event.fill for event in events if isinstance(event, OrderUpdate) and event.fill is not None]
    assert fill.traded_at == harness.clock.now_ms()
    assert not any(isinstance(event, IncomeFetched) for event in events)
