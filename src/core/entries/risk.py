"""May this entry be made? Pure: a plan and what is at risk already go in, an approved plan or a refusal comes out."""

from collections.abc import Iterator
from decimal import Decimal

from src.core.entries.entry_context import ApprovedPlan, EntryContext, EntryPlan, Exposure
from src.domain.decisions import Gate, Numbers, Skip

_PER_CENT = Decimal(100)


def check_risk(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> ApprovedPlan | Skip:
    """The first gate of the risk that refuses, else the plan with its approval."""
    for gate in _RISK_GATES:
        skip = gate(plan, entry_context, exposure)
        if skip is not None:
            return skip
    return ApprovedPlan(plan)


def _open_orders(_: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    limit = entry_context.settings.max_open_orders_per_symbol
    if exposure.unresolved:
        return Skip(Gate.OPEN_ORDERS, "an earlier entry's answer was lost: it is being asked for")
    if exposure.external_orders:
        reason = "orders or a position that are not the bot's are on this symbol: it stays away from them"
        return Skip(Gate.OPEN_ORDERS, reason, {"foreign": exposure.external_orders})
    if exposure.open_entries < limit:
        return None
    numbers = {"open": exposure.open_entries, "limit": limit}
    return Skip(Gate.OPEN_ORDERS, f"{exposure.open_entries} entries are open, {limit} are allowed", numbers)


def _stop_orders(_: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """A heap of stops is a sign that something replaces them without end; protection itself is never refused."""
    limit = entry_context.settings.max_stop_orders_per_symbol
    if exposure.stop_orders <= limit:
        return None
    numbers = {"stops": exposure.stop_orders, "limit": limit}
    return Skip(Gate.OPEN_ORDERS, f"{exposure.stop_orders} stop losses stand already, {limit} are allowed", numbers)


def _opposite_position(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """In one-way mode an entry against a position, or against another entry, would close it past its protection."""
    if entry_context.settings.hedge_mode or exposure.symbol_notional * plan.side.sign >= 0:
        return None
    return Skip(Gate.POSITION_CAP, "a position or an entry the other way is open, and one-way mode holds only one")


def _caps(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """The caps of margin; a size raised to the exchange's minimum that breaks one is skipped for being too small."""
    skip = next(_exceeded_caps(plan, entry_context, exposure), None)
    if skip is None or not plan.is_raised_to_minimum:
        return skip
    reason = f"the smallest valid order needs {plan.notional:.2f} USDT notional; {skip.reason}"
    return Skip(Gate.MIN_NOTIONAL, reason, {**skip.numbers, "smallest_notional": plan.notional})


def _exceeded_caps(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Iterator[Skip]:
    """Every cap of margin that the plan would break."""
    margin, available = plan.margin, exposure.available_balance
    position_cap = entry_context.symbol_settings.max_position_usdt
    total_cap = entry_context.settings.max_total_exposure_usdt
    for gate, used, cap, name in (
        (Gate.POSITION_CAP, exposure.symbol_margin, position_cap, "max_position_usdt"),
        (Gate.TOTAL_CAP, exposure.total_margin, total_cap, "max_total_exposure_usdt"),
    ):
        if used + margin > cap:
            reason = f"margin {used:.2f} + {margin:.2f} exceeds {name} {cap:.2f}"
            yield Skip(gate, reason, {"bound": used, "needed": margin, "cap": cap})
    if available is None or available < margin:
        shown = "unknown" if available is None else f"{available:.2f}"
        numbers: Numbers = {"available": available, "needed": margin}
        yield Skip(Gate.MARGIN, f"{margin:.2f} USDT margin needed, {shown} available", numbers)


def max_stop_pct(leverage: int) -> Decimal:
    """A stop must be nearer than this, in percent of the price, to lie inside the liquidation price.

    The maintenance margin of a bracket is at most half the initial margin at its highest leverage (Notional and
    Leverage Brackets), so an isolated position lives at least half its initial margin's distance.
    """
    return _PER_CENT / (2 * leverage)


def _stop_inside_liquidation(plan: EntryPlan, entry_context: EntryContext, _: Exposure) -> Skip | None:
    """A stop beyond the liquidation price never fires."""
    settings = entry_context.symbol_settings
    if not settings.stop_loss_enabled:
        return None
    distance_pct = max_stop_pct(plan.leverage)
    if settings.stop_loss_pct < distance_pct:
        return None
    reason = (
        f"a stop {settings.stop_loss_pct} % away may lie beyond the liquidation price at {plan.leverage}x: "
        f"keep it below {distance_pct:.2f} %"
    )
    return Skip(Gate.STOP_INSIDE_LIQUIDATION, reason, {"stop_pct": settings.stop_loss_pct, "limit_pct": distance_pct})


def _rate_budget(_plan: EntryPlan, _situation: EntryContext, exposure: Exposure) -> Skip | None:
    if exposure.has_request_budget:
        return None
    return Skip(Gate.RATE_BUDGET, "the request budget of this minute is kept for protection")


def _entry_rate(_plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    limit = entry_context.settings.max_entries_per_minute
    if limit is None or exposure.entries_last_minute < limit:
        return None
    made = exposure.entries_last_minute
    reason = f"{made} entries were made in the last minute, {limit} are allowed"
    return Skip(Gate.RATE_BUDGET, reason, {"made": made, "limit": limit})


_RISK_GATES = (
    _open_orders,
    _stop_orders,
    _opposite_position,
    _caps,
    _stop_inside_liquidation,
    _rate_budget,
    _entry_rate,
)
