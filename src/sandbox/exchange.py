"""The sandbox's exchange: one market, one account, what reached it; everything happens under one lock."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from src.domain.clock import Clock
from src.domain.enums import Side
from src.domain.market import Liquidation, MarkPrice
from src.domain.orders import Fill, OrderUpdate
from src.engine.costs import Costs
from src.engine.engine import Engine
from src.engine.floor import EngineEvent
from src.engine.live_orders import FORCED_PREFIX
from src.exchange.wire import (
    AccountModeChanged,
    Body,
    ListenKeyExpired,
    render_book_ticker_event,
    render_event,
    render_force_order,
)
from src.sandbox.account_desk import AccountDesk
from src.sandbox.broadcast import BEAT_MS, Broadcast
from src.sandbox.catalogue import Listing
from src.sandbox.event_times import EventTimes
from src.sandbox.faults import Fault, FaultKind, Faults
from src.sandbox.keys import Keys
from src.sandbox.limits import RequestLimits
from src.sandbox.listen_keys import ListenKey
from src.sandbox.market import Market, SymbolMarket
from src.sandbox.market_wire import render_aggregate_event
from src.sandbox.private_events import as_liquidation, render_private
from src.sandbox.protection import ProtectionLog
from src.sandbox.replay import Progress, ReplaySource
from src.sandbox.script import Script
from src.sandbox.source import Move, Print, Source, Step, StillSource
from src.sandbox.stream_names import ALL_LIQUIDATIONS, USER_STREAM, event_streams
from src.sandbox.streams import StreamServer
from src.sandbox.synthetic import QUIET, SyntheticSource, forced_order

WALLET = Decimal(10_000)
"""What the account starts with, in USDT."""

_SECOND_MS = 1000
_KEPT_FUNDING = 1_000


class SandboxExchange:
    """Whoever calls a method, or reads market or engine, holds ``lock``; those that tests use take it themselves."""

    def __init__(
        self, listings: Mapping[str, Listing], clock: Clock, keys: Keys, faults: Faults, streams: StreamServer
    ) -> None:
        self.lock = threading.RLock()  # reentrant: tests call under it what routes call under it too
        self.keys = keys
        self.faults = faults
        self.limits = RequestLimits()
        self.listen_key = ListenKey()
        self.protection = ProtectionLog()
        self.funding_history: deque[MarkPrice] = deque(maxlen=_KEPT_FUNDING)
        self.source: Source = StillSource()
        self._script: Script | None = None
        self._clock = clock
        self._streams = streams
        self._pause = threading.Event()
        self.progress: Progress | None = None
        """How far the replay has come; None without one."""
        self._latest = clock.now_ms()
        self._beat_at = self._second_at = self._latest
        self.market = Market(listings, self._latest)
        self._broadcast = Broadcast(self.market, streams)
        self._event_times = EventTimes()
        self.engine = _make_engine(listings)
        self.account = AccountDesk(self.engine, self.market, faults, self.now_ms, self._tell, self._tell_mode)
        self._open_market()

    def _open_market(self) -> None:
        at = self._latest
        for market in self.market.symbols.values():
            self.engine.on_quote(market.quote)
            self.engine.on_mark(market.mark)
        self.engine.deposit("USDT", WALLET, at)

    def begin(self, script: Script) -> None:
        """Let this script run from now on, or from its first listener on."""
        with self.lock:
            self._script = script

    def _start_script(self, now: int) -> None:
        script = self._script
        if script is None or (script.awaits_listener and not self._streams.is_wanted(ALL_LIQUIDATIONS)):
            return
        self._script = None
        for symbol, candles in script.make_history(now).items():
            self.market[symbol].candles.prepend(candles)
        self.source = script.make_source(now)

    def now_ms(self) -> int:
        """Exchange time: never earlier than anything that has happened."""
        self._latest = max(self._latest, self._clock.now_ms())
        return self._latest

    def wait(self, span_ms: int) -> None:
        """Let a request wait, as a fault wants it."""
        self._pause.wait(span_ms / 1000)

    def end_waiting(self) -> None:
        """Let nobody wait any more: the sandbox ends."""
        self._pause.set()

    # Time.
    def advance(self) -> int:
        """Perform what is due; tells when more will be, ms UTC."""
        with self.lock:
            now = self.now_ms()
            self._start_script(now)
            for step in self.source.steps(now):
                self._perform(step)
            self._end_replay(now)
            if now >= self._beat_at:
                self._beat_at = now + BEAT_MS
                self._beat(now)
            return min(self.source.next_at(), self._beat_at)

    def _perform(self, step: Step) -> None:
        match step:
            case Move(symbol=symbol, middle=middle):
                self._show(self.market[symbol], middle)
            case Print(symbol=symbol, taker_side=side, quantity=quantity):
                self._trade(symbol, side, quantity)
            case Liquidation():
                self._push(step)
            case _:
                assert_never(step)

    def _beat(self, now: int) -> None:
        if now >= self._second_at:
            self._second_at = now + _SECOND_MS
            for market in self.market.symbols.values():
                self._remark(market, now)
        self.account.end_countdowns()
        if (key := self.listen_key.expired(now)) is not None:
            self._streams.publish([key], render_event(ListenKeyExpired(now)), USER_STREAM)
        self._broadcast.beat(now)

    def _remark(self, market: SymbolMarket, now: int) -> None:
        if market.mark.next_funding_at <= now:
            self.funding_history.append(replace(market.mark, at=market.mark.next_funding_at))
        self._tell(self.engine.on_mark(market.remark(now)))

    def _end_replay(self, now: int) -> None:
        """After a recording the market lives on quietly: positions may still close."""
        if isinstance(self.source, ReplaySource):
            self.progress = self.source.progress
            if self.progress.is_finished:
                prices = {symbol: market.quote.middle for symbol, market in self.market.symbols.items()}
                listings = [market.listing for market in self.market.symbols.values()]
                self.source = SyntheticSource(listings, now, seed=0, temper=QUIET, prices=prices)

    # The market.
    def _show(self, market: SymbolMarket, middle: Decimal) -> None:
        if middle != market.middle:
            market.move(middle, self.now_ms())
            self._quote(market)

    def _quote(self, market: SymbolMarket) -> None:
        self._tell(self.engine.on_quote(market.quote))
        names = event_streams(market.instrument.symbol, "bookTicker")
        if self._streams.is_wanted(*names):
            self._streams.publish(names, render_book_ticker_event(market.quote, market.update_id))

    def _trade(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        market = self.market[symbol]
        touch = market.quote.ask if side is Side.BUY else market.quote.bid
        at = self.now_ms()
        self._tape(market, side, price or touch, quantity, at)
        self._tell(self.engine.on_trade(symbol, price or touch, quantity * market.thinness, at))

    def _tape(self, market: SymbolMarket, side: Side, price: Decimal, quantity: Decimal, at: int) -> None:
        symbol = market.instrument.symbol
        trade = market.record(side, price, quantity, at)
        name = f"{symbol.lower()}@aggTrade"
        if self._streams.is_wanted(name):
            self._streams.publish([name], render_aggregate_event(symbol, trade))

    def _push(self, liquidation: Liquidation) -> None:
        names = event_streams(liquidation.symbol, "forceOrder")
        self._streams.publish(names, render_force_order(liquidation))

    def _tell(self, events: Iterable[EngineEvent]) -> None:
        """Record what happened to the account and send it on the private stream."""
        has_happened = False
        for event in events:
            has_happened = True
            self._publish_private(render_private(event, self.engine, self.market), event.event_at)
            if isinstance(event, OrderUpdate) and event.fill is not None:
                self._show_fill(event, event.fill)
        if has_happened:
            positions = [report.position for report in self.account.open_positions()]
            self.protection.observe(positions, self.engine.open_orders(), self.now_ms())

    def _tell_mode(self, change: AccountModeChanged) -> None:
        self._publish_private(render_event(change), change.event_at)

    def _publish_private(self, body: Body, happened_at: int) -> None:
        told_at = self._event_times.told_at(happened_at)
        key = self.listen_key.active(self.now_ms())
        if key is not None:
            self._streams.publish([key], {**body, "E": told_at}, USER_STREAM)

    def _show_fill(self, order: OrderUpdate, fill: Fill) -> None:
        """Our taking shows on the public tape; being liquidated shows on the streams of liquidations."""
        if not fill.is_maker:
            self._tape(self.market[fill.symbol], fill.side, fill.price, fill.quantity, fill.traded_at)
        if order.client_order_id.startswith(FORCED_PREFIX):
            self._push(as_liquidation(order, fill))

    def wanted_streams(self) -> list[str]:
        """The names somebody listens to."""
        return self._streams.wanted()

    # The private stream's key.
    def close_listen_key(self) -> None:
        """Invalidate the key and end its stream (Close User Data Stream)."""
        key = self.listen_key.close()
        if key is not None:
            self._streams.cut(key)

    # What tests do to the market.
    def move(self, symbol: str, price: Decimal) -> None:
        """Put the book around a price."""
        with self.lock:
            self.market[symbol].move(price, self.now_ms())
            self._quote(self.market[symbol])

    def set_quote(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """Put the best prices exactly there."""
        with self.lock:
            self.market[symbol].set_quote(bid, ask, self.now_ms())
            self._quote(self.market[symbol])

    def set_mark(self, symbol: str, price: Decimal) -> None:
        """Put the mark exactly there; from the next second on it follows the book again."""
        with self.lock:
            self._tell(self.engine.on_mark(self.market[symbol].set_mark(price, self.now_ms())))

    def trade(self, symbol: str, taker_side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        """Let somebody trade, at the touch or at a price."""
        with self.lock:
            self._trade(symbol, taker_side, quantity, price)

    def liquidate(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None = None) -> None:
        """Push a liquidation that filled at a price, by default at the market; no rule withholds it."""
        with self.lock:
            market = self.market[symbol]
            self._push(forced_order(market.listing, side, quantity, price or market.last_price, self.now_ms()))

    def settle_funding(self, symbol: str, rate: Decimal) -> None:
        """Let funding be paid now."""
        with self.lock:
            self._tell(self.engine.settle_funding(symbol, rate, self.now_ms()))

    # Faults.
    def inject(self, fault: Fault) -> None:
        """Let something go wrong: at once where the fault needs no occasion, else when its occasion comes."""
        match fault.kind:
            case FaultKind.STREAM_CUT:
                self._streams.cut(self._stream_part(fault.path))
            case FaultKind.LISTEN_KEY_EXPIRED:
                self.listen_key.expire()
            case FaultKind.PARTIAL_FILL:
                self._thin_out(fault.path, Decimal(fault.value) / 100)
            case _:
                self.faults.inject(fault)

    def clear_faults(self) -> None:
        self.faults.clear()
        self._thin_out("", Decimal(1))

    def _stream_part(self, path: str) -> str:
        return self.listen_key.active(self.now_ms()) or path if path == USER_STREAM else path

    def _thin_out(self, part: str, share: Decimal) -> None:
        with self.lock:
            for symbol, market in self.market.symbols.items():
                if part in symbol:
                    market.thinness = share
                    market.set_quote(market.quote.bid, market.quote.ask, self.now_ms())
                    self._quote(market)


def _make_engine(listings: Mapping[str, Listing]) -> Engine:
    instruments = {symbol: listing.instrument for symbol, listing in listings.items()}
    return Engine(instruments, Costs(), {symbol: listing.brackets for symbol, listing in listings.items()})
