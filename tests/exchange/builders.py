"""An entry order, its stop loss, and replies of the test server to them."""

from decimal import Decimal

import pytest

from src.domain.commands import CancelOrder, Command, QueryOrder, SubmitOrder
from src.domain.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.errors import (
    ExchangeError,
    ProtocolError,
)
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest, OrderUpdate
from src.exchange import wire
from src.exchange.aster import AsterExchange
from tests.exchange.conftest import NOW_MS
from tests.exchange.scripted_server import Reply

ORDER = "/fapi/v1/order"
ENTRY_ID, STOP_ID = "lh-abc123-e", "lh-abc123-s"
ENTRY = OrderRequest(
    ENTRY_ID,
    "BTCUSDT",
    Side.BUY,
    PositionSide.BOTH,
    OrderType.LIMIT,
    quantity=Quantity(Decimal("0.010")),
    price=Price(Decimal("60000.0")),
    time_in_force=TimeInForce.GTC,
)
STOP = OrderRequest(
    STOP_ID,
    "BTCUSDT",
    Side.SELL,
    PositionSide.BOTH,
    OrderType.STOP_MARKET,
    stop_price=Price(Decimal("59000.0")),
    close_position=True,
    working_type=WorkingType.MARK_PRICE,
)
ACCEPTED = OrderUpdate(
    symbol="BTCUSDT",
    client_order_id=ENTRY_ID,
    order_id=42,
    side=Side.BUY,
    position_side=PositionSide.BOTH,
    type=OrderType.LIMIT,
    status=OrderStatus.NEW,
    quantity=Decimal("0.010"),
    filled_quantity=Decimal(0),
    average_price=Decimal(0),
    price=Decimal("60000.0"),
    stop_price=Decimal(0),
    time_in_force=TimeInForce.GTC,
    reduce_only=False,
    close_position=False,
    working_type=WorkingType.CONTRACT_PRICE,
    price_protect=False,
    original_type=OrderType.LIMIT,
    event_at=NOW_MS,
)
SUBMIT, CANCEL, QUERY = SubmitOrder(ENTRY), CancelOrder("BTCUSDT", ENTRY_ID), QueryOrder("BTCUSDT", ENTRY_ID)


def rejected(code: int, status: int = 400, **headers: str) -> Reply:
    return Reply(
        {"code": code, "msg": "no"}, status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def accepted() -> Reply:
    return Reply(wire.render_order(ACCEPTED))


def failure_of(exchange: AsterExchange, command: Command) -> Exception:
    """Run a command and return the error it raises."""
    with pytest.raises((ExchangeError, ProtocolError)) as caught:
        exchange.execute(command)
    return caught.value
