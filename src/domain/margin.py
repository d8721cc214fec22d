"""Leverage brackets, maintenance margin and liquidation prices: pure formulas.

The simulated exchange, the gate of an entry and the checks of the settings all use them. Aster's document gives the
brackets with their maintenance margin (Notional and Leverage Brackets) and no formula of the liquidation price. This
one, documented by Binance, gives both prices of the sample in Position Information.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise

from src.domain.enums import MarginType
from src.domain.numbers import PER_CENT, ZERO, six_digits, trimmed
from src.domain.positions import Position

MAX_LEVERAGE = 125
STOP_BUFFER = Decimal("0.002")
"""Distance of a stop loss from the liquidation price, as a share of it: fees and the movement between the prices that
trigger both."""
_MAX_ITERATIONS = 20
_PCT_STEP = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Bracket:
    """One leverage bracket (Notional and Leverage Brackets); brackets are listed by increasing cap."""

    notional_cap: Decimal
    max_leverage: int
    maintenance_ratio: Decimal


Brackets = Sequence[Bracket]


def bracket_of(brackets: Brackets, notional: Decimal) -> Bracket:
    """Return the bracket of a notional; the last one above all caps."""
    return next((bracket for bracket in brackets if notional <= bracket.notional_cap), brackets[-1])


def deductions(brackets: Brackets) -> list[Decimal]:
    """Return ``cum`` of each bracket: the deduction that keeps the maintenance margin continuous between brackets."""
    sums = [ZERO]
    for lower, upper in pairwise(brackets):
        sums.append(sums[-1] + lower.notional_cap * (upper.maintenance_ratio - lower.maintenance_ratio))
    return sums


def maintenance_margin(brackets: Brackets, notional: Decimal) -> Decimal:
    """Return the maintenance margin of a notional: notional × ratio − ``cum`` of its bracket."""
    ratio, deduction = _ratio_and_deduction(brackets, notional)
    return notional * ratio - deduction


def max_notional(brackets: Brackets, leverage: int) -> Decimal:
    """Return the largest notional allowed at a leverage."""
    return max((each.notional_cap for each in brackets if each.max_leverage >= leverage), default=ZERO)


def max_leverage(brackets: Brackets) -> int:
    return min(max(bracket.max_leverage for bracket in brackets), MAX_LEVERAGE)


def liquidation_price(legs: Iterable[Position], collateral: Decimal, brackets: Brackets, mark: Decimal) -> Decimal:
    """Return the price at which collateral plus PnL of one symbol's legs equals their maintenance margin; 0 if none.

    Solves Σ q(p − entry) + collateral = Σ (|q|·p·ratio − cum). The bracket depends on the price and the price on the
    bracket, so the solution starts at the mark price and is repeated until the brackets no longer change.
    """
    positions = tuple(legs)
    price = mark
    for _ in range(_MAX_ITERATIONS):
        next_price = _solve_price(positions, collateral, brackets, price)
        if next_price <= 0:
            return ZERO
        if next_price == price:
            break
        price = next_price
    return price


def _solve_price(legs: Sequence[Position], collateral: Decimal, brackets: Brackets, price: Decimal) -> Decimal:
    numerator, denominator = -collateral, ZERO
    for leg in legs:
        ratio, deduction = _ratio_and_deduction(brackets, abs(leg.quantity) * price)
        numerator += leg.quantity * leg.entry_price - deduction
        denominator += leg.quantity - abs(leg.quantity) * ratio
    return numerator / denominator if denominator else ZERO


def _ratio_and_deduction(brackets: Brackets, notional: Decimal) -> tuple[Decimal, Decimal]:
    deduction, bracket = ZERO, brackets[0]
    for upper in brackets[1:]:
        if notional <= bracket.notional_cap:
            break
        deduction += bracket.notional_cap * (upper.maintenance_ratio - bracket.maintenance_ratio)
        bracket = upper
    return bracket.maintenance_ratio, deduction


def crossed_collateral(wallet: Decimal, others: Iterable[tuple[Decimal, Decimal]]) -> Decimal:
    """Return what backs a symbol's crossed positions: the wallet with the PnL of the other crossed positions, less
    their maintenance margin. ``others`` holds both for each of them.
    """
    return wallet + sum((pnl - maintenance for pnl, maintenance in others), ZERO)


def implied_collateral(legs: Iterable[Position], liquidation: Decimal, brackets: Brackets) -> Decimal:
    """Return the collateral that leads to a liquidation price which the exchange reports: the reverse of
    `liquidation_price`.
    """
    return sum(
        (
            maintenance_margin(brackets, abs(leg.quantity) * liquidation) - leg.unrealized_pnl(liquidation)
            for leg in legs
        ),
        ZERO,
    )


@dataclass(frozen=True, slots=True)
class Backing:
    """What backs a symbol's positions after an entry. Amounts are in the asset that they settle in."""

    leverage: int
    margin_type: MarginType
    brackets: Brackets
    """Empty while the exchange's brackets of the symbol are not known."""
    collateral: Decimal
    """ISOLATED: the margin of the position. CROSSED: see `crossed_collateral`."""
    other_leg: Position | None = None
    """The crossed position of the other side in hedge mode: both sides have one liquidation price."""
    unknown: str = "the exchange's leverage brackets are not known yet"
    """Why there are no brackets."""


@dataclass(frozen=True, slots=True)
class StopBeyondLiquidation:
    """A stop loss that would never trigger, because the exchange liquidates the position first."""

    stop: Decimal
    liquidation: Decimal
    entry: Decimal
    sign: int
    backing: Backing
    is_at_once: bool = False

    @property
    def widest_pct(self) -> Decimal:
        """The largest distance of a stop from the entry price that triggers before the liquidation; 0 if none does."""
        if self.is_at_once:
            return ZERO
        distance = self.sign * (self.entry - self.nearest_stop) / self.entry * PER_CENT
        return max(ZERO, distance.quantize(_PCT_STEP, ROUND_CEILING) - _PCT_STEP)

    @property
    def nearest_stop(self) -> Decimal:
        """The price at which, and beyond which, a stop is too late; an assumed liquidation price needs no distance."""
        return stop_before(self.liquidation, self.sign) if self.backing.brackets else self.liquidation

    @property
    def problem(self) -> str:
        backing = self.backing
        kind, stop = f"{backing.leverage}x {backing.margin_type}", f"before its stop loss at {six_digits(self.stop)}"
        if not backing.brackets:
            assumed = f"a liquidation price of {six_digits(self.liquidation)} is assumed"
            return f"{backing.unknown}, so {assumed} ({kind}), {stop} triggers"
        at = "at once" if self.is_at_once else f"at about {six_digits(self.liquidation)}"
        return f"the position would be liquidated {at} ({kind}), {stop} triggers"

    @property
    def remedy(self) -> str:
        lower = "set a lower leverage"
        if self.backing.margin_type is MarginType.CROSSED and self.backing.brackets:
            lower = "add to the wallet, or reduce other positions"
        widest = self.widest_pct
        return f"set stop_loss_pct to {trimmed(widest)} or less, or {lower}" if widest else lower


def stop_before(liquidation: Decimal, sign: int) -> Decimal:
    """Return the price of a stop just before a liquidation price; ``sign`` is that of the position's side."""
    return liquidation * (1 + sign * STOP_BUFFER)


def find_liquidation(position: Position, backing: Backing) -> Decimal:
    """Return the liquidation price of a position after an entry; 0 if there is none.

    While the brackets are not known, it is half the initial margin away from the entry price: the maintenance margin
    of a bracket is at most half the initial margin at its highest leverage (Notional and Leverage Brackets), and a
    crossed position has at least its initial margin as collateral, or the margin gate refuses it.
    """
    if not backing.brackets:
        return position.entry_price * (1 - position.side.sign / Decimal(2 * backing.leverage))
    return liquidation_price(_legs(position, backing), backing.collateral, backing.brackets, position.entry_price)


def stop_beyond_liquidation(position: Position, stop: Decimal, backing: Backing) -> StopBeyondLiquidation | None:
    """Return why a stop loss would not trigger; None if it does, at least `STOP_BUFFER` before the liquidation.

    A liquidation price on the winning side concerns the other leg, which is larger.
    """
    liquidation, sign = find_liquidation(position, backing), position.side.sign
    is_at_once = bool(backing.brackets) and _equity(position, backing) <= 0
    is_none = liquidation <= 0 or sign * (liquidation - position.entry_price) >= 0
    fault = StopBeyondLiquidation(stop, liquidation, position.entry_price, sign, backing, is_at_once)
    is_before = is_none or sign * (stop - fault.nearest_stop) > 0
    return None if is_before and not is_at_once else fault


def _equity(position: Position, backing: Backing) -> Decimal:
    """Return what is left above the maintenance margin at the entry price."""
    return backing.collateral - implied_collateral(_legs(position, backing), position.entry_price, backing.brackets)


def _legs(position: Position, backing: Backing) -> list[Position]:
    return [position] if backing.other_leg is None else [position, backing.other_leg]
