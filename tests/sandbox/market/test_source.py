"""At most one liquidation per symbol and second."""

from decimal import Decimal

from src.domain.enums import Side
from src.domain.market import Liquidation
from src.sandbox.market.source import LiquidationThrottle


def liquidation_at(symbol: str, at: int) -> Liquidation:
    one = Decimal(1)
    return Liquidation(symbol, Side.SELL, one, one, one, one, traded_at=at, event_at=at, received_at=at)


def test_first_liquidation_passes_at_once() -> None:
    throttle = LiquidationThrottle()

    assert list(throttle.add(liquidation_at("BTCUSDT", 0), 0)) == [liquidation_at("BTCUSDT", 0)]
    assert throttle.next_at() is None


def test_first_and_latest_of_a_burst_pass() -> None:
    throttle = LiquidationThrottle()
    passed = [each for at in (0, 100, 200, 900) for each in throttle.add(liquidation_at("BTCUSDT", at), at)]

    assert [each.traded_at for each in passed] == [0]
    assert throttle.next_at() == 1000
    assert [each.traded_at for each in throttle.take_due(1000)] == [900]
    assert throttle.suppressed == 2


def test_symbols_are_throttled_separately() -> None:
    throttle = LiquidationThrottle()
    passed = [each.symbol for name in ("BTCUSDT", "ETHUSDT") for each in throttle.add(liquidation_at(name, 5), 5)]

    assert passed == ["BTCUSDT", "ETHUSDT"]


def test_held_liquidation_starts_the_next_second() -> None:
    throttle = LiquidationThrottle()
    for at in (0, 500):
        list(throttle.add(liquidation_at("BTCUSDT", at), at))

    assert [each.traded_at for each in throttle.add(liquidation_at("BTCUSDT", 1200), 1200)] == [500]
    assert [each.traded_at for each in throttle.take_due(2200)] == [1200]
    assert list(throttle.take_due(9000)) == []
    assert [each.traded_at for each in throttle.add(liquidation_at("BTCUSDT", 9000), 9000)] == [9000]
