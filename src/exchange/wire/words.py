"""Words of the exchange that mean one of ours."""

from src.domain.enums import MarginType, OrderStatus, OrderType, TimeInForce

ORDER_TYPES = {"LIQUIDATION": OrderType.LIMIT}
"""A forced order of ours (Event: Order Update) is a limit order, as the liquidation stream shows it."""

TIMES_IN_FORCE = {"HIDDEN": TimeInForce.GTC, "GTE_GTC": TimeInForce.GTC, "RPI": TimeInForce.GTX}
"""Kinds the bot never sends, but finds on orders a person placed: one of them must not hide the rest."""

MARGIN_TYPES = {
    "isolated": MarginType.ISOLATED,
    "cross": MarginType.CROSSED,
    "crossed": MarginType.CROSSED,
    "CROSS": MarginType.CROSSED,
}
"""The same two words, written differently from one answer to the next."""

LIQUIDATION_STATUSES = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""The insurance fund or a counterparty takes a forced order over: how far it filled is told by its quantities."""

UNTOLD_STATUSES = frozenset({OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL})
"""What only we can know of an order; the exchange never says it."""
