"""The strategy: which liquidations lead to an entry, at which price and size. Pure functions."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.core.entries.entry_context import EntryContext, EntryPlan
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce, TradingState
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.market import CLOCK_TOLERANCE_MS, MarkPrice, Quote, price_age_ms
from src.domain.numbers import PER_CENT, ZERO

QUOTE_FRESH_MS = 2_000
MARK_FRESH_MS = 10_000
_CENT = Decimal("0.01")
_WIDE_SPREAD_TICKS = 4
_WIDE_SPREAD_SHARE = Decimal("0.25")
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
"""Orders that fill at once or expire: at a price of our own side they would always expire."""


def check_signal(entry_context: EntryContext) -> Skip | None:
    """Run the signal gates in order: state, freshness, side, threshold, cooldown, price; returns the first skip."""
    for gate in _SIGNAL_GATES:
        skip = gate(entry_context)
        if skip is not None:
            return skip
    return None


def plan_entry(entry_context: EntryContext) -> EntryPlan | Skip:
    """Price and size of the entry; a skip if the symbol is not trading, has no fresh price or is set too small."""
    instrument = entry_context.instrument
    if instrument is None or not instrument.is_trading:
        return Skip(Gate.CONFIGURED, "the exchange does not trade this symbol")
    priced = _price(entry_context, instrument)
    if isinstance(priced, Skip):
        return priced
    price, time_in_force = priced
    off_mark = _off_mark(entry_context, price, f"the entry at {price:f} would be")
    if off_mark is not None:
        return off_mark
    side, settings = entry_context.entry_side, entry_context.symbol_settings
    wanted = settings.trade_value_usdt * settings.leverage / price
    quantity = instrument.quantity(min(wanted, instrument.max_quantity))
    smallest = instrument.smallest_quantity(price)
    too_small = _too_small(entry_context, smallest * price)
    if too_small is not None:
        return too_small
    return EntryPlan(
        symbol=instrument.symbol,
        side=side,
        position_side=PositionSide.opened_by(side, hedge_mode=entry_context.settings.hedge_mode),
        price=price,
        quantity=Quantity(max(quantity, smallest)),
        leverage=settings.leverage,
        time_in_force=time_in_force,
        not_after=entry_context.now_ms + entry_context.settings.max_event_age_ms,
        is_raised_to_minimum=quantity < smallest,
    )


def _too_small(entry_context: EntryContext, smallest: Decimal) -> Skip | None:
    """A skip if the exchange's smallest order, ``smallest`` in notional, is too many times the size that was set."""
    settings, factor = entry_context.symbol_settings, entry_context.settings.max_raise_factor
    wanted = settings.trade_value_usdt * settings.leverage
    if smallest <= wanted * factor:
        return None
    needed = (smallest / settings.leverage).quantize(_CENT, ROUND_CEILING)
    reason = (
        f"trade_value_usdt {settings.trade_value_usdt:f} at {settings.leverage}x is an order of {wanted:.2f} USDT, and "
        f"the exchange's smallest is {smallest:.2f} USDT, {smallest / wanted:.1f} times as much: set trade_value_usdt "
        f"to {needed} or more, or max_raise_factor (now {factor:f}) higher"
    )
    return Skip(Gate.MIN_NOTIONAL, reason, {"wanted": wanted, "smallest_notional": smallest, "factor": factor})


def entry_price(side: Side, quote: Quote, instrument: Instrument) -> Price:
    """The best price of our side improved by a tick, or by a quarter of a wide spread; it never crosses the book."""
    own, other = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
    spread = abs(other - own)
    improvement = instrument.tick
    if spread > _WIDE_SPREAD_TICKS * instrument.tick:
        improvement = max(improvement, spread * _WIDE_SPREAD_SHARE)
    if spread <= instrument.tick:
        improvement = ZERO
    return instrument.price(own + side.sign * improvement, _toward_own(side))


def offset_price(side: Side, mark_price: Decimal, offset_pct: Decimal, instrument: Instrument) -> Price:
    """The entry price without a quote: the mark price moved by ``offset_pct`` in our favor."""
    return instrument.price(mark_price * (1 - side.sign * offset_pct / PER_CENT), _toward_own(side))


def _price(entry_context: EntryContext, instrument: Instrument) -> tuple[Price, TimeInForce] | Skip:
    """Price off a fresh quote; without one, a post-only price off a fresh mark price, if an offset is configured.

    IOC and FOK need a quote: a post-only order would rest, which they exclude.
    """
    side, quote, mark = entry_context.entry_side, entry_context.quote, entry_context.mark
    time_in_force = entry_context.settings.time_in_force
    if quote is not None and _is_fresh(quote, entry_context.now_ms, QUOTE_FRESH_MS):
        if time_in_force in _AT_ONCE:
            price = _far_price(side, quote, instrument, entry_context.settings.max_slippage_pct)
            return price if isinstance(price, Skip) else (price, time_in_force)
        return entry_price(side, quote, instrument), time_in_force
    offset = ZERO if time_in_force in _AT_ONCE else entry_context.symbol_settings.price_offset_pct
    if offset > 0 and mark is not None and _is_fresh(mark, entry_context.now_ms, QUOTE_FRESH_MS):
        return offset_price(side, mark.price, offset, instrument), TimeInForce.GTX
    age = None if quote is None else price_age_ms(quote, entry_context.now_ms)
    reason = "no quote yet" if age is None else f"the last quote is {age} ms old"
    return Skip(Gate.FRESH_QUOTE, f"{reason}; requesting the order book", {"age_ms": age, "limit_ms": QUOTE_FRESH_MS})


def _far_price(side: Side, quote: Quote, instrument: Instrument, max_slippage_pct: Decimal) -> Price | Skip:
    """The best price of the other side, at which an order fills at once; a skip if it is too far from our own side."""
    own, other = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
    price = instrument.price(other, _toward_own(side.opposite))
    slippage = abs(price - own) / own * PER_CENT
    if slippage <= max_slippage_pct:
        return price
    reason = (
        f"filling at once would cost {slippage:.2f} % (best bid {quote.bid:f}, best ask {quote.ask:f}), "
        f"max_slippage_pct allows {max_slippage_pct:f} %"
    )
    return Skip(Gate.SLIPPAGE, reason, {"bid": quote.bid, "ask": quote.ask, "slippage_limit_pct": max_slippage_pct})


def _toward_own(side: Side) -> str:
    return ROUND_FLOOR if side is Side.BUY else ROUND_CEILING


def _is_fresh(price: Quote | MarkPrice, now_ms: int, limit_ms: int) -> bool:
    """Whether a price is at most ``limit_ms`` old; one from the future says nothing about now."""
    return price.received_at - now_ms <= CLOCK_TOLERANCE_MS and price_age_ms(price, now_ms) <= limit_ms


def _configured(entry_context: EntryContext) -> Skip | None:
    mismatch = entry_context.account_mismatch
    return None if mismatch is None else Skip(Gate.CONFIGURED, mismatch)


def _symbol_lock(entry_context: EntryContext) -> Skip | None:
    lock = entry_context.symbol_lock
    return None if lock is None else Skip(Gate.TRADING_STATE, f"{lock}; resume to release the lock")


def _trading_state(entry_context: EntryContext) -> Skip | None:
    if entry_context.trading_state is TradingState.ACTIVE:
        return None
    reason = entry_context.trading_reason or "entries are blocked"
    return Skip(Gate.TRADING_STATE, reason, {"state": entry_context.trading_state.value})


def _fresh_event(entry_context: EntryContext) -> Skip | None:
    liquidation = entry_context.liquidation
    age = entry_context.now_ms - liquidation.traded_at
    limit = entry_context.settings.max_event_age_ms
    if liquidation.is_future_dated:
        reason = "the liquidation is dated in the future: it is stored, but neither counted nor traded"
        return Skip(Gate.FRESH_EVENT, reason, {"age_ms": age, "limit_ms": -CLOCK_TOLERANCE_MS})
    if age <= limit:
        return None
    return Skip(
        Gate.FRESH_EVENT, f"the liquidation is {age} ms old, limit {limit} ms", {"age_ms": age, "limit_ms": limit}
    )


def _trade_side(entry_context: EntryContext) -> Skip | None:
    if entry_context.is_side_allowed:
        return None
    allowed = entry_context.symbol_settings.trade_side.value
    reason = f"this would be a {entry_context.entry_side.value}; trade_side allows only {allowed}"
    return Skip(Gate.TRADE_SIDE, reason, {"trade_side": allowed})


def _threshold(entry_context: EntryContext) -> Skip | None:
    volume, threshold = entry_context.window_volume, entry_context.threshold
    if volume >= threshold:
        return None
    reason = f"volume {volume:.0f} in the window is below the threshold {threshold:.0f}"
    return Skip(Gate.THRESHOLD, reason, {"volume": volume, "threshold": threshold})


def _cooldown(entry_context: EntryContext) -> Skip | None:
    if entry_context.last_entry_at is None:
        return None
    passed = entry_context.liquidation.traded_at - entry_context.last_entry_at
    if passed >= entry_context.cooldown_ms:
        return None
    left = entry_context.cooldown_ms - passed
    reason = f"cooldown: {(left + 999) // 1000} s left after the last entry"
    return Skip(Gate.COOLDOWN, reason, {"passed_ms": passed, "cooldown_ms": entry_context.cooldown_ms})


def _price_deviation(entry_context: EntryContext) -> Skip | None:
    return _off_mark(entry_context, entry_context.liquidation.fill_price, "the liquidation filled")


def _off_mark(entry_context: EntryContext, price: Decimal, subject: str) -> Skip | None:
    """One limit for the price of the liquidation and for the price of the entry (I20)."""
    mark = entry_context.mark
    if mark is None or mark.price <= 0 or not _is_fresh(mark, entry_context.now_ms, MARK_FRESH_MS):
        return Skip(Gate.PRICE_DEVIATION, "no fresh mark price")
    deviation = abs(price - mark.price) / mark.price * PER_CENT
    limit = entry_context.settings.max_price_deviation_pct
    if deviation <= limit:
        return None
    reason = f"{subject} {deviation:.2f} % off the mark price, max_price_deviation_pct allows {limit:f} %"
    return Skip(Gate.PRICE_DEVIATION, reason, {"price": price, "mark": mark.price, "limit_pct": limit})


_SIGNAL_GATES = (
    _configured,
    _trading_state,
    _symbol_lock,
    _fresh_event,
    _trade_side,
    _threshold,
    _cooldown,
    _price_deviation,
)
