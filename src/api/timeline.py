"""One trade from its cause to its end: liquidation, decision, orders, fills, exit. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from src.database.queries.fills import FillRecord
from src.database.queries.orders import OrderRow

_TRADED = frozenset({"PARTIALLY_FILLED", "FILLED"})
_STATUS_LABELS = {"PENDING_NEW": "sent", "NEW": "accepted", "CANCELED": "cancelled"}
_BEFORE_FILLS = frozenset({"PENDING_NEW", "NEW"})


def build_timeline(
    decision: Mapping[str, Any] | None,
    orders: Iterable[OrderRow],
    status_history: Iterable[Mapping[str, Any]],
    fills: Iterable[FillRecord],
) -> list[dict[str, Any]]:
    """What happened, in order: ``at``, ``kind``, a ``title`` and a ``text`` for a person, and the order's name."""
    roles, recorded = {row.client_order_id: row for row in orders}, list(fills)
    changes = _status_events(roles, status_history, _first_fills(recorded))
    events = [*_decision_events(decision), *changes, *(_fill_event(roles, fill) for fill in recorded)]
    return sorted(events, key=lambda event: int(event["at"]))


def _decision_events(decision: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if decision is None:
        return
    liquidated_side = "long" if decision["side"] == "SELL" else "short"
    text = f"{plain(decision['qty'])} at {plain(decision['price'])}, {plain(decision['usdt_value'])} USDT"
    yield _event(decision["timestamp"], "liquidation", f"A {liquidated_side} was liquidated", text)
    sums = f"window {plain(decision['window_volume'])} of {plain(decision['threshold'])}"
    yield _event(decision["decided_at"], "decision", "Entry decided", f"{decision['reason']}; {sums}")


def _first_fills(fills: Iterable[FillRecord]) -> dict[str, int]:
    first: dict[str, int] = {}
    for fill in fills:
        first[fill.client_order_id] = min(fill.traded_at, first.get(fill.client_order_id, fill.traded_at))
    return first


def _status_events(
    roles: Mapping[str, OrderRow], status_history: Iterable[Mapping[str, Any]], first_fills: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    for change in status_history:
        order = roles[change["client_order_id"]]
        if change["status"] in _TRADED:
            continue  # the fills say it better
        description = f"{order.side} {_describe_order(order)}"
        text = f"{description}: {change['reason']}" if change["reason"] else description
        kind = "protection" if order.role in ("STOP_LOSS", "TAKE_PROFIT") else "order"
        status, at = change["status"], change["at"]
        if status in _BEFORE_FILLS:  # told by our clock, the fills by the exchange's: an order is there before them
            at = min(at, first_fills.get(order.client_order_id, at))
        title = f"{_humanize(order.role)} {_STATUS_LABELS.get(status, _humanize(status).lower())}"
        yield {**_event(at, kind, title, text), "order": order.client_order_id, "status": status}


def _fill_event(roles: Mapping[str, OrderRow], fill: FillRecord) -> dict[str, Any]:
    text = f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}, fee {plain(fill.commission)}"
    if fill.realized_pnl:
        text += f", realised {plain(fill.realized_pnl)}"
    title = f"{_humanize(roles[fill.client_order_id].role)} filled"
    return {**_event(fill.traded_at, "fill", title, text), "order": fill.client_order_id, "trade_id": fill.trade_id}


def _describe_order(order: OrderRow) -> str:
    size = "the whole position" if order.quantity is None else plain(order.quantity)
    price = order.stop_price or order.price
    return f"{size} at {plain(price)}" if price else f"{size} at market"


def _event(at: int, kind: str, title: str, text: str) -> dict[str, Any]:
    return {"at": at, "kind": kind, "title": title, "text": text}


def plain(value: Any) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _humanize(name: str) -> str:
    return name.replace("_", " ").capitalize()
