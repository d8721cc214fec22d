"""The exchange of the sandbox: market, account and faults behind one lock, and the loop that drives the market."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from src.domain.api_wallet import ApiWallet
from src.domain.clock import DAY_MS, Clock
from src.domain.enums import Side
from src.domain.events import AccountUpdate
from src.domain.margin import MAX_LEVERAGE
from src.domain.market import Liquidation, MarkPrice
from src.domain.orders import Fill, OrderUpdate
from src.engine.engine import Engine
from src.engine.margin import Fees
from src.engine.orders import LIQUIDATION_ID_PREFIX
from src.engine.state import EngineEvent
from src.exchange.wire import (
    AccountModeChanged,
    Body,
    ListenKeyExpired,
    render_book_ticker_event,
    render_event,
    render_force_order,
)
from src.sandbox.account.account import UNDOCUMENTED_STATUS, SandboxAccount
from src.sandbox.account.audit import ProtectionMonitor
from src.sandbox.account.keys import Keys, ListenKey
from src.sandbox.account.limits import RequestLimits
from src.sandbox.faults import Fault, FaultKind, Faults
from src.sandbox.market.listings import Listing
from src.sandbox.market.market import Market, SymbolMarket
from src.sandbox.market.replay import Progress, ReplaySource
from src.sandbox.market.scenario import Scenario
from src.sandbox.market.source import MarketEvent, MarketSource, PriceMove, StaticSource, TakerTrade
from src.sandbox.market.synthetic import QUIET, SyntheticSource, make_liquidation
from src.sandbox.market.wire import render_aggregate_trade_event
from src.sandbox.streams.names import ALL_LIQUIDATIONS, USER_STREAM, event_streams
from src.sandbox.streams.periodic import PUBLISH_INTERVAL_MS, PeriodicStreams
from src.sandbox.streams.server import StreamServer
from src.sandbox.streams.user_events import (
    EventLatency,
    TradeEventOrder,
    announcement,
    rename_status,
    render_user_event,
    to_liquidation,
)

QUOTE_ASSET = "USDT"
INITIAL_BALANCE = Decimal(10_000)
"""Initial balance of the account, USDT."""
_SECOND_MS = 1000
_API_WALLET_VALIDITY_MS = 180 * DAY_MS
_MAX_FUNDING_HISTORY = 1_000
_MAX_WAIT_MS = 50
_MIN_WAIT_MS = 1
"""Never zero: a late replay must not keep the lock from requests."""


class SandboxExchange:
    """One market and one account.

    Callers must hold ``lock``, except for the methods for tests and faults, which take it themselves.
    """

    def __init__(
        self, listings: Mapping[str, Listing], clock: Clock, keys: Keys, faults: Faults, streams: StreamServer
    ) -> None:
        self.lock = threading.RLock()  # reentrant: tests hold it while they call methods that take it
        self.keys = keys
        self.api_wallet = ApiWallet(clock.now_ms() + _API_WALLET_VALIDITY_MS, can_withdraw=False, allowed_addresses="")
        self.faults = faults
        self.limits = RequestLimits()
        self.listen_key = ListenKey()
        self.protection = ProtectionMonitor()
        self.funding_history: deque[MarkPrice] = deque(maxlen=_MAX_FUNDING_HISTORY)
        self.source: MarketSource = StaticSource()
        self._scenario: Scenario | None = None
        self._clock = clock
        self._streams = streams
        self._stop_waiting = threading.Event()
        self.progress: Progress | None = None
        """Progress of the replay; None without one."""
        self._latest = clock.now_ms()
        self._periodic_at = self._second_at = self._latest
        self._maintenance_ends_at = 0
        self._shows_own_orders = False
        self._payment_assets: dict[FaultKind, str | None] = {}
        self.market = Market(listings, self._latest)
        self._periodic_streams = PeriodicStreams(self.market, streams)
        self._event_latency = EventLatency()
        self._trade_event_order = TradeEventOrder(faults)
        self.engine = _make_engine(self.market)
        self.account = SandboxAccount(
            self.engine, self.market, faults, self.now_ms, self._publish_events, self._publish_modes
        )
        self._open_market()

    def _open_market(self) -> None:
        at = self._latest
        for market in self.market.symbols.values():
            self.engine.on_quote(market.quote)
            self.engine.on_mark(market.mark)
        self.engine.deposit(QUOTE_ASSET, INITIAL_BALANCE, at)

    def run_scenario(self, scenario: Scenario) -> None:
        """Run this scenario from now, or once a client subscribes if it waits for one."""
        with self.lock:
            self._scenario = scenario

    def _start_scenario(self, now: int) -> None:
        scenario = self._scenario
        if scenario is None or (scenario.waits_for_subscriber and not self._streams.has_subscriber(ALL_LIQUIDATIONS)):
            return
        self._scenario = None
        for symbol, candles in scenario.make_history(now).items():
            self.market[symbol].candles.prepend(candles)
        self.source = scenario.make_source(now)

    def now_ms(self) -> int:
        """Return exchange time, ms UTC; it never goes back."""
        self._latest = max(self._latest, self._clock.now_ms())
        return self._latest

    def is_in_maintenance(self) -> bool:
        return self.now_ms() < self._maintenance_ends_at

    def wait(self, span_ms: int) -> None:
        """Block a request for a fault that delays it."""
        self._stop_waiting.wait(span_ms / 1000)

    def stop_waiting(self) -> None:
        """Release all delayed requests when the sandbox stops."""
        self._stop_waiting.set()

    # Time.
    def advance(self) -> int:
        """Process everything that is due; return when the next event is due, ms UTC."""
        with self.lock:
            now = self.now_ms()
            self._start_scenario(now)
            for step in self.source.events(now):
                self._apply(step)
            self._end_replay(now)
            if now >= self._periodic_at:
                self._periodic_at = now + PUBLISH_INTERVAL_MS
                self._run_periodic(now)
            return min(self.source.next_at(), self._periodic_at)

    def _apply(self, step: MarketEvent) -> None:
        match step:
            case PriceMove(symbol=symbol, middle=middle):
                self._move_price(self.market[symbol], middle)
            case TakerTrade(symbol=symbol, taker_side=side, quantity=quantity):
                self._trade(symbol, side, quantity)
            case Liquidation():
                self._publish_liquidation(step)
            case _:
                assert_never(step)

    def _run_periodic(self, now: int) -> None:
        if now >= self._second_at:
            self._second_at = now + _SECOND_MS
            for market in self.market.symbols.values():
                self._update_mark(market, now)
        self._streams.set_closed(self.is_in_maintenance())
        self.account.run_countdowns()
        if (key := self.listen_key.take_expired(now)) is not None:
            self._streams.publish([key], render_event(ListenKeyExpired(now)), USER_STREAM)
        self._periodic_streams.publish_due(now)

    def _update_mark(self, market: SymbolMarket, now: int) -> None:
        if market.mark.next_funding_at <= now:
            self.funding_history.append(replace(market.mark, at=market.mark.next_funding_at))
        self._publish_events(self.engine.on_mark(market.update_mark(now)))

    def _end_replay(self, now: int) -> None:
        """Continue with a quiet synthetic market after the recording, so that positions can close."""
        if isinstance(self.source, ReplaySource):
            self.progress = self.source.progress
            if self.progress.is_finished:
                prices = {symbol: market.quote.mid_price for symbol, market in self.market.symbols.items()}
                listings = [market.listing for market in self.market.symbols.values()]
                self.source = SyntheticSource(listings, now, seed=0, profile=QUIET, prices=prices)

    # The market.
    def _move_price(self, market: SymbolMarket, middle: Decimal) -> None:
        if middle != market.middle:
            market.move(middle, self.now_ms())
            self._publish_quote(market)

    def _publish_quote(self, market: SymbolMarket) -> None:
        self._publish_events(self.engine.on_quote(market.quote))
        self._publish_book_ticker(market)

    def _publish_book_ticker(self, market: SymbolMarket) -> None:
        names = event_streams(market.instrument.symbol, "bookTicker")
        if self._streams.has_subscriber(*names):
            self._streams.publish(names, render_book_ticker_event(market.public_quote, market.update_id))

    def _trade(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        market = self.market[symbol]
        best_price = market.quote.ask if side is Side.BUY else market.quote.bid
        at = self.now_ms()
        self._record_trade(market, side, price or best_price, quantity, at)
        self._publish_events(self.engine.on_trade(symbol, price or best_price, quantity * market.depth_factor, at))

    def _record_trade(self, market: SymbolMarket, side: Side, price: Decimal, quantity: Decimal, at: int) -> None:
        symbol = market.instrument.symbol
        trade = market.record_trade(side, price, quantity, at)
        name = f"{symbol.lower()}@aggTrade"
        if self._streams.has_subscriber(name):
            self._streams.publish([name], render_aggregate_trade_event(symbol, trade))

    def _publish_liquidation(self, liquidation: Liquidation) -> None:
        names = event_streams(liquidation.symbol, "forceOrder")
        self._streams.publish(names, render_force_order(liquidation))

    def _publish_events(self, events: Iterable[EngineEvent]) -> None:
        """Publish the events of the account on the user data stream."""
        arranged = self._trade_event_order.arrange(events)
        for each in arranged:
            event = each.event
            body = render_user_event(event, self.engine, self.market)
            if isinstance(event, OrderUpdate):
                rename_status(body, self.account.status_word(event))
            self._publish_user_event(body, each.happened_at, each.skew_ms)
            if isinstance(event, AccountUpdate):
                self.account.position_reports.record(event)
            if isinstance(event, OrderUpdate) and event.fill is not None:
                self._publish_fill(event, event.fill)
        if arranged:
            self._show_own_orders()
            positions = [report.position for report in self.account.open_positions()]
            self.protection.observe(positions, self.engine.open_orders(), self.now_ms())

    def _show_own_orders(self) -> None:
        """Show the account's orders in the public book, or take them out of it."""
        if not self.account.has_orders_in_book and not self._shows_own_orders:
            return
        self._shows_own_orders = self.account.has_orders_in_book
        for symbol, market in self.market.symbols.items():
            if market.set_own_orders(self.account.resting(symbol, Side.BUY), self.account.resting(symbol, Side.SELL)):
                self._publish_book_ticker(market)

    def _publish_modes(self, change: AccountModeChanged) -> None:
        self._publish_user_event(render_event(change), change.event_at)

    def _publish_user_event(self, body: Body, happened_at: int, skew_ms: int = 0) -> None:
        event_time = self._event_latency.event_time(happened_at) + skew_ms
        self._send_user_event({**body, "E": event_time})

    def _send_user_event(self, body: Body) -> None:
        key = self.listen_key.active(self.now_ms())
        if key is not None:
            self._streams.publish([key], body, USER_STREAM)

    def _publish_fill(self, order: OrderUpdate, fill: Fill) -> None:
        """Publish a taker fill as a market trade, and the fill of a liquidation as a liquidation."""
        if not fill.is_maker:
            self._record_trade(self.market[fill.symbol], fill.side, fill.price, fill.quantity, fill.traded_at)
        if order.client_order_id.startswith(LIQUIDATION_ID_PREFIX):
            self._publish_liquidation(to_liquidation(order, fill))

    def subscribed_streams(self) -> list[str]:
        """Return the names of all subscribed streams."""
        return self._streams.subscribed_names()

    # Listen key.
    def close_listen_key(self) -> None:
        """Invalidate the key and close its stream (Close User Data Stream)."""
        key = self.listen_key.close()
        if key is not None:
            self._streams.disconnect(key)

    # Market changes for tests.
    def move(self, symbol: str, price: Decimal) -> None:
        """Move the order book to a price."""
        with self.lock:
            self.market[symbol].move(price, self.now_ms())
            self._publish_quote(self.market[symbol])

    def set_quote(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """Set the best bid and ask."""
        with self.lock:
            self.market[symbol].set_quote(bid, ask, self.now_ms())
            self._publish_quote(self.market[symbol])

    def set_mark(self, symbol: str, price: Decimal) -> None:
        """Set the mark price; from the next second on it follows the book again."""
        with self.lock:
            self._publish_events(self.engine.on_mark(self.market[symbol].set_mark(price, self.now_ms())))

    def trade(self, symbol: str, taker_side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        """Add a market trade at the best price, or at ``price``."""
        with self.lock:
            self._trade(symbol, taker_side, quantity, price)

    def liquidate(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        """Publish a liquidation filled at ``price``, by default the last price, without throttling."""
        with self.lock:
            market = self.market[symbol]
            self._publish_liquidation(
                make_liquidation(market.listing, side, quantity, price or market.last_price, self.now_ms())
            )

    def settle_funding(self, symbol: str, rate: Decimal) -> None:
        """Settle funding now."""
        with self.lock:
            self._publish_events(self.engine.settle_funding(symbol, rate, self.now_ms()))

    def deposit(self, asset: str, amount: Decimal) -> None:
        """Deposit an amount, or withdraw it if negative. Raises Rejected if it is not available."""
        with self.lock:
            self._publish_events(self.engine.deposit(asset, amount, self.now_ms()))

    # Faults.
    def inject(self, fault: Fault) -> None:
        """Apply a fault at once, or queue it for the request or frame that it matches."""
        match fault.kind:
            case FaultKind.STREAM_CUT:
                self._streams.disconnect(self._stream_name(fault.path))
            case FaultKind.LISTEN_KEY_EXPIRED:
                self.listen_key.expire()
            case FaultKind.PARTIAL_FILL:
                self._set_depth(fault.path, Decimal(fault.value) / 100)
            case FaultKind.ORDERS_ENDED:
                with self.lock:
                    self.account.end_orders(fault.path, fault.new)
            case FaultKind.DEPOSITED:
                self.deposit(fault.new or QUOTE_ASSET, Decimal(fault.value))
            case FaultKind.FEES_PAID_IN | FaultKind.FUNDING_PAID_IN:
                self._pay_in(fault.kind, fault.new)
            case FaultKind.OWN_ORDERS_IN_BOOK:
                self._put_orders_in_book(fault.new or UNDOCUMENTED_STATUS)
            case FaultKind.MAINTENANCE:
                self._set_maintenance(self.now_ms() + fault.value * _SECOND_MS)
            case FaultKind.USER_EVENT:
                self._send_user_event(announcement(fault.new, self.now_ms()))
            case FaultKind.MAX_LEVERAGE:
                self._set_max_leverage(fault.path, fault.value)
            case _:
                self.faults.inject(fault)

    def clear_faults(self) -> None:
        self.faults.clear()
        self._set_depth("", Decimal(1))
        self._set_max_leverage("", MAX_LEVERAGE)
        self._set_maintenance(0)
        self._put_orders_in_book(None)
        for kind in (FaultKind.FEES_PAID_IN, FaultKind.FUNDING_PAID_IN):
            self._pay_in(kind, None)

    def _stream_name(self, path: str) -> str:
        return self.listen_key.active(self.now_ms()) or path if path == USER_STREAM else path

    def _set_depth(self, part: str, factor: Decimal) -> None:
        with self.lock:
            for symbol, market in self.market.symbols.items():
                if part in symbol:
                    market.depth_factor = factor
                    market.set_quote(market.quote.bid, market.quote.ask, self.now_ms())
                    self._publish_quote(market)

    def _pay_in(self, kind: FaultKind, asset: str | None) -> None:
        with self.lock:
            self._payment_assets[kind] = asset
            assets = self._payment_assets
            fees, funding = (assets.get(each) for each in (FaultKind.FEES_PAID_IN, FaultKind.FUNDING_PAID_IN))
            self.engine.set_payment_assets(fees=fees, funding=funding)

    def _put_orders_in_book(self, word: str | None) -> None:
        with self.lock:
            self.account.show_orders(word)
            self._show_own_orders()

    def _set_maintenance(self, ends_at: int) -> None:
        with self.lock:
            self._maintenance_ends_at = ends_at
            self._streams.set_closed(self.is_in_maintenance())

    def _set_max_leverage(self, part: str, leverage: int) -> None:
        with self.lock:
            for symbol, market in self.market.symbols.items():
                if part in symbol:
                    market.limit_leverage(leverage)


def _make_engine(market: Market) -> Engine:
    instruments = {symbol: each.instrument for symbol, each in market.symbols.items()}
    return Engine(instruments, Fees(), lambda symbol: market[symbol].brackets)


class MarketLoop:
    """Thread that advances the exchange until it is stopped."""

    def __init__(self, exchange: SandboxExchange, on_failure: Callable[[], None] = lambda: None) -> None:
        self._exchange = exchange
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-market", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _run(self) -> None:
        has_failed = True
        try:
            while not self._stop.is_set():
                due_at = self._exchange.advance()
                wait_ms = min(max(due_at - self._exchange.now_ms(), _MIN_WAIT_MS), _MAX_WAIT_MS)
                self._stop.wait(wait_ms / 1000)
            has_failed = False
        finally:
            if has_failed:
                self._on_failure()
