"""A cache of candles and symbols: the exchange is queried rarely, however many pages are open."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.api.errors import ApiError
from src.domain.clock import Clock
from src.domain.errors import ExchangeError, ProtocolError, Rejected
from src.domain.instrument import Instrument
from src.exchange.port import MarketReader

log = logging.getLogger(__name__)

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
MAX_CANDLES = 1_000
_CANDLES_TTL_MS = 2_000
_SYMBOLS_TTL_MS = 600_000
_FAILURE_TTL_MS = 5_000
_MAX_ENTRIES = 64

_UNREACHABLE = ApiError(503, "exchange_unreachable", "The exchange is not responding.")

Candle = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    value: Any
    error: ApiError | None
    expires_at_ms: int


class MarketCache:
    """A small cache in front of a ``MarketReader``; without one every call raises `ApiError` 503."""

    def __init__(self, market: MarketReader | None, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._entries: OrderedDict[tuple[object, ...], _CacheEntry] = OrderedDict()
        self._lock = threading.Lock()  # guards the entries; not held during a request to the exchange
        self._concurrency = threading.Semaphore(4)  # a slow exchange must not block all server threads

    def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """Oldest first. Raises `ApiError` 503 if the exchange does not respond, 400 if it rejects the request."""
        found: list[Candle] = self._cached(
            ("candles", symbol, interval, limit), _CANDLES_TTL_MS, lambda m: m.klines(symbol, interval, limit)
        )
        return found

    def instruments(self) -> dict[str, Instrument]:
        found: dict[str, Instrument] = self._cached(("instruments",), _SYMBOLS_TTL_MS, lambda m: m.instruments())
        return found

    def _cached(self, key: tuple[object, ...], ttl_ms: int, fetch: Callable[[MarketReader], Any]) -> Any:
        with self._lock:
            entry = self._entries.get(key)
        if entry is None or entry.expires_at_ms <= self._clock.monotonic_ms():
            entry = self._fetch(ttl_ms, fetch)
            with self._lock:
                self._entries[key] = entry
                self._entries.move_to_end(key)
                while len(self._entries) > _MAX_ENTRIES:
                    self._entries.popitem(last=False)
        if entry.error is not None:
            raise entry.error
        return entry.value

    def _fetch(self, ttl_ms: int, fetch: Callable[[MarketReader], Any]) -> _CacheEntry:
        if self._market is None:
            return self._error_entry(ApiError(503, "no_exchange", "This dashboard has no connection to the exchange."))
        if not self._concurrency.acquire(timeout=5):
            return self._error_entry(_UNREACHABLE)
        try:
            return _CacheEntry(fetch(self._market), None, self._clock.monotonic_ms() + ttl_ms)
        except Rejected as error:
            return self._error_entry(ApiError(400, "refused", f"Rejected by the exchange: {error.reason}"))
        except (ExchangeError, ProtocolError) as error:
            log.warning("market data request failed: %s", error)
            return self._error_entry(_UNREACHABLE)
        finally:
            self._concurrency.release()

    def _error_entry(self, error: ApiError) -> _CacheEntry:
        """Errors are cached briefly too, so that polling does not flood an exchange in trouble."""
        return _CacheEntry(None, error, self._clock.monotonic_ms() + _FAILURE_TTL_MS)
