"""Risk checks of an entry plan. Pure: takes the plan and the current exposure, returns an approved plan or a skip."""

from collections.abc import Iterator

from src.core.entries.entry_context import ApprovedPlan, EntryContext, EntryPlan, Exposure
from src.domain.decisions import Gate, Numbers, Skip
from src.domain.enums import OrderRole
from src.domain.margin import Backing, stop_beyond_liquidation
from src.domain.positions import Position
from src.settings.exits import protection_prices, unplaceable_exits


def check_risk(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> ApprovedPlan | Skip:
    """Run the risk gates in order; returns the first skip, else the approved plan."""
    for gate in _RISK_GATES:
        skip = gate(plan, entry_context, exposure)
        if skip is not None:
            return skip
    return ApprovedPlan(plan)


def _open_orders(_: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    limit = entry_context.settings.max_open_orders_per_symbol
    if exposure.obstacle is not None:
        return Skip(Gate.OPEN_ORDERS, exposure.obstacle)
    if exposure.unresolved:
        return Skip(Gate.OPEN_ORDERS, "an earlier entry is unconfirmed")
    if exposure.external_orders:
        reason = "external orders or position on this symbol"
        return Skip(Gate.OPEN_ORDERS, reason, {"foreign": exposure.external_orders})
    if exposure.open_entries < limit:
        return None
    numbers = {"open": exposure.open_entries, "limit": limit}
    return Skip(Gate.OPEN_ORDERS, f"{exposure.open_entries} entries are open, limit {limit}", numbers)


def _opposite_position(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """In one-way mode an entry against an open position or entry would close it instead of opening a position."""
    if entry_context.settings.hedge_mode or exposure.symbol_notional * plan.side.sign >= 0:
        return None
    return Skip(Gate.POSITION_CAP, "one-way mode: a position or entry of the opposite side is open")


def _caps(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """Margin caps and balance. A plan raised to the exchange's minimum size reports ``MIN_NOTIONAL`` instead."""
    skip = next(_exceeded_caps(plan, entry_context, exposure), None)
    if skip is None or not plan.is_raised_to_minimum:
        return skip
    reason = f"the smallest valid order is {plan.notional:.2f} USDT notional; {skip.reason}"
    return Skip(Gate.MIN_NOTIONAL, reason, {**skip.numbers, "smallest_notional": plan.notional})


def _exceeded_caps(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Iterator[Skip]:
    """A skip for each margin cap that the plan exceeds, and for insufficient balance."""
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


def _stop_inside_liquidation(plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    """A stop beyond the liquidation price never triggers; the price that the exchange reports counts first."""
    settings, instrument = entry_context.symbol_settings, entry_context.instrument
    if exposure.liquidation_warning is not None:
        return Skip(Gate.STOP_INSIDE_LIQUIDATION, exposure.liquidation_warning)
    if not settings.stop_loss_enabled or instrument is None:
        return None
    position, backing = exposure.after_entry or (
        Position(plan.symbol, plan.position_side, plan.side.sign * plan.quantity, plan.price),
        Backing(plan.leverage, settings.margin_type, (), plan.margin),
    )
    stop = protection_prices(position, settings, instrument)[OrderRole.STOP_LOSS]
    too_late = None if stop is None else stop_beyond_liquidation(position, stop, backing)
    if too_late is None:
        return None
    numbers: Numbers = {"stop_price": too_late.stop, "liquidation_price": too_late.liquidation}
    return Skip(Gate.STOP_INSIDE_LIQUIDATION, f"{too_late.problem}: {too_late.remedy}", numbers)


def _exits_placeable(plan: EntryPlan, entry_context: EntryContext, _: Exposure) -> Skip | None:
    """An exit at the entry price would close the position at once, or be rejected and leave it without a stop."""
    instrument = entry_context.instrument
    if instrument is None:
        return None  # no plan is made without an instrument
    position = Position(plan.symbol, plan.position_side, plan.side.sign * plan.quantity, plan.price)
    reason = next(unplaceable_exits(entry_context.symbol_settings, position, instrument), None)
    if reason is None:
        return None
    return Skip(Gate.PROTECTION_DISTANCE, reason, {"entry_price": plan.price, "tick": instrument.tick})


def _rate_budget(_plan: EntryPlan, _context: EntryContext, exposure: Exposure) -> Skip | None:
    if exposure.has_request_budget:
        return None
    return Skip(Gate.RATE_BUDGET, "request limit nearly reached; the rest is reserved for protection")


def _entry_rate(_plan: EntryPlan, entry_context: EntryContext, exposure: Exposure) -> Skip | None:
    limit = entry_context.settings.max_entries_per_minute
    if limit is None or exposure.entries_last_minute < limit:
        return None
    count = exposure.entries_last_minute
    return Skip(Gate.RATE_BUDGET, f"{count} entries in the last minute, limit {limit}", {"made": count, "limit": limit})


_RISK_GATES = (
    _open_orders,
    _opposite_position,
    _caps,
    _stop_inside_liquidation,
    _exits_placeable,
    _rate_budget,
    _entry_rate,
)
