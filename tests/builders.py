"""Builders of valid values for tests; a test passes only the fields it is about."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from src.domain.enums import (
    MarginType,
    OrderRole,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
)
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import ClientOrderId, Fill, Order, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Position, PositionReport, Snapshot
from src.settings.config import Settings, parse_settings

NOW = 1_750_000_000_000
ENTRY_ID = "lh-mbv0x1k2abcde-e"
D = Decimal


def an_instrument(**changes: Any) -> Instrument:
    """BTCUSDT, with a tick of 0.1 and a step of 0.001."""
    instrument = Instrument(
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        tick=D("0.1"),
        min_price=D("0.1"),
        max_price=D("1000000"),
        step=D("0.001"),
        min_quantity=D("0.001"),
        max_quantity=D("1000"),
        market_step=D("0.001"),
        market_min_quantity=D("0.001"),
        market_max_quantity=D("120"),
        min_notional=D("5"),
        multiplier_up=D("1.05"),
        multiplier_down=D("0.95"),
        price_precision=1,
        quantity_precision=3,
        trigger_protect=D("0.05"),
        market_take_bound=D("0.05"),
        liquidation_fee=D("0.0125"),
        max_orders=200,
        max_conditional_orders=10,
    )
    return replace(instrument, **changes)


def a_liquidation(notional: Decimal | int = 60_000, **changes: Any) -> Liquidation:
    """A liquidated BTCUSDT long: SELL at 50,000; received when it was traded, but not before ``NOW``."""
    received_at = max(NOW, changes.get("traded_at", NOW))
    price = changes.get("average_price", D(50_000))
    quantity = D(notional) / price
    liquidation = Liquidation(
        symbol="BTCUSDT",
        side=Side.SELL,
        quantity=quantity,
        price=price * D("0.99"),
        average_price=price,
        filled_quantity=quantity,
        traded_at=NOW,
        event_at=NOW,
        received_at=received_at,
    )
    return replace(liquidation, **changes)


def a_quote(bid: object = "49999.9", ask: object = "50000.1", **changes: Any) -> Quote:
    quote = Quote("BTCUSDT", D(str(bid)), D(5), D(str(ask)), D(5), NOW, NOW)
    return replace(quote, **changes)


def a_mark(price: object = 50_000, **changes: Any) -> MarkPrice:
    mark = MarkPrice("BTCUSDT", D(str(price)), D(str(price)), D("0.0001"), NOW + 3_600_000, NOW, NOW)
    return replace(mark, **changes)


def settings_document(**symbol_changes: Any) -> dict[str, Any]:
    """A small, valid settings.json with one symbol."""
    symbol = {
        "volume_threshold": 50_000,
        "leverage": 10,
        "margin_type": "ISOLATED",
        "trade_side": "OPPOSITE",
        "trade_value_usdt": 50,
        "price_offset_pct": 0,
        "max_position_usdt": 200,
        "take_profit_enabled": True,
        "take_profit_pct": 1,
        "stop_loss_enabled": True,
        "stop_loss_pct": 2,
        "working_type": "CONTRACT_PRICE",
        "price_protect": False,
    }
    return {
        "globals": {
            "simulate_only": False,
            "volume_window_sec": 60,
            "max_total_exposure_usdt": 500,
            "hedge_mode": True,
            "order_ttl_seconds": 30,
            "max_open_orders_per_symbol": 2,
        },
        "symbols": {"BTCUSDT": {**symbol, **symbol_changes}},
    }


def some_settings(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> Settings:
    document = settings_document(**symbol_changes)
    document["globals"].update(global_changes or {})
    return parse_settings(document)


def a_request(role: OrderRole = OrderRole.ENTRY, number: int = 0, **changes: Any) -> OrderRequest:
    """A BUY entry with position side LONG, or an order that protects or closes its position."""
    parsed = ClientOrderId.parse(ENTRY_ID)
    if parsed is None:
        raise ValueError(ENTRY_ID)
    name = str(ClientOrderId(parsed.entry, role, number))
    base = OrderRequest(name, "BTCUSDT", Side.BUY, PositionSide.LONG, OrderType.LIMIT)
    if role is OrderRole.ENTRY:
        base = replace(base, quantity=Quantity(D("0.01")), price=Price(D(50_000)), time_in_force=TimeInForce.GTC)
    elif role is OrderRole.CLOSE:
        base = replace(base, side=Side.SELL, type=OrderType.MARKET, quantity=Quantity(D("0.01")))
    else:
        stop = role is OrderRole.STOP_LOSS
        base = replace(
            base,
            side=Side.SELL,
            type=OrderType.STOP_MARKET if stop else OrderType.TAKE_PROFIT_MARKET,
            stop_price=Price(D(49_000) if stop else D(50_500)),
            close_position=True,
            working_type=WorkingType.CONTRACT_PRICE,
        )
    return replace(base, **changes)


def an_order(
    role: OrderRole = OrderRole.ENTRY,
    number: int = 0,
    status: OrderStatus = OrderStatus.NEW,
    request: dict[str, Any] | None = None,
    **changes: Any,
) -> Order:
    parent = None if role is OrderRole.ENTRY else ENTRY_ID
    order = Order(
        a_request(role, number, **(request or {})),
        role,
        created_at=NOW,
        entry_client_order_id=parent,
        status=status,
        sent_at=NOW,
    )
    for name, value in changes.items():
        setattr(order, name, value)
    return order


def an_update(request: OrderRequest | None = None, **changes: Any) -> OrderUpdate:
    """An order update for a request, with status NEW by default."""
    request = request or a_request()
    update = OrderUpdate(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        order_id=1001,
        side=request.side,
        position_side=request.position_side,
        type=request.type,
        status=OrderStatus.NEW,
        quantity=request.quantity or D(0),
        filled_quantity=D(0),
        average_price=D(0),
        price=request.price or D(0),
        stop_price=request.stop_price or D(0),
        time_in_force=request.time_in_force or TimeInForce.GTC,
        reduce_only=request.reduce_only,
        close_position=request.close_position,
        working_type=request.working_type or WorkingType.CONTRACT_PRICE,
        price_protect=request.price_protect,
        original_type=request.type,
        event_at=NOW,
    )
    return replace(update, **changes)


def a_fill(request: OrderRequest | None = None, **changes: Any) -> Fill:
    request = request or a_request()
    fill = Fill(
        symbol=request.symbol,
        trade_id=1,
        order_id=1001,
        client_order_id=request.client_order_id,
        side=request.side,
        position_side=request.position_side,
        quantity=request.quantity or D("0.01"),
        price=request.price or D(50_000),
        realized_pnl=D(0),
        commission=D("0.1"),
        commission_asset="USDT",
        is_maker=True,
        traded_at=NOW,
    )
    return replace(fill, **changes)


def a_filled_update(request: OrderRequest | None = None, trade_id: int = 1, **fill_changes: Any) -> OrderUpdate:
    """A stream update: the order filled completely in one trade."""
    request = request or a_request()
    fill = a_fill(request, trade_id=trade_id, **fill_changes)
    return an_update(
        request,
        status=OrderStatus.FILLED,
        filled_quantity=fill.quantity,
        average_price=fill.price,
        fill=fill,
        event_at=fill.traded_at,
    )


def a_position(quantity: object = "0.01", entry: object = 50_000, side: PositionSide = PositionSide.LONG) -> Position:
    return Position("BTCUSDT", side, D(str(quantity)), D(str(entry)))


def a_report(quantity: object = 0, entry: object = 0, **changes: Any) -> PositionReport:
    report = PositionReport(
        symbol="BTCUSDT",
        position_side=PositionSide.LONG,
        quantity=D(str(quantity)),
        entry_price=D(str(entry)),
        mark_price=D(50_000),
        unrealized_pnl=D(0),
        liquidation_price=D(0),
        leverage=10,
        margin_type=MarginType.ISOLATED,
        isolated_margin=D(0),
        updated_at=NOW,
    )
    return replace(report, **changes)


def a_snapshot(**changes: Any) -> Snapshot:
    """A flat account in hedge mode with 1,000 USDT, configured as in ``some_settings``."""
    snapshot = Snapshot(
        requested_at=NOW,
        taken_at=NOW,
        hedge_mode=True,
        multi_assets_mode=False,
        account=AccountSummary(D(1000), D(0), D(1000), D(1000), D(0), D(0)),
        balances=(Balance("USDT", D(1000), D(1000)),),
        positions=(a_report(), a_report(position_side=PositionSide.SHORT)),
        open_orders=(),
    )
    return replace(snapshot, **changes)
