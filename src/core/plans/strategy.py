"""Does this liquidation call for an entry, at which price and of which size? Pure: values in, values out."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.core.plans.situation import EntryPlan, Situation
from src.domain.decisions import Gate, Skip
from src.domain.enums import PositionSide, Side, TimeInForce, TradingState
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.market import Quote

QUOTE_FRESH_MS = 2_000
MARK_FRESH_MS = 10_000
_PER_CENT = Decimal(100)
_WIDE_SPREAD_TICKS = 4
_SHARE_OF_WIDE_SPREAD = Decimal("0.25")


def refusal_by_signal(situation: Situation) -> Skip | None:
    """The first gate of the signal that refuses: state, freshness, side, threshold, cooldown, price."""
    for gate in _SIGNAL_GATES:
        skip = gate(situation)
        if skip is not None:
            return skip
    return None


def plan_entry(situation: Situation) -> EntryPlan | Skip:
    """Price and size of the entry; refuses what the exchange's grid cannot express."""
    instrument = situation.instrument
    if instrument is None or not instrument.is_trading:
        return Skip(Gate.CONFIGURED, "the exchange does not trade this symbol now")
    priced = _price(situation, instrument)
    if isinstance(priced, Skip):
        return priced
    price, time_in_force = priced
    side, settings = situation.entry_side, situation.symbol_settings
    wanted = settings.trade_value_usdt * settings.leverage / price
    quantity = min(instrument.quantity(wanted), instrument.quantity(instrument.max_quantity))
    smallest = instrument.smallest_quantity(price)
    return EntryPlan(
        symbol=instrument.symbol,
        side=side,
        position_side=PositionSide.opened_by(side, hedge_mode=situation.settings.hedge_mode),
        price=price,
        quantity=Quantity(max(quantity, smallest)),
        leverage=settings.leverage,
        time_in_force=time_in_force,
        is_raised=quantity < smallest,
    )


def entry_price(side: Side, quote: Quote, instrument: Instrument) -> Price:
    """The own side's best price improved by a tick, a quarter of the way inside a wide spread, never crossing."""
    own, other = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
    spread = abs(other - own)
    improvement = instrument.tick
    if spread > _WIDE_SPREAD_TICKS * instrument.tick:
        improvement = max(improvement, spread * _SHARE_OF_WIDE_SPREAD)
    if spread <= instrument.tick:
        improvement = Decimal(0)
    return instrument.price(own + side.sign * improvement, _toward_own(side))


def offset_price(side: Side, mark_price: Decimal, offset_pct: Decimal, instrument: Instrument) -> Price:
    """Where no book is known: the mark, less ``offset_pct`` in our favour."""
    return instrument.price(mark_price * (1 - side.sign * offset_pct / _PER_CENT), _toward_own(side))


def _price(situation: Situation, instrument: Instrument) -> tuple[Price, TimeInForce] | Skip:
    """By the book where it is fresh; else post-only off a mark of the last seconds, which may not cross unseen."""
    side, quote, mark = situation.entry_side, situation.quote, situation.mark
    if quote is not None and _is_fresh(quote.received_at, situation.now_ms, QUOTE_FRESH_MS):
        return entry_price(side, quote, instrument), situation.settings.time_in_force
    offset = situation.symbol_settings.price_offset_pct
    if offset > 0 and mark is not None and _is_fresh(mark.received_at, situation.now_ms, QUOTE_FRESH_MS):
        return offset_price(side, mark.price, offset, instrument), TimeInForce.GTX
    age = None if quote is None else situation.now_ms - quote.received_at
    reason = "no best bid and ask yet" if age is None else f"the last quote is {age} ms old"
    return Skip(Gate.FRESH_QUOTE, f"{reason}: the book is being asked for", {"age_ms": age, "limit_ms": QUOTE_FRESH_MS})


def _toward_own(side: Side) -> str:
    return ROUND_FLOOR if side is Side.BUY else ROUND_CEILING


def _is_fresh(received_at: int, now_ms: int, limit_ms: int) -> bool:
    return now_ms - received_at <= limit_ms


def _configured(situation: Situation) -> Skip | None:
    misfit = situation.account_misfit
    return None if misfit is None else Skip(Gate.CONFIGURED, misfit)


def _symbol_lock(situation: Situation) -> Skip | None:
    lock = situation.symbol_lock
    return None if lock is None else Skip(Gate.TRADING_STATE, f"{lock}; resume lifts this lock")


def _trading_state(situation: Situation) -> Skip | None:
    if situation.trading_state is TradingState.ACTIVE:
        return None
    reason = situation.trading_reason or "entries are switched off"
    return Skip(Gate.TRADING_STATE, reason, {"state": situation.trading_state.value})


def _fresh_event(situation: Situation) -> Skip | None:
    age = situation.now_ms - situation.liquidation.traded_at
    limit = situation.settings.max_event_age_ms
    if age <= limit:
        return None
    return Skip(Gate.FRESH_EVENT, f"the event is {age} ms old, {limit} are allowed", {"age_ms": age, "limit_ms": limit})


def _trade_side(situation: Situation) -> Skip | None:
    if situation.is_side_wanted:
        return None
    wanted = situation.symbol_settings.trade_side.value
    reason = f"only {wanted} entries are wanted, this would be a {situation.entry_side.value}"
    return Skip(Gate.TRADE_SIDE, reason, {"trade_side": wanted})


def _threshold(situation: Situation) -> Skip | None:
    volume, threshold = situation.window_volume, situation.threshold
    if volume >= threshold:
        return None
    reason = f"{volume:.0f} liquidated in the window, {threshold:.0f} needed"
    return Skip(Gate.THRESHOLD, reason, {"volume": volume, "threshold": threshold})


def _cooldown(situation: Situation) -> Skip | None:
    if situation.last_entry_at is None:
        return None
    passed = situation.liquidation.traded_at - situation.last_entry_at
    if passed >= situation.cooldown_ms:
        return None
    left = situation.cooldown_ms - passed
    reason = f"cooling down for another {(left + 999) // 1000} s after the last entry"
    return Skip(Gate.COOLDOWN, reason, {"passed_ms": passed, "cooldown_ms": situation.cooldown_ms})


def _price_deviation(situation: Situation) -> Skip | None:
    mark = situation.mark
    if mark is None or mark.price <= 0 or not _is_fresh(mark.received_at, situation.now_ms, MARK_FRESH_MS):
        return Skip(Gate.PRICE_DEVIATION, "no fresh mark price to compare with")
    price = situation.liquidation.fill_price
    deviation = abs(price - mark.price) / mark.price * _PER_CENT
    limit = situation.settings.max_price_deviation_pct
    if deviation <= limit:
        return None
    reason = f"it filled {deviation:.2f} % off the mark price, {limit} % are allowed"
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
