"""Account events as the user data stream sends them, and their latency (User Data Streams)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import assert_never

from src.domain.events import AccountUpdate, LeverageChanged, MarginCall
from src.domain.margin import maintenance_margin
from src.domain.market import Liquidation
from src.domain.orders import Fill, OrderUpdate
from src.domain.positions import PositionKey
from src.engine.engine import Engine
from src.engine.state import EngineEvent
from src.exchange.wire import Body, render_account_update, render_event, render_margin_call
from src.sandbox.faults import FaultKind, Faults
from src.sandbox.market.market import Market

MAX_LATENCY_MS = 20
MAX_SKEW_MS = 50
ANNOUNCEMENT = "announcement"
_TRADE_REASON = "ORDER"


def render_user_event(event: EngineEvent, engine: Engine, market: Market) -> Body:
    """Render an event of the user data stream, without its event time."""
    match event:
        case OrderUpdate() | LeverageChanged():
            return render_event(event)
        case AccountUpdate():
            return render_account_update(event, _unrealized_pnl(event, market))
        case MarginCall():
            return _margin_call(event, engine, market)
        case _:
            assert_never(event)


def rename_status(body: Body, word: str) -> None:
    """Set the status in an order event to the exchange's word for it."""
    if isinstance(order := body.get("o"), dict):
        order["X"] = word


def _unrealized_pnl(update: AccountUpdate, market: Market) -> dict[PositionKey, Decimal]:
    positions = [change.position for change in update.positions]
    return {
        (each.symbol, each.position_side): each.unrealized_pnl(market[each.symbol].mark.price) for each in positions
    }


def _margin_call(call: MarginCall, engine: Engine, market: Market) -> Body:
    reports = [each for each in engine.positions() if (each.symbol, each.position_side) in call.positions]
    needs = [maintenance_margin(market[each.symbol].brackets, abs(each.quantity) * each.mark_price) for each in reports]
    return render_margin_call(list(zip(reports, needs, strict=True)), call.event_at)


def to_liquidation(order: OrderUpdate, fill: Fill) -> Liquidation:
    """Convert a fill of the account's liquidation to the public liquidation event."""
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


class EventLatency:
    """Draws the event time ``E`` for a transaction time ``T`` (User Data Streams).

    Events of the same transaction time share their event time, like the order and account update of a fill. Event
    times never go back.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)
        self._happened_at = self._event_time = 0

    def event_time(self, happened_at: int) -> int:
        """Return the event time for a transaction time, ms UTC."""
        if happened_at != self._happened_at:
            self._happened_at = happened_at
            self._event_time = max(self._event_time, happened_at + self._random.randint(0, MAX_LATENCY_MS))
        return self._event_time


def announcement(name: str, at: int) -> Body:
    """Make an announcement, which has no event time (Event: Public Announcement), or an event of another name."""
    if name not in ("", ANNOUNCEMENT):
        return {"e": name, "E": at, "T": at, "u": [{"s": "BTCUSDT", "v": "1"}]}
    content = {"i": 1, "t": "Maintenance", "s": "", "c": "DIRECT", "d": at, "S": False, "j": "", "C": "<p>Soon</p>"}
    return {"e": ANNOUNCEMENT, "en": content, "zh": content}


@dataclass(frozen=True, slots=True)
class StampedEvent:
    """An event to publish. ``skew_ms`` moves its event time away from the one of its transaction."""

    event: EngineEvent
    happened_at: int
    skew_ms: int = 0


class TradeEventOrder:
    """Sends the two events of a trade in either order and with different stamps, as the faults say.

    Without a fault the order event comes first and both have the same stamps.
    """

    def __init__(self, faults: Faults, seed: int = 0) -> None:
        self._faults = faults
        self._random = Random(seed)

    def arrange(self, events: Iterable[EngineEvent]) -> list[StampedEvent]:
        """Return the events with their stamps, in the order to send them."""
        arranged: list[StampedEvent] = []
        for event in events:
            symbol = _traded_symbol(event)
            if not isinstance(event, AccountUpdate) or symbol is None:
                arranged.append(StampedEvent(event, event.event_at))
                continue
            skew = self._skew(symbol)
            stamped = replace(event, changed_at=event.changed_at + skew, event_at=event.event_at + skew)
            follows_its_order = bool(arranged) and isinstance(arranged[-1].event, OrderUpdate)
            place = len(arranged) - (follows_its_order and self._is_first(symbol))
            arranged.insert(place, StampedEvent(stamped, event.event_at, skew))
        return arranged

    def _skew(self, symbol: str) -> int:
        fault = self._faults.consume(FaultKind.STAMPS_DIFFER, "", symbol)
        if fault is None:
            return 0
        return fault.value or self._random.choice((-1, 1)) * self._random.randint(1, MAX_SKEW_MS)

    def _is_first(self, symbol: str) -> bool:
        fault = self._faults.consume(FaultKind.ACCOUNT_EVENT_FIRST, "", symbol)
        return fault is not None and (not fault.value or self._random.randrange(100) < fault.value)


def _traded_symbol(event: EngineEvent) -> str | None:
    """Return the symbol of an account event about a trade; None for any other event."""
    if isinstance(event, AccountUpdate) and event.reason == _TRADE_REASON and event.positions:
        return event.positions[0].position.symbol
    return None
