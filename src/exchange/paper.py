"""Paper trading: the matching engine as an ``Exchange``, driven by live prices. No order reaches a real exchange.

The account is kept only in the bot's database. Every change is emitted together with the resulting account state and
committed in the same transaction, so what was not committed before a crash never happened. After a restart the account
is restored, and the first quote of each symbol triggers and fills orders that the market passed meanwhile.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, assert_never

from pydantic import TypeAdapter, ValidationError

from src.domain.clock import Clock
from src.domain.commands import (
    AccountCommand,
    CancelOrder,
    CheckPositions,
    Command,
    FetchBrackets,
    FetchFills,
    FetchIncome,
    FetchInstruments,
    FetchOrders,
    FetchQuote,
    OrderCommand,
    OrderWrite,
    QueryOrder,
    SetLeverage,
    SetMarginType,
    SetMultiAssetsMode,
    SetPositionMode,
    SubmitOrder,
    TakeSnapshot,
)
from src.domain.errors import ConfigError, Rejected
from src.domain.events import (
    AccountConfigured,
    AccountUpdate,
    BracketsFetched,
    Event,
    FillsFetched,
    IncomeFetched,
    InstrumentsFetched,
    OrderNotFound,
    OrdersFetched,
    Outcome,
    PaperAccountSaved,
    PositionsChecked,
    SnapshotTaken,
    Stream,
    StreamUp,
)
from src.domain.instrument import InstrumentList
from src.domain.market import MarkPrice, Quote
from src.domain.orders import OrderUpdate
from src.domain.positions import Snapshot
from src.engine.account_state import AccountState
from src.engine.engine import Engine
from src.engine.state import EngineEvent
from src.exchange.port import Answer, answer_to

EventBatchSink = Callable[[Sequence[Event]], None]
"""Queues events for the trader, to be committed in one transaction; thread-safe."""

PAPER_CAPITAL = Decimal(10_000)
"""Initial balance of a paper account in USDT."""

InstrumentSource = Callable[[], InstrumentList]
"""Fetches the tradable symbols from the real exchange."""
PaperQuery = TakeSnapshot | CheckPositions | FetchQuote | FetchBrackets
PaperCommand = OrderCommand | AccountCommand | FetchFills | FetchOrders | FetchIncome | PaperQuery
"""Commands that need no request to the real exchange."""

_FUNDING = "FUNDING_FEE"
_ALREADY_SET_CODES = frozenset({-4046, -4059, -4171})


class PaperExchange:
    """Implements ``Exchange`` with a matching engine; emits the events of a user data stream as they happen."""

    def __init__(self, engine: Engine, emit: EventBatchSink, clock: Clock, read_instruments: InstrumentSource) -> None:
        self._engine = engine
        self._emit_batch = emit
        self._read_instruments = read_instruments
        self._clock = clock
        self._lock = threading.Lock()  # the market stream drives the engine while gateway threads use it
        self._quotes: dict[str, Quote] = {}
        self._pending_marks: dict[str, MarkPrice] = {}

    def start(self, saved: Mapping[str, Any] | None = None) -> None:
        """Restore the saved account or open a new one, and report the user data stream as up."""
        now_ms = self._clock.now_ms()
        with self._lock:
            if saved is None:
                self._engine.deposit("USDT", PAPER_CAPITAL, now_ms)
            else:
                self._engine.restore(parse_account_state(saved))
            self._emit_batch([StreamUp(Stream.USER, now_ms), self._account_saved()])

    def on_price(self, price: Quote | MarkPrice) -> None:
        """Apply a quote or mark price and emit what it changes in the account.

        A price dated in the future counts as of its arrival: it must not date trades or pay funding that is not due.
        """
        with self._lock:
            events = self._apply_price(replace(price, at=min(price.at, price.received_at)))
            if events:
                self._emit(events)

    def _apply_price(self, price: Quote | MarkPrice) -> list[EngineEvent]:
        """Apply a price; mark prices of a symbol wait for its first quote.

        A stop that the market passed while the bot was off then triggers before any liquidation.
        """
        match price:
            case Quote():
                self._quotes[price.symbol] = price
                pending_mark = self._pending_marks.pop(price.symbol, None)
                events = self._engine.on_quote(price)
                return events + self._engine.on_mark(pending_mark) if pending_mark else events
            case MarkPrice():
                if price.symbol in self._quotes:
                    return self._engine.on_mark(price)
                self._pending_marks[price.symbol] = price
                return []
            case _:
                assert_never(price)

    def execute(self, command: Command) -> Sequence[Outcome]:
        """Run a command at once; raise ``Rejected`` with the documented code where the exchange would reject it."""
        if isinstance(command, FetchInstruments):
            return [self._refresh_instruments()]  # the only network request: not under the lock
        with self._lock:
            return self._execute(command, self._clock.now_ms())

    def execute_batch(self, commands: Sequence[OrderWrite]) -> Sequence[Answer]:
        """Run each command by itself: there is no request to share."""
        return [answer_to(each, self.execute) for each in commands]

    def snapshot(self, reason: str) -> Snapshot:
        """Return the current paper account."""
        with self._lock:
            return self._snapshot(self._clock.now_ms())

    def _refresh_instruments(self) -> InstrumentsFetched:
        listed = self._read_instruments()
        instruments = tuple(listed.instruments.values())
        with self._lock:
            for instrument in instruments:
                self._engine.set_instrument(instrument)
        return InstrumentsFetched(instruments, self._clock.now_ms(), listed.incomplete)

    def _execute(self, command: PaperCommand, now_ms: int) -> Sequence[Outcome]:
        engine = self._engine
        match command:
            case SubmitOrder(request):
                command.before_send(now_ms)
                self._emit(engine.submit(request, now_ms))
                return []
            case CancelOrder(symbol, client_order_id):
                self._emit(engine.cancel(symbol, now_ms, client_order_id=client_order_id))
                return []
            case QueryOrder(symbol, client_order_id):
                return [self._query(symbol, client_order_id, now_ms)]
            case FetchFills(symbol, since_ms):
                fills = tuple(fill for fill in engine.fills(symbol) if fill.traded_at >= since_ms)
                return [FillsFetched(symbol, fills, now_ms, since_ms)]
            case FetchOrders(symbol, since_ms):
                orders = tuple(order for order in engine.all_orders(symbol) if order.event_at >= since_ms)
                return [OrdersFetched(symbol, orders, since_ms, now_ms)]
            case FetchBrackets():
                return [BracketsFetched(engine.brackets(), now_ms)]
            case FetchIncome(since_ms, kind, symbol):
                recent = (each for each in engine.incomes() if each.type == kind and each.paid_at >= since_ms)
                incomes = tuple(each for each in recent if symbol in (None, each.symbol))
                return [IncomeFetched(incomes, now_ms, kind, symbol)]
            case TakeSnapshot(reason):
                return [SnapshotTaken(self._snapshot(now_ms), reason)]
            case CheckPositions():
                return [PositionsChecked(tuple(engine.positions()), now_ms)]
            case FetchQuote(symbol):
                return [self._quotes[symbol]] if symbol in self._quotes else []
            case SetPositionMode() | SetMultiAssetsMode() | SetMarginType() | SetLeverage():
                return [self._apply_setting(command, now_ms)]
            case _:
                assert_never(command)

    def _query(self, symbol: str, client_order_id: str, now_ms: int) -> OrderUpdate | OrderNotFound:
        try:
            return self._engine.order(symbol, client_order_id=client_order_id)
        except Rejected:  # the engine rejects a query only for an unknown order
            return OrderNotFound(symbol, client_order_id, now_ms)

    def _apply_setting(self, command: AccountCommand, now_ms: int) -> AccountConfigured:
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
            if error.code not in _ALREADY_SET_CODES:
                raise
        else:
            self._emit(events)
        return AccountConfigured(command, now_ms)

    def _snapshot(self, now_ms: int) -> Snapshot:
        return Snapshot(
            requested_at=now_ms,
            taken_at=now_ms,
            hedge_mode=self._engine.hedge_mode,
            multi_assets_mode=self._engine.multi_assets_mode,
            account=self._engine.account(),
            balances=self._engine.balances(),
            positions=tuple(self._engine.positions()),
            open_orders=tuple(self._engine.open_orders()),
        )

    def _emit(self, events: Sequence[EngineEvent]) -> None:
        """Emit the events, the funding payments among them as income records, and the resulting account state."""
        paid_at = {event.event_at for event in events if isinstance(event, AccountUpdate) and event.reason == _FUNDING}
        paid = tuple(each for each in self._engine.incomes() if each.paid_at in paid_at) if paid_at else ()
        funding = [IncomeFetched(paid, self._clock.now_ms())] if paid else []
        self._emit_batch([*events, *funding, self._account_saved()])

    def _account_saved(self) -> PaperAccountSaved:
        return PaperAccountSaved(render_account_state(self._engine.save()))


_ACCOUNT_STATE = TypeAdapter(AccountState)


def render_account_state(state: AccountState) -> dict[str, Any]:
    """Convert to JSON values; amounts become strings and stay exact."""
    document: dict[str, Any] = _ACCOUNT_STATE.dump_python(state, mode="json")
    return document


def parse_account_state(document: Mapping[str, Any]) -> AccountState:
    """Parse a saved account; raise ``ConfigError`` if it is invalid: a paper account is never reset silently."""
    try:
        return _ACCOUNT_STATE.validate_python(document)
    except ValidationError as error:
        raise ConfigError(
            "cannot read the paper account in the database: use the program version that wrote it, "
            "or set globals.db_path to a new database"
        ) from error
