"""One liquidation per symbol and second."""

from decimal import Decimal

from src.domain.enums import Side
from src.domain.market import Liquidation
from src.sandbox.market.source import LiquidationThrottle


def forced(symbol: str, at: int) -> Liquidation:
    one = Decimal(1)
    return Liquidation(symbol, Side.SELL, one, one, one, one, traded_at=at, event_at=at, received_at=at)


def test_the_first_liquidation_passes_at_once() -> None:
    rule = LiquidationThrottle()

    assert list(rule.add(forced("BTCUSDT", 0), 0)) == [forced("BTCUSDT", 0)]
    assert rule.next_at() is None


def test_of_a_burst_only_the_first_and_the_latest_are_seen() -> None:
    rule = LiquidationThrottle()
    seen = [each for at in (0, 100, 200, 900) for each in rule.add(forced("BTCUSDT", at), at)]

    assert [each.traded_at for each in seen] == [0]
    assert rule.next_at() == 1000
    assert [each.traded_at for each in rule.take_due(1000)] == [900]
    assert rule.suppressed == 2


def test_symbols_do_not_hinder_each_other() -> None:
    rule = LiquidationThrottle()
    seen = [each.symbol for name in ("BTCUSDT", "ETHUSDT") for each in rule.add(forced(name, 5), 5)]

    assert seen == ["BTCUSDT", "ETHUSDT"]


def test_a_held_liquidation_opens_the_next_second() -> None:
    rule = LiquidationThrottle()
    for at in (0, 500):
        list(rule.add(forced("BTCUSDT", at), at))

    assert [each.traded_at for each in rule.add(forced("BTCUSDT", 1200), 1200)] == [500]
    assert [each.traded_at for each in rule.take_due(2200)] == [1200]
    assert list(rule.take_due(9000)) == []
    assert [each.traded_at for each in rule.add(forced("BTCUSDT", 9000), 9000)] == [9000]
