"""How the sandbox measures unprotected positions."""

from decimal import Decimal

from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.orders import OrderUpdate
from src.domain.positions import Position
from src.sandbox.account.audit import ProtectionMonitor

LONG = Position("BTCUSDT", PositionSide.BOTH, Decimal(2), Decimal(100))


def stop(quantity: str = "2", side: Side = Side.SELL, *, closing: bool = False) -> OrderUpdate:
    zero = Decimal(0)
    return OrderUpdate(
        symbol="BTCUSDT",
        client_order_id="s",
        order_id=1,
        side=side,
        position_side=PositionSide.BOTH,
        type=OrderType.STOP_MARKET,
        status=OrderStatus.NEW,
        quantity=Decimal(quantity),
        filled_quantity=zero,
        average_price=zero,
        price=zero,
        stop_price=Decimal(90),
        time_in_force=TimeInForce.GTC,
        reduce_only=not closing,
        close_position=closing,
        working_type=WorkingType.CONTRACT_PRICE,
        price_protect=False,
        original_type=OrderType.STOP_MARKET,
        event_at=0,
    )


def test_time_without_a_stop_is_measured() -> None:
    monitor = ProtectionMonitor()
    monitor.observe([LONG], [], at=100)
    monitor.observe([LONG], [stop(closing=True, quantity="0")], at=350)

    assert [(span.since, span.until) for span in monitor.spans()] == [(100, 350)]
    assert monitor.longest_ms(9999) == 250


def test_quantities_of_stops_add_up() -> None:
    monitor = ProtectionMonitor()
    monitor.observe([LONG], [stop("1")], at=100)
    monitor.observe([LONG], [stop("1"), stop("1")], at=150)

    assert monitor.longest_ms(9999) == 50


def test_stop_on_the_wrong_side_does_not_protect() -> None:
    monitor = ProtectionMonitor()
    monitor.observe([LONG], [stop(side=Side.BUY)], at=100)

    assert monitor.longest_ms(now_ms=400) == 300


def test_flat_account_is_never_unprotected() -> None:
    monitor = ProtectionMonitor()
    monitor.observe([], [], at=100)

    assert monitor.spans() == []
    assert monitor.longest_ms(400) == 0
