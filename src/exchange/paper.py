"""Paper trading: the engine behind the port, moved by the live market. Nothing of it reaches an exchange."""

import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from src.domain.account_commands import AccountCommand, SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.clock import Clock
from src.domain.errors import Rejected
from src.domain.market import MarkPrice, Quote
from src.domain.messages import (
    AccountSet,
    CancelOrder,
    Command,
    FetchFills,
    FetchFunding,
    FetchQuote,
    FillsFetched,
    FundingFetched,
    OrderNotFound,
    Outcome,
    QueryOrder,
    SnapshotTaken,
    Stream,
    StreamUp,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.orders import OrderUpdate
from src.domain.positions import Snapshot
from src.engine.engine import Engine
from src.engine.floor import EngineEvent
from src.exchange.port import Post

PAPER_CAPITAL = Decimal(10_000)
"""USDT the paper account starts with."""

_ALREADY_SO = frozenset({-4046, -4059, -4171})


class PaperExchange:
    """The port ``Exchange`` over an engine. What the private stream would tell is posted as it happens."""

    def __init__(self, engine: Engine, post: Post, clock: Clock) -> None:
        self._engine = engine
        self._post = post
        self._clock = clock
        self._lock = threading.Lock()  # the market stream moves the engine while the lanes ask it
        self._quotes: dict[str, Quote] = {}

    def start(self) -> None:
        """Open the account; its private stream cannot fail."""
        with self._lock:
            self._engine.deposit("USDT", PAPER_CAPITAL, self._clock.now_ms())
        self._post(StreamUp(Stream.USER, self._clock.now_ms()))

    def observe(self, price: Quote | MarkPrice) -> None:
        """Let the market move; what it does to the account is posted."""
        with self._lock:
            match price:
                case Quote():
                    self._quotes[price.symbol] = price
                    self._tell(self._engine.on_quote(price))
                case MarkPrice():
                    self._tell(self._engine.on_mark(price))
                case _:
                    assert_never(price)

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Do it at once; ``Rejected`` with the documented code where the exchange would refuse."""
        with self._lock:
            return self._execute(command, self._clock.now_ms())

    def snapshot(self, reason: str) -> Snapshot:
        """The paper account as it stands."""
        with self._lock:
            return self._snapshot(self._clock.now_ms())

    def _execute(self, command: Command, now_ms: int) -> Sequence[Outcome]:
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
                return [FillsFetched(symbol, fills, now_ms)]
            case FetchFunding(since_ms):
                paid = tuple(each for each in engine.incomes() if each.is_funding and each.at >= since_ms)
                return [FundingFetched(paid, now_ms)]
            case TakeSnapshot(reason):
                return [SnapshotTaken(self._snapshot(now_ms), reason)]
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
        try:
            match command:
                case SetPositionMode(hedge_mode):
                    self._engine.set_position_mode(hedge_mode)
                case SetMultiAssetsMode(multi_assets_mode):
                    self._engine.set_multi_assets(multi_assets_mode)
                case SetMarginType(symbol, margin_type):
                    self._tell(self._engine.set_margin_type(symbol, margin_type, now_ms))
                case SetLeverage(symbol, leverage):
                    self._tell(self._engine.set_leverage(symbol, leverage, now_ms))
                case _:
                    assert_never(command)
        except Rejected as error:
            if error.code not in _ALREADY_SO:
                raise
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
        for event in events:
            self._post(event)
