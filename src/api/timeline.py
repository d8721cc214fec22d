"""The timeline of one trade: liquidation, decision, orders, fills, exit. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from src.database.queries.fills import FillRecord
from src.database.queries.orders import OrderRow
from src.domain.numbers import trimmed

_NOT_SHOWN = frozenset({"PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL"})
"""Fills have events of their own, and a pending cancel is followed by its result."""
_STATUS_LABELS = {"PENDING_NEW": "sent", "NEW": "accepted", "CANCELED": "cancelled"}
_BEFORE_FILLS = frozenset({"PENDING_NEW", "NEW"})


def build_timeline(
    decision: Mapping[str, Any] | None,
    orders: Iterable[OrderRow],
    status_history: Iterable[Mapping[str, Any]],
    fills: Iterable[FillRecord],
) -> list[dict[str, Any]]:
    """The events sorted by time: ``at``, ``kind``, ``title``, ``text``, and the ``order`` they belong to."""
    roles, recorded = {row.client_order_id: row for row in orders}, list(fills)
    changes = _status_events(roles, status_history, _first_fills(recorded))
    events = [*_decision_events(decision), *changes, *(_fill_event(roles, fill) for fill in recorded)]
    return sorted(events, key=lambda event: int(event["at"]))


def _decision_events(decision: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    if decision is None:
        return
    liquidated_side = "long" if decision["side"] == "SELL" else "short"
    text = f"{trimmed(decision['qty'])} at {trimmed(decision['price'])}, {_rounded(decision['usdt_value'])} USDT"
    yield _event(decision["timestamp"], "liquidation", f"{liquidated_side.capitalize()} liquidated", text)
    volumes = f"window volume {_rounded(decision['window_volume'])} of {_rounded(decision['threshold'])}"
    yield _event(decision["decided_at"], "decision", "Entry decided", f"{decision['reason']}; {volumes}")


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
        if change["status"] in _NOT_SHOWN:
            continue
        description = f"{order.side} {_describe_order(order)}"
        text = f"{description}: {change['reason']}" if change["reason"] else description
        kind = "protection" if order.role in ("STOP_LOSS", "TAKE_PROFIT") else "order"
        status, at = change["status"], change["recorded_at"]
        if status in _BEFORE_FILLS:  # from our clock, fills from the exchange's: keep the order before its fills
            at = min(at, first_fills.get(order.client_order_id, at))
        title = f"{_humanize(order.role)} {_STATUS_LABELS.get(status, _humanize(status).lower())}"
        yield {**_event(at, kind, title, text), "order": order.client_order_id, "status": status}


def _fill_event(roles: Mapping[str, OrderRow], fill: FillRecord) -> dict[str, Any]:
    fee = f"{trimmed(fill.commission)} {fill.commission_asset}".rstrip()
    text = f"{fill.side} {trimmed(fill.quantity)} at {trimmed(fill.price)}, fee {fee}"
    if fill.realized_pnl:
        text += f", realised {fill.realized_pnl:+,.2f}".replace("-", "−")
    title = f"{_humanize(roles[fill.client_order_id].role)} filled"
    return {**_event(fill.traded_at, "fill", title, text), "order": fill.client_order_id, "trade_id": fill.trade_id}


def _describe_order(order: OrderRow) -> str:
    size = "whole position" if order.quantity is None else trimmed(order.quantity)
    price = order.stop_price or order.price
    return f"{size} at {trimmed(price)}" if price else f"{size} at market"


def _event(at: int, kind: str, title: str, text: str) -> dict[str, Any]:
    return {"at": at, "kind": kind, "title": title, "text": text}


def _rounded(value: Decimal) -> str:
    """A volume for display: no decimals from 1,000 on, two below."""
    return f"{value:,.0f}" if abs(value) >= 1000 else trimmed(round(value, 2))


def _humanize(name: str) -> str:
    return name.replace("_", " ").capitalize()
