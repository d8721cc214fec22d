"""One trade from its cause to its end: liquidation, decision, orders, fills, exit. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from src.database.queries.fills import BookedFill
from src.database.queries.orders import OrderRow

_TRADED = frozenset({"PARTIALLY_FILLED", "FILLED"})
_BECAME = {"PENDING_NEW": "sent", "NEW": "accepted", "CANCELED": "cancelled"}
_BEFORE_ITS_FILLS = frozenset({"PENDING_NEW", "NEW"})


def timeline(
    decision: Mapping[str, Any] | None,
    orders: Iterable[OrderRow],
    lives: Iterable[Mapping[str, Any]],
    fills: Iterable[BookedFill],
) -> list[dict[str, Any]]:
    """What happened, in order: ``at``, ``kind``, a ``title`` and a ``text`` for a person, and the order's name."""
    roles, booked = {row.client_order_id: row for row in orders}, list(fills)
    changes = _changes(roles, lives, _first_fills(booked))
    events = [*_cause(decision), *changes, *(_fill(roles, fill) for fill in booked)]
    return sorted(events, key=lambda event: int(event["at"]))


def _cause(decision: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if decision is None:
        return
    forced = "long" if decision["side"] == "SELL" else "short"
    text = f"{_plain(decision['qty'])} at {_plain(decision['price'])}, {_plain(decision['usdt_value'])} USDT"
    yield _event(decision["timestamp"], "liquidation", f"A {forced} was liquidated", text)
    sums = f"window {_plain(decision['window_volume'])} of {_plain(decision['threshold'])}"
    yield _event(decision["decided_at"], "decision", "Entry decided", f"{decision['reason']}; {sums}")


def _first_fills(fills: Iterable[BookedFill]) -> dict[str, int]:
    first: dict[str, int] = {}
    for fill in fills:
        first[fill.client_order_id] = min(fill.traded_at, first.get(fill.client_order_id, fill.traded_at))
    return first


def _changes(
    roles: Mapping[str, OrderRow], lives: Iterable[Mapping[str, Any]], first_fills: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for change in lives:
        order = roles[change["client_order_id"]]
        if change["status"] in _TRADED:
            continue  # the fills say it better
        terms = f"{order.side} {_terms(order)}"
        text = f"{terms}: {change['reason']}" if change["reason"] else terms
        kind = "protection" if order.role in ("STOP_LOSS", "TAKE_PROFIT") else "order"
        status, at = change["status"], change["at"]
        if status in _BEFORE_ITS_FILLS:  # told by our clock, the fills by the exchange's: an order is there before them
            at = min(at, first_fills.get(order.client_order_id, at))
        title = f"{_words(order.role)} {_BECAME.get(status, _words(status).lower())}"
        yield {**_event(at, kind, title, text), "order": order.client_order_id, "status": status}


def _fill(roles: Mapping[str, OrderRow], fill: BookedFill) -> dict[str, Any]:
    text = f"{fill.side} {_plain(fill.quantity)} at {_plain(fill.price)}, fee {_plain(fill.commission)}"
    if fill.realized_pnl:
        text += f", realised {_plain(fill.realized_pnl)}"
    title = f"{_words(roles[fill.client_order_id].role)} filled"
    return {**_event(fill.traded_at, "fill", title, text), "order": fill.client_order_id, "trade_id": fill.trade_id}


def _terms(order: OrderRow) -> str:
    size = "the whole position" if order.quantity is None else _plain(order.quantity)
    price = order.stop_price or order.price
    return f"{size} at {_plain(price)}" if price else f"{size} at market"


def _event(at: int, kind: str, title: str, text: str) -> dict[str, Any]:
    return {"at": at, "kind": kind, "title": title, "text": text}


def _plain(value: Any) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
