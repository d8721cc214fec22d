"""Candles and symbols from the exchange's public side, asked seldom however many pages are open."""

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
MOST_CANDLES = 1_000
_CANDLES_LAST_MS = 2_000
_SYMBOLS_LAST_MS = 600_000
_FAILURE_LASTS_MS = 5_000
_KEPT_ANSWERS = 64

_SILENT = ApiError(503, "exchange_unreachable", "The exchange does not answer at the moment.")

Candle = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    fault: ApiError | None
    until_ms: int


class Candles:
    """The port ``MarketReader`` behind a small cache; without a reader everything is refused."""

    def __init__(self, market: MarketReader | None, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._answers: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()
        self._lock = threading.Lock()  # guards the answers; never held while the exchange is asked
        self._asking = threading.Semaphore(4)  # a slow exchange must not hold every thread of the server

    def candles(self, symbol: str, interval: str, limit: int) -> list[Candle]:
        """Oldest first. Raises `ApiError` 503 where the exchange does not answer, 400 where it refuses."""
        found: list[Candle] = self._kept(
            ("candles", symbol, interval, limit), _CANDLES_LAST_MS, lambda m: m.klines(symbol, interval, limit)
        )
        return found

    def instruments(self) -> dict[str, Instrument]:
        found: dict[str, Instrument] = self._kept(("instruments",), _SYMBOLS_LAST_MS, lambda m: m.instruments())
        return found

    def _kept(self, key: tuple[object, ...], lasts_ms: int, ask: Callable[[MarketReader], Any]) -> Any:
        with self._lock:
            answer = self._answers.get(key)
        if answer is None or answer.until_ms <= self._clock.monotonic_ms():
            answer = self._ask(lasts_ms, ask)
            with self._lock:
                self._answers[key] = answer
                self._answers.move_to_end(key)
                while len(self._answers) > _KEPT_ANSWERS:
                    self._answers.popitem(last=False)
        if answer.fault is not None:
            raise answer.fault
        return answer.value

    def _ask(self, lasts_ms: int, ask: Callable[[MarketReader], Any]) -> _Answer:
        if self._market is None:
            return self._failed(ApiError(503, "no_exchange", "No exchange is connected to this dashboard."))
        if not self._asking.acquire(timeout=5):
            return self._failed(_SILENT)
        try:
            return _Answer(ask(self._market), None, self._clock.monotonic_ms() + lasts_ms)
        except Rejected as error:
            return self._failed(ApiError(400, "refused", f"The exchange refused: {error.reason}"))
        except (ExchangeError, ProtocolError) as error:
            log.warning("no market data: %s", error)
            return self._failed(_SILENT)
        finally:
            self._asking.release()

    def _failed(self, fault: ApiError) -> _Answer:
        """A failure is kept for a moment too: an exchange in trouble is not asked by every poll."""
        return _Answer(None, fault, self._clock.monotonic_ms() + _FAILURE_LASTS_MS)
