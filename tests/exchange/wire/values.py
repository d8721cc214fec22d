"""Hypothesis strategies for every value that is sent or received as JSON."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from src.domain.enums import MarginType, OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from src.domain.events import AccountUpdate, LeverageChanged, PositionChange
from src.domain.instrument import Instrument, Price, Quantity
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Income, Position, PositionReport
from src.exchange.wire import AccountModeChanged, ListenKeyExpired

RECEIVED_AT = 1_700_000_000_123

instants = st.integers(1, 4_000_000_000_000)
amounts = st.decimals(0, 10**9, places=8)
signed_amounts = st.decimals(-(10**9), 10**9, places=8)
positive_amounts = st.decimals(Decimal("0.00000001"), 10**9, places=8)
symbols = st.sampled_from(["BTCUSDT", "ASTERUSDT", "1000PEPEUSDT", "币安人生USDT"])
numbers = st.integers(1, 2**53)
client_order_ids = st.from_regex(r"\A[.A-Z:/a-z0-9_-]{1,36}\Z")
exchange_statuses = st.sampled_from([each for each in OrderStatus if not each.startswith("PENDING")])

_INSTRUMENT_AMOUNTS = (
    "tick",
    "min_price",
    "max_price",
    "step",
    "min_quantity",
    "max_quantity",
    "market_step",
    "market_min_quantity",
    "market_max_quantity",
    "min_notional",
    "multiplier_up",
    "multiplier_down",
    "trigger_protect",
    "market_take_bound",
    "liquidation_fee",
)
_INSTRUMENT_COUNTS = ("price_precision", "quantity_precision", "max_orders", "max_conditional_orders")

quotes = st.builds(
    Quote, symbols, positive_amounts, amounts, positive_amounts, amounts, at=instants, received_at=st.just(RECEIVED_AT)
)
mark_prices = st.builds(
    MarkPrice,
    symbols,
    positive_amounts,
    positive_amounts,
    signed_amounts,
    instants,
    instants,
    received_at=st.just(RECEIVED_AT),
)
liquidations = st.builds(
    Liquidation,
    symbol=symbols,
    side=st.sampled_from(Side),
    quantity=positive_amounts,
    price=positive_amounts,
    average_price=amounts,
    filled_quantity=amounts,
    traded_at=instants,
    event_at=instants,
    received_at=st.just(RECEIVED_AT),
    type=st.sampled_from(OrderType),
    time_in_force=st.sampled_from(TimeInForce),
    status=st.sampled_from(["FILLED", "PARTIALLY_FILLED", "NEW"]),
)
instruments = st.builds(
    Instrument,
    **dict.fromkeys(_INSTRUMENT_AMOUNTS, positive_amounts),
    **dict.fromkeys(_INSTRUMENT_COUNTS, st.integers(0, 500)),
    symbol=symbols,
    base_asset=st.text(min_size=1),
    quote_asset=st.sampled_from(["USDT", "USD1"]),
    status=st.sampled_from(["TRADING", "SETTLING"]),
)


def an_instrument() -> Instrument:
    one = Decimal(1)
    return Instrument(
        "BTCUSDT", "BTC", "USDT", one, one, one, one, one, one, one, one, one, one, one, one, 1, 1, one, one, one, 1, 1
    )  # fmt: skip


requests = st.builds(
    OrderRequest,
    client_order_id=client_order_ids,
    symbol=symbols,
    side=st.sampled_from(Side),
    position_side=st.sampled_from(PositionSide),
    type=st.sampled_from(OrderType),
    quantity=st.none() | amounts.map(Quantity),
    price=st.none() | amounts.map(Price),
    stop_price=st.none() | amounts.map(Price),
    time_in_force=st.none() | st.sampled_from(TimeInForce),
    reduce_only=st.booleans(),
    close_position=st.booleans(),
    working_type=st.none() | st.sampled_from(WorkingType),
    price_protect=st.booleans(),
)
fills = st.builds(
    Fill,
    symbol=symbols,
    trade_id=numbers,
    order_id=numbers,
    client_order_id=client_order_ids,
    side=st.sampled_from(Side),
    position_side=st.sampled_from(PositionSide),
    quantity=positive_amounts,
    price=positive_amounts,
    realized_pnl=signed_amounts,
    commission=amounts,
    commission_asset=st.sampled_from(["USDT", "ASTER"]),
    is_maker=st.booleans(),
    traded_at=instants,
)
orders = st.builds(
    OrderUpdate,
    symbol=symbols,
    client_order_id=client_order_ids,
    order_id=numbers,
    side=st.sampled_from(Side),
    position_side=st.sampled_from(PositionSide),
    type=st.sampled_from(OrderType),
    status=exchange_statuses,
    quantity=amounts,
    filled_quantity=amounts,
    average_price=positive_amounts,
    price=amounts,
    stop_price=amounts,
    time_in_force=st.sampled_from(TimeInForce),
    reduce_only=st.booleans(),
    close_position=st.booleans(),
    working_type=st.sampled_from(WorkingType),
    price_protect=st.booleans(),
    original_type=st.sampled_from(OrderType),
    event_at=instants,
)


def filled_by(order: OrderUpdate, fill: Fill) -> OrderUpdate:
    """The order with a matching fill."""
    mine = replace(
        fill,
        symbol=order.symbol,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        position_side=order.position_side,
    )
    return replace(order, fill=mine)


order_events = orders | st.builds(filled_by, orders, fills)
position_reports = st.builds(
    PositionReport,
    symbol=symbols,
    position_side=st.sampled_from(PositionSide),
    quantity=signed_amounts,
    entry_price=amounts,
    mark_price=amounts,
    unrealized_pnl=signed_amounts,
    liquidation_price=amounts,
    leverage=st.integers(1, 300),
    margin_type=st.sampled_from(MarginType),
    isolated_margin=amounts,
    updated_at=instants,
)
balances = st.builds(Balance, st.sampled_from(["USDT", "USDF", "ASTER"]), signed_amounts, signed_amounts)
changed_balances = st.builds(replace, balances, change=signed_amounts)
accounts = st.builds(
    AccountSummary,
    wallet_balance=signed_amounts,
    unrealized_pnl=signed_amounts,
    margin_balance=signed_amounts,
    available_balance=signed_amounts,
    initial_margin=amounts,
    maintenance_margin=amounts,
)
incomes = st.builds(
    Income, numbers, symbols | st.just(""), st.sampled_from(["FUNDING_FEE", "COMMISSION", "TRANSFER"]),
    st.just("USDT"), signed_amounts, instants,
)  # fmt: skip
position_changes = st.builds(
    PositionChange,
    st.builds(Position, symbols, st.sampled_from(PositionSide), signed_amounts, amounts),
    st.sampled_from(MarginType),
    amounts,
)
account_updates = st.builds(
    AccountUpdate,
    reason=st.sampled_from(["ORDER", "FUNDING_FEE", "A_WORD_OF_TOMORROW"]),
    balances=st.lists(changed_balances, min_size=1, max_size=3).map(tuple),
    positions=st.lists(position_changes, max_size=3).map(tuple),
    changed_at=instants,
    event_at=instants,
)
configurations = st.builds(LeverageChanged, symbols, st.integers(1, 300), instants) | st.builds(
    AccountModeChanged, st.none() | st.booleans(), st.none() | st.booleans(), instants
)
expiries = st.builds(ListenKeyExpired, instants)
