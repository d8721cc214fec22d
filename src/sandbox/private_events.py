"""What happened to the account, as the private stream tells it (User Data Streams)."""

from decimal import Decimal
from typing import assert_never

from src.domain.enums import PositionSide
from src.domain.market import Liquidation
from src.domain.messages import AccountUpdate, LeverageChanged, MarginCall
from src.domain.orders import Fill, OrderUpdate
from src.engine.engine import Engine
from src.engine.floor import EngineEvent
from src.engine.margin import maintenance_margin
from src.exchange.wire import Body, render_account_update, render_event, render_margin_call
from src.sandbox.market import Market


def render_private(event: EngineEvent, engine: Engine, market: Market) -> Body:
    match event:
        case OrderUpdate() | LeverageChanged():
            return render_event(event)
        case AccountUpdate():
            return render_account_update(event, _profits(event, market))
        case MarginCall():
            return _margin_call(event, engine, market)
        case _:
            assert_never(event)


def _profits(update: AccountUpdate, market: Market) -> dict[tuple[str, PositionSide], Decimal]:
    positions = [change.position for change in update.positions]
    return {
        (each.symbol, each.position_side): each.unrealized_pnl(market[each.symbol].mark.price) for each in positions
    }


def _margin_call(call: MarginCall, engine: Engine, market: Market) -> Body:
    reports = [each for each in engine.positions() if (each.symbol, each.position_side) in call.positions]
    needs = [
        maintenance_margin(market[each.symbol].listing.brackets, abs(each.quantity) * each.mark_price)
        for each in reports
    ]
    return render_margin_call(list(zip(reports, needs, strict=True)), call.event_at)


def as_liquidation(order: OrderUpdate, fill: Fill) -> Liquidation:
    """What the public sees when we are liquidated."""
    return Liquidation(
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=order.price,
        average_price=order.average_price,
        filled_quantity=order.filled_quantity,
        traded_at=fill.traded_at,
        event_at=order.event_at,
        received_at=order.event_at,
    )
