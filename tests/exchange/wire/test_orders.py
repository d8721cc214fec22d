"""Orders and fills in the documented shapes."""

from decimal import Decimal

import pytest

from src.domain.enums import OrderStatus, OrderType, PositionSide, TimeInForce
from src.domain.errors import ProtocolError
from src.domain.orders import OrderUpdate, UnrecognizedOrder
from src.exchange import wire
from src.exchange.wire import Body
from tests.builders import a_fill

NOW_MS = 1_700_000_000_000

ORDER_EVENT: Body = {
    "s": "BTCUSDT", "c": "lh-abc123-e", "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "0.002", "p": "9000",
    "ap": "9000.5", "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 8886774, "l": "0.001", "z": "0.001",
    "L": "9000.5", "N": "USDT", "n": "0.0036", "T": 1568879465651, "t": 77, "b": "0", "a": "9.91", "m": True,
    "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "LONG", "cp": False, "rp": "1.5",
}  # fmt: skip


def read_event(**changes: object) -> object:
    kept = {key: value for key, value in {**ORDER_EVENT, **changes}.items() if value is not None}
    return wire.parse_event({"e": "ORDER_TRADE_UPDATE", "E": 1568879465700, "T": 1568879465650, "o": kept}, NOW_MS)


def order_event(**changes: object) -> OrderUpdate:
    event = read_event(**changes)
    assert isinstance(event, OrderUpdate)
    return event


def test_trade_event_has_a_fill() -> None:
    update = order_event()

    assert (update.status, update.filled_quantity, update.event_at) == (
        OrderStatus.PARTIALLY_FILLED, Decimal("0.001"), 1568879465700,
    )  # fmt: skip
    assert update.is_ours
    assert update.fill is not None
    assert (update.fill.trade_id, update.fill.quantity, update.fill.price) == (77, Decimal("0.001"), Decimal("9000.5"))
    assert (update.fill.commission, update.fill.realized_pnl) == (Decimal("0.0036"), Decimal("1.5"))
    assert (update.fill.is_maker, update.fill.traded_at) == (True, 1568879465651)


def test_fill_without_commission_costs_nothing() -> None:
    fill = order_event(N=None, n=None).fill

    assert fill is not None
    assert (fill.commission, fill.commission_asset) == (Decimal(0), "")


@pytest.mark.parametrize("execution", ["NEW", "CANCELED", "EXPIRED"])
def test_only_trade_events_have_a_fill(execution: str) -> None:
    assert order_event(x=execution).fill is None


def test_liquidation_with_a_trade_id_has_a_fill() -> None:
    assert order_event(x="CALCULATED", t=0).fill is None
    parsed = order_event(x="CALCULATED", t=78).fill
    assert parsed is not None
    assert parsed.trade_id == 78


@pytest.mark.parametrize("status", ["NEW_INSURANCE", "NEW_ADL"])
@pytest.mark.parametrize(
    ("filled", "expected"),
    [("0", OrderStatus.NEW), ("0.001", OrderStatus.PARTIALLY_FILLED), ("0.002", OrderStatus.FILLED)],
)
def test_liquidation_order_statuses_are_mapped(status: str, filled: str, expected: OrderStatus) -> None:
    update = order_event(
        c="autoclose-1568879465", o="LIQUIDATION", ot="LIQUIDATION", x="CALCULATED", X=status, z=filled
    )

    assert (update.status, update.type) == (expected, OrderType.LIMIT)
    assert not update.is_ours


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("GTE_GTC", TimeInForce.GTC), ("HIDDEN", TimeInForce.GTC), ("RPI", TimeInForce.GTX), ("IOC", TimeInForce.IOC)],
)
def test_values_of_manual_orders_are_mapped(word: str, meaning: TimeInForce) -> None:
    assert order_event(f=word).time_in_force is meaning


@pytest.mark.parametrize(
    "changes",
    [{"X": "UNKNOWN"}, {"X": "PENDING_NEW"}, {"S": "HOLD"}, {"z": "x"}, {"q": True}, {"o": "ICEBERG"}, {"ps": 7},
     {"ot": "ICEBERG"}],
)  # fmt: skip
def test_unrecognized_order_keeps_its_ids(changes: Body) -> None:
    parsed = read_event(**changes)

    assert isinstance(parsed, UnrecognizedOrder)
    assert (parsed.symbol, parsed.client_order_id, parsed.order_id) == ("BTCUSDT", "lh-abc123-e", 8886774)
    assert parsed.is_ours
    assert parsed.problem


@pytest.mark.parametrize("changes", [{"i": None}, {"i": "1.5"}, {"c": 5}, {"s": None}])
def test_order_without_ids_is_a_protocol_error(changes: Body) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_event(**changes)

    assert caught.value.payload


QUERIED: Body = {
    "clientOrderId": "abc", "cumQuote": "0", "executedQty": "0", "orderId": 1917641, "origQty": "0.40",
    "origType": "TRAILING_STOP_MARKET", "price": "0", "reduceOnly": False, "side": "BUY", "positionSide": "SHORT",
    "status": "NEW", "stopPrice": "9300", "closePosition": False, "symbol": "BTCUSDT", "timeInForce": "GTC",
    "type": "TRAILING_STOP_MARKET", "activatePrice": "9020", "priceRate": "0.3", "updateTime": 1579276756075,
    "workingType": "CONTRACT_PRICE", "priceProtect": False,
}  # fmt: skip


def test_average_price_is_derived_from_cost() -> None:
    order = wire.parse_order({**QUERIED, "executedQty": "0.1", "cumQuote": "910"})

    assert order.average_price == Decimal(9100)
    assert order.original_type is OrderType.TRAILING_STOP_MARKET


def test_order_without_optional_fields_is_parsed() -> None:
    shortest = {
        key: value
        for key, value in QUERIED.items()
        if key not in ("closePosition", "priceProtect", "workingType", "origType", "stopPrice")
    }

    order = wire.parse_order(shortest)

    assert (order.close_position, order.price_protect) == (False, False)
    assert order.original_type is order.type
    assert order.stop_price == 0


def test_commission_of_either_sign_is_a_cost() -> None:
    trade = {
        "buyer": False, "commission": "-0.07819010", "commissionAsset": "USDT", "id": 698759, "maker": False,
        "orderId": 25851813, "price": "7819.01", "qty": "0.002", "quoteQty": "15.63802", "realizedPnl": "-0.91539999",
        "side": "SELL", "positionSide": "SHORT", "symbol": "BTCUSDT", "time": 1569514978020,
    }  # fmt: skip

    assert wire.parse_fill(trade).commission == wire.parse_fill({**trade, "commission": "0.0781901"}).commission
    assert wire.parse_fill(trade, "lh-abc123-e").client_order_id == "lh-abc123-e"


@pytest.mark.parametrize("key", ["commission", "commissionAsset"])
@pytest.mark.parametrize("written", [None, 7.5])
def test_trade_whose_fee_cannot_be_read_is_kept(key: str, written: object) -> None:
    """Its fee is of no asset, so that it is completed from the income history."""
    trade = wire.render_fill(a_fill(commission=Decimal("0.1")))
    fill = wire.parse_fill({**trade, key: written})
    assert fill.trade_id == trade["id"]
    assert (str(fill.commission), fill.commission_asset) == ("0", "")


def test_order_request_of_other_clients_is_parsed() -> None:
    request = wire.parse_order_request(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "MARKET",
            "quantity": "1",
            "reduceOnly": "true",
            "priceProtect": "TRUE",
        }
    )

    assert (request.client_order_id, request.position_side) == ("", PositionSide.BOTH)
    assert (request.reduce_only, request.price_protect, request.close_position) == (True, True, False)


@pytest.mark.parametrize("key", ["f", "R", "wt", "pP", "cp", "ap", "p", "sp", "m", "N", "T"])
@pytest.mark.parametrize("value", ["", None, "x"])
def test_order_event_needs_only_what_the_bot_uses(key: str, value: object) -> None:
    parsed = read_event(**{key: value})

    assert isinstance(parsed, OrderUpdate)
    assert parsed.client_order_id == "lh-abc123-e"


@pytest.mark.parametrize("changes", [{"L": "0"}, {"l": ""}, {"t": 0}, {"rp": None}, {"n": []}, {"x": "CANCELED"}])
def test_trade_that_cannot_be_read_is_left_to_the_trade_list(changes: Body) -> None:
    parsed = read_event(**{"x": "TRADE", "X": "FILLED", "z": "0.002", "l": "0.002", "L": "9910", "t": 7, **changes})

    assert isinstance(parsed, OrderUpdate)
    assert (parsed.fill, parsed.filled_quantity) == (None, Decimal("0.002"))


def test_unknown_kind_of_event_with_a_trade_has_a_fill() -> None:
    parsed = read_event(x="AMENDMENT", X="FILLED", l="0.002", L="9910", t=7, rp="0")

    assert isinstance(parsed, OrderUpdate)
    assert parsed.fill is not None


def test_order_without_a_quantity_closes_the_position() -> None:
    order = wire.parse_order({**QUERIED, "origQty": "0", "closePosition": None})

    assert order.close_position
