"""Paper trading: the engine behind the port, moved by the live market. Nothing of it reaches an exchange.

It has no memory but the ledger. Whatever changes the account is told together with the account as it is then, and
committed in one transaction; what was not committed when the process died has never happened. The next process takes
up that account, and the first quote of each symbol judges what the market did meanwhile.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, assert_never

from src.domain.account_commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.clock import Clock
from src.domain.errors import Rejected
from src.domain.instrument import Instrument
from src.domain.looks import CheckPositions, PositionsChecked
from src.domain.market import MarkPrice, Quote
from src.domain.messages import (
    AccountSet,
    AccountUpdate,
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
    OrderCommand,
    OrderNotFound,
    OrdersFetched,
    Outcome,
    QueryOrder,
    SnapshotTaken,
    Stream,
    StreamUp,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.orders import OrderUpdate
from src.domain.paper import PaperKept
from src.domain.positions import Snapshot
from src.engine.engine import Engine
from src.engine.floor import EngineEvent
from src.exchange.paper_memory import parse_memory, render_memory

Tell = Callable[[Sequence[Event]], None]
"""Puts events into the trader's inbox that are to be committed together; safe from any thread."""

PAPER_CAPITAL = Decimal(10_000)
"""USDT the paper account starts with."""

ReadRules = Callable[[], Mapping[str, Instrument]]
"""Asks the real exchange what may be traded."""
PaperLook = TakeSnapshot | CheckPositions | FetchQuote
PaperCommand = OrderCommand | AccountCommand | FetchFills | FetchOrders | FetchFunding | PaperLook
"""What the paper account answers by itself."""

_FUNDING = "FUNDING_FEE"
_ALREADY_SO = frozenset({-4046, -4059, -4171})


class PaperExchange:
    """The port ``Exchange`` over an engine. What the private stream would tell is told as it happens."""

    def __init__(self, engine: Engine, tell: Tell, clock: Clock, read_rules: ReadRules) -> None:
        self._engine = engine
        self._tell_together = tell
        self._read_rules = read_rules
        self._clock = clock
        self._lock = threading.Lock()  # the market stream moves the engine while the lanes ask it
        self._quotes: dict[str, Quote] = {}
        self._early_marks: dict[str, MarkPrice] = {}

    def start(self, kept: Mapping[str, Any] | None = None) -> None:
        """Go on with the account that was kept, or open one; its private stream cannot fail."""
        now_ms = self._clock.now_ms()
        with self._lock:
            if kept is None:
                self._engine.deposit("USDT", PAPER_CAPITAL, now_ms)
            else:
                self._engine.recall(parse_memory(kept))
            self._tell_together([StreamUp(Stream.USER, now_ms), self._kept()])

    def observe(self, price: Quote | MarkPrice) -> None:
        """Let the market move; what it does to the account is told."""
        with self._lock:
            events = self._moved_by(price)
            if events:
                self._tell(events)

    def _moved_by(self, price: Quote | MarkPrice) -> list[EngineEvent]:
        """A symbol's marks wait for its first quote: a stop that was passed while no bot ran fires at the market,
        before anything is liquidated."""
        match price:
            case Quote():
                self._quotes[price.symbol] = price
                early = self._early_marks.pop(price.symbol, None)
                events = self._engine.on_quote(price)
                return events + self._engine.on_mark(early) if early else events
            case MarkPrice():
                if price.symbol in self._quotes:
                    return self._engine.on_mark(price)
                self._early_marks[price.symbol] = price
                return []
            case _:
                assert_never(price)

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Do it at once; ``Rejected`` with the documented code where the exchange would refuse."""
        if isinstance(command, FetchInstruments):
            return [self._take_rules()]  # the one question that goes out: without the lock
        with self._lock:
            return self._execute(command, self._clock.now_ms())

    def snapshot(self, reason: str) -> Snapshot:
        """The paper account as it stands."""
        with self._lock:
            return self._snapshot(self._clock.now_ms())

    def _take_rules(self) -> InstrumentsFetched:
        instruments = tuple(self._read_rules().values())
        with self._lock:
            for instrument in instruments:
                self._engine.set_instrument(instrument)
        return InstrumentsFetched(instruments, self._clock.now_ms())

    def _execute(self, command: PaperCommand, now_ms: int) -> Sequence[Outcome]:
        engine = self._engine
        match command:
            case SubmitOrder(request):
                self._tell(engine.submit(request, now_ms))
                return []
            case CancelOrder(symbol, client_order_id):
                self._tell(engine.cancel(symbol, now_ms, client_order_id=client_order_id))
                return []
            case QueryOrder(symbol, client_order_id):
                return [self._query(symbol, client_order_id, now_ms)]
            case FetchFills(symbol, since_ms):
                fills = tuple(fill for fill in engine.fills(symbol) if fill.traded_at >= since_ms)
                return [FillsFetched(symbol, fills, now_ms, since_ms)]
            case FetchOrders(symbol, since_ms):
                orders = tuple(order for order in engine.all_orders(symbol) if order.event_at >= since_ms)
                return [OrdersFetched(symbol, orders, since_ms, now_ms)]
            case FetchFunding(since_ms):
                paid = tuple(each for each in engine.incomes() if each.is_funding and each.at >= since_ms)
                return [FundingFetched(paid, now_ms)]
            case TakeSnapshot(reason):
                return [SnapshotTaken(self._snapshot(now_ms), reason)]
            case CheckPositions():
                return [PositionsChecked(tuple(engine.positions()), now_ms)]
            case FetchQuote(symbol):
                return [self._quotes[symbol]] if symbol in self._quotes else []
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                return [self._set(command, now_ms)]
            case _:
                assert_never(command)

    def _query(self, symbol: str, client_order_id: str, now_ms: int) -> OrderUpdate | OrderNotFound:
        try:
            return self._engine.order(symbol, client_order_id=client_order_id)
        except Rejected:  # an engine refuses a query for one reason only
            return OrderNotFound(symbol, client_order_id, now_ms)

    def _set(self, command: AccountCommand, now_ms: int) -> AccountSet:
        events: list[EngineEvent] = []
        try:
            match command:
                case SetPositionMode(hedge_mode):
                    self._engine.set_position_mode(hedge_mode)
                case SetMultiAssetsMode(multi_assets_mode):
                    self._engine.set_multi_assets(multi_assets_mode)
                case SetMarginType(symbol, margin_type):
                    events = self._engine.set_margin_type(symbol, margin_type, now_ms)
                case SetLeverage(symbol, leverage):
                    events = self._engine.set_leverage(symbol, leverage, now_ms)
                case _:
                    assert_never(command)
        except Rejected as error:
            if error.code not in _ALREADY_SO:
                raise
        else:
            self._tell(events)
        return AccountSet(command, now_ms)

    def _snapshot(self, now_ms: int) -> Snapshot:
        return Snapshot(
            asked_at=now_ms,
            taken_at=now_ms,
            hedge_mode=self._engine.hedge_mode,
            multi_assets_mode=self._engine.multi_assets_mode,
            account=self._engine.account(),
            balances=self._engine.balances(),
            positions=tuple(self._engine.positions()),
            open_orders=tuple(self._engine.open_orders()),
        )

    def _tell(self, events: Sequence[EngineEvent]) -> None:
        """What happened, the funding among it as the history of incomes would tell it, and the account after it."""
        instants = {event.event_at for event in events if isinstance(event, AccountUpdate) and event.reason == _FUNDING}
        paid = tuple(each for each in self._engine.incomes() if each.at in instants) if instants else ()
        funding = [FundingFetched(paid, self._clock.now_ms())] if paid else []
        self._tell_together([*events, *funding, self._kept()])

    def _kept(self) -> PaperKept:
        return PaperKept(render_memory(self._engine.memory()))
