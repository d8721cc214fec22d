"""Stream frames: recognize, parse and render their events."""

from collections.abc import Callable
from typing import assert_never

from src.domain.errors import ProtocolError
from src.domain.events import AccountUpdate, LeverageChanged, StreamEvent
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import OrderUpdate
from src.exchange.wire.account import (
    AccountModeChanged,
    ListenKeyExpired,
    parse_account_update,
    parse_configuration,
    parse_margin_call,
    render_account_update,
    render_configuration,
    render_listen_key_expired,
)
from src.exchange.wire.fields import Body, Fields
from src.exchange.wire.lenient import read_order_event
from src.exchange.wire.market import (
    parse_book_ticker_event,
    parse_force_order,
    parse_mark_price_event,
    render_book_ticker_event,
    render_force_order,
    render_mark_price_event,
)
from src.exchange.wire.orders import render_order_event

WireEvent = StreamEvent | ListenKeyExpired | AccountModeChanged
"""Events of a stream: those for the trader, and two for the thread that owns the user data stream."""

_MARKET: dict[str, Callable[[Fields, int], WireEvent]] = {
    "forceOrder": parse_force_order,
    "bookTicker": parse_book_ticker_event,
    "markPriceUpdate": parse_mark_price_event,
}
_USER: dict[str, Callable[[Fields], WireEvent]] = {
    "ORDER_TRADE_UPDATE": read_order_event,
    "ACCOUNT_UPDATE": parse_account_update,
    "ACCOUNT_CONFIG_UPDATE": parse_configuration,
    "MARGIN_CALL": parse_margin_call,
    "listenKeyExpired": lambda event: ListenKeyExpired(event.time("E", default=0)),
}
UNKNOWN_EVENT = "unknown event"
"""Begins the problem of an event of a kind that no document names."""
_IGNORED_EVENTS = frozenset({"aggTrade", "trade", "kline", "depthUpdate", "24hrMiniTicker", "24hrTicker", "tradepro"})


def parse_event(payload: object, received_at: int) -> WireEvent | None:
    """Parse one event, with or without the combined-stream envelope; None for acknowledgements and unused streams.

    Raises ``ProtocolError`` with the payload for an unknown or invalid event. ``received_at`` is the local time of
    arrival, ms UTC.
    """
    event = Fields(payload)
    if "stream" in event:
        event = event.child("data")
    if "e" not in event:
        _check_acknowledgement(payload)
        return None
    kind = event.text("e")
    if kind in _MARKET:
        return _MARKET[kind](event, received_at)
    if kind in _USER:
        return _USER[kind](event)
    if kind in _IGNORED_EVENTS:
        return None
    raise ProtocolError(f"{UNKNOWN_EVENT} {kind}", payload)


def _check_acknowledgement(payload: object) -> None:
    """Accept ``{"result": null, "id": 1}`` (Live Subscribing/Unsubscribing to streams); raise for anything else."""
    if not isinstance(payload, dict) or "result" not in payload:
        raise ProtocolError("frame without an event", payload)


def unwrap(payload: object) -> list[object]:
    """Return the unparsed events of a frame: ``!markPrice@arr`` sends an array, with or without the envelope.

    Parse them one by one, so that one invalid event does not lose the others.
    """
    content = payload["data"] if isinstance(payload, dict) and "data" in payload else payload
    return content if isinstance(content, list) else [content]


Renderable = (
    Liquidation
    | Quote
    | MarkPrice
    | OrderUpdate
    | AccountUpdate
    | LeverageChanged
    | AccountModeChanged
    | ListenKeyExpired
)


def render_event(event: Renderable) -> Body:
    """Render an event as the exchange pushes it; margin calls need more data: see ``render_margin_call``."""
    match event:
        case Liquidation():
            return render_force_order(event)
        case Quote():
            return render_book_ticker_event(event)
        case MarkPrice():
            return render_mark_price_event(event)
        case OrderUpdate():
            return render_order_event(event)
        case AccountUpdate():
            return render_account_update(event)
        case LeverageChanged() | AccountModeChanged():
            return render_configuration(event)
        case ListenKeyExpired():
            return render_listen_key_expired(event)
        case _:
            assert_never(event)


def wrap(stream: str, payload: object) -> Body:
    """Wrap an event in the combined-stream envelope (Websocket Market Streams)."""
    return {"stream": stream, "data": payload}
