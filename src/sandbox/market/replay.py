"""Replays a recording, ``speed`` times as fast: each liquidation comes after its price and its trade."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from src.domain.market import Liquidation
from src.sandbox.market.candles import Candle
from src.sandbox.market.listings import Listing, derive_listing
from src.sandbox.market.recording import Recording
from src.sandbox.market.source import LiquidationThrottle, MarketEvent, PriceMove, TakerTrade

STEP_MS = 250
_MOVE_EVERY_STEPS = 4
"""With many symbols, each moves only once in this many steps."""
_EVENTS_PER_CALL = 20
_MAX_LATE_MS = 500
_NEVER = 2**53


@dataclass(frozen=True, slots=True)
class PricePath:
    """Price of a symbol over recorded time, interpolated between known points."""

    times: tuple[int, ...]
    prices: tuple[Decimal, ...]

    def at(self, instant: int) -> Decimal:
        right = bisect_right(self.times, instant)
        if right == 0:
            return self.prices[0]
        if right == len(self.times):
            return self.prices[-1]
        before, after = self.times[right - 1], self.times[right]
        fraction = Decimal(instant - before) / Decimal(after - before)
        return self.prices[right - 1] + (self.prices[right] - self.prices[right - 1]) * fraction


def make_price_paths(recording: Recording, candles: Mapping[str, list[Candle]]) -> dict[str, PricePath]:
    """Return a price path for each symbol: from its candles if they cover a liquidation, else from its fills."""
    points: dict[str, dict[int, Decimal]] = {symbol: {} for symbol in recording.symbols}
    for each in recording.liquidations:
        points[each.symbol][each.traded_at] = each.fill_price
    for symbol, bars in candles.items():
        if any(bar.open_at <= each <= bar.close_at for bar in bars for each in points[symbol]):
            points[symbol] = _candle_prices(bars)
    return {
        symbol: PricePath(tuple(sorted(path)), tuple(path[at] for at in sorted(path)))
        for symbol, path in points.items()
    }


def _candle_prices(bars: Iterable[Candle]) -> dict[int, Decimal]:
    """Place open, low and high (in the likely order), and close at the quarters of each candle."""
    points: dict[int, Decimal] = {}
    for bar in bars:
        quarter = (bar.close_at + 1 - bar.open_at) // 4
        extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        for number, price in enumerate((bar.open, *extremes, bar.close)):
            points[bar.open_at + number * quarter] = price
    return points


def listings_for(
    recording: Recording, known: Mapping[str, Listing], paths: Mapping[str, PricePath]
) -> dict[str, Listing]:
    """Return the known listings and those of all recorded symbols, starting at their first recorded price."""
    events: dict[str, list[Liquidation]] = {symbol: [] for symbol in recording.symbols}
    for each in recording.liquidations:
        events[each.symbol].append(each)
    replayed = {
        symbol: replace(_listing(symbol, recorded, known), start_price=paths[symbol].at(recording.started_at))
        for symbol, recorded in events.items()
    }
    return {**known, **replayed}


def _listing(symbol: str, recorded: list[Liquidation], listings: Mapping[str, Listing]) -> Listing:
    known = listings.get(symbol)
    if known is not None and all(known.fits(each.fill_price) for each in recorded):
        return known
    return derive_listing(symbol, [each.fill_price for each in recorded], [each.volume for each in recorded])


@dataclass(slots=True)
class Progress:
    """Progress of a replay."""

    rows: int
    played: int = 0
    pushed: int = 0
    suppressed: int = 0
    """Rows not sent because a later one of the symbol followed within the same second of recorded time."""
    is_finished: bool = False


class ReplaySource:
    """Market events of a recording: for each liquidation its price, then its trade, then the liquidation."""

    def __init__(
        self, recording: Recording, paths: Mapping[str, PricePath], started_at: int, speed: Decimal = Decimal(1)
    ) -> None:
        self._recording = recording
        self._paths = paths
        self._speed = speed
        self._started_at = started_at
        self._step = 0
        self._throttle = LiquidationThrottle()
        self.progress = Progress(len(recording.liquidations))

    def events(self, now_ms: int) -> Iterator[MarketEvent]:
        self._catch_up(now_ms)
        for _ in range(_EVENTS_PER_CALL):
            if self.progress.is_finished or self.next_at() > now_ms:
                return
            yield from self._play_next()

    def next_at(self) -> int:
        """Return when the next price, liquidation or held liquidation is due, ms UTC."""
        return min(self._next_step_at(), self._next_event_at())

    def recorded_at(self, live_at: int) -> int:
        """Convert live time to recorded time."""
        return self._recording.started_at + int((live_at - self._started_at) * self._speed)

    def live_at(self, recorded_at: int) -> int:
        """Convert recorded time to live time."""
        return self._started_at + int((recorded_at - self._recording.started_at) / self._speed)

    def _catch_up(self, now_ms: int) -> None:
        """Shift the replay if it is late: the bot does not trade old events."""
        self._started_at += max(0, now_ms - self.next_at() - _MAX_LATE_MS)

    @property
    def _has_more(self) -> bool:
        return self.progress.played < self.progress.rows

    def _next_step_at(self) -> int:
        return self._started_at + (self._step + 1) * STEP_MS

    def _next_event_at(self) -> int:
        """Return when the next liquidation enters or leaves the throttle, ms UTC."""
        times = [self._recording.liquidations[self.progress.played].traded_at] if self._has_more else []
        held_until = self._throttle.next_at()
        return self.live_at(min([*times, held_until] if held_until is not None else times, default=_NEVER))

    def _play_next(self) -> Iterator[MarketEvent]:
        event_at = self._next_event_at()
        if event_at > self._next_step_at():
            self._step += 1
            yield from self._move_prices(self._started_at + self._step * STEP_MS)
        elif self._has_more and event_at == self.live_at(self._recording.liquidations[self.progress.played].traded_at):
            yield from self._play(self._recording.liquidations[self.progress.played], event_at)
        else:
            yield from self._push(self._throttle.take_due(self._throttle.next_at() or 0), event_at)
        self.progress.is_finished = not self._has_more and self._throttle.next_at() is None

    def _play(self, event: Liquidation, at: int) -> Iterator[MarketEvent]:
        self.progress.played += 1
        yield PriceMove(event.symbol, self._paths[event.symbol].at(event.traded_at), at)
        yield TakerTrade(event.symbol, event.side, event.volume, at)
        yield from self._push(self._throttle.add(event, event.traded_at), at)

    def _push(self, events: Iterable[Liquidation], at: int) -> Iterator[MarketEvent]:
        for event in events:
            self.progress.pushed += 1
            traded_at = self.live_at(event.traded_at)
            yield replace(event, traded_at=traded_at, event_at=at, received_at=at)
        self.progress.suppressed = self._throttle.suppressed

    def _move_prices(self, at: int) -> Iterator[MarketEvent]:
        """Move prices along their paths; with many symbols, only a part of them at each step."""
        recorded = self.recorded_at(at)
        for number, (symbol, path) in enumerate(self._paths.items()):
            if (
                len(self._paths) <= _MOVE_EVERY_STEPS * 3
                or number % _MOVE_EVERY_STEPS == self._step % _MOVE_EVERY_STEPS
            ):
                yield PriceMove(symbol, path.at(recorded), at)
