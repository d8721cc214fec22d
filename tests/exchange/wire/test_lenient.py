"""Items with unrecognized values do not hide the others, and keep the fields that could be read."""

from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.enums import MarginType, PositionSide
from src.domain.errors import ProtocolError
from src.domain.events import AccountUpdate
from src.domain.orders import UnrecognizedOrder, UnrecognizedPosition
from src.exchange import wire
from src.exchange.wire import Body
from tests.builders import NOW, a_report, an_update

WEB = an_update(client_order_id="web-1", order_id=9)


def an_order(**changes: object) -> Body:
    return {**wire.render_order(WEB), **changes}


@pytest.mark.parametrize(
    ("key", "word", "fault"),
    [
        ("type", "ICEBERG", "invalid type: 'ICEBERG'"),
        ("origType", "ICEBERG", "invalid origType: 'ICEBERG'"),
        ("status", "SUSPENDED", "invalid status: 'SUSPENDED'"),
        ("status", "PENDING_NEW", "PENDING_NEW is not an exchange status"),
        ("positionSide", "NEITHER", "invalid positionSide: 'NEITHER'"),
        ("origQty", "many", "not a number: 'many'"),
    ],
)
def test_unrecognized_order_does_not_hide_the_rest(key: str, word: str, fault: str) -> None:
    known, unrecognized = wire.read_orders([an_order(**{key: word}), wire.render_order(an_update(order_id=10))])

    assert [order.order_id for order in known] == [10]
    assert [(order.symbol, order.client_order_id, order.order_id) for order in unrecognized] == [
        ("BTCUSDT", "web-1", 9)
    ]
    assert unrecognized[0].problem == fault
    assert not unrecognized[0].is_ours


def test_unrecognized_order_keeps_its_raw_values() -> None:
    _, (unrecognized,) = wire.read_orders([an_order(type="ICEBERG", price="x", side=None, status="\u202e" * 10_000)])

    assert (unrecognized.type, unrecognized.side, unrecognized.price) == ("ICEBERG", "", None)
    assert unrecognized.quantity == WEB.quantity
    assert len(unrecognized.status) <= 80
    assert len(unrecognized.problem) <= 80


@pytest.mark.parametrize("broken", [{"symbol": None}, {"clientOrderId": 7}, {"orderId": "none"}, {"orderId": None}])
def test_order_without_ids_fails_the_list(broken: Body) -> None:
    with pytest.raises(ProtocolError):
        wire.read_orders([an_order(type="ICEBERG", **broken)])


@pytest.mark.parametrize("payload", [{}, None, [5], "x"])
def test_non_list_raises(payload: object) -> None:
    with pytest.raises(ProtocolError):
        wire.read_orders(payload)
    with pytest.raises(ProtocolError):
        wire.read_positions(payload)


def a_position(**changes: object) -> Body:
    return {**wire.render_position(replace(a_report("0.5", 50_000), symbol="ETHUSDT")), **changes}


def test_unknown_position_side_does_not_hide_the_rest() -> None:
    ours = a_report("0.01", 50_000)
    known, unrecognized = wire.read_positions([a_position(positionSide="NEITHER"), wire.render_position(ours)])

    assert known == (ours,)
    assert unrecognized == (UnrecognizedPosition("ETHUSDT", "invalid positionSide: 'NEITHER'", is_flat=False),)


@pytest.mark.parametrize(("amount", "is_flat"), [("0", True), ("0.000", True), ("-1", False), ("x", False)])
def test_unrecognized_position_is_flat_only_with_zero_amount(amount: str, is_flat: bool) -> None:
    _, (unrecognized,) = wire.read_positions([a_position(positionSide="NEITHER", positionAmt=amount)])

    assert unrecognized.is_flat is is_flat


def test_unknown_margin_type_keeps_the_position() -> None:
    (report,), unrecognized = wire.read_positions([a_position(marginType="portfolio")])

    assert (report.symbol, report.quantity, report.margin_type, unrecognized) == ("ETHUSDT", Decimal("0.5"), None, ())


@pytest.mark.parametrize("broken", [{"positionAmt": None}, {"positionSide": 5}, {"leverage": "x"}, {"leverage": "0"}])
def test_incomplete_position_is_unrecognized(broken: Body) -> None:
    known, unrecognized = wire.read_positions([a_position(**broken)])

    assert known == ()
    assert [each.symbol for each in unrecognized] == ["ETHUSDT"]


def test_position_without_symbol_fails_the_list() -> None:
    with pytest.raises(ProtocolError):
        wire.read_positions([a_position(symbol=None)])


def account_event(**changes: object) -> AccountUpdate:
    known: Body = {"s": "BTCUSDT", "pa": "0.01", "ep": "50000", "up": "0", "mt": "isolated", "iw": "0", "ps": "LONG"}
    event = {
        "e": "ACCOUNT_UPDATE",
        "E": NOW,
        "T": NOW,
        "a": {"m": "ORDER", "B": [], "P": [{**known, **changes}, known]},
    }
    update = wire.parse_event(event, NOW)
    assert isinstance(update, AccountUpdate)
    return update


def test_account_event_keeps_what_is_recognized() -> None:
    update = account_event(s="ETHUSDT", ps="NEITHER")

    assert [change.position.symbol for change in update.positions] == ["BTCUSDT"]
    assert [each.symbol for each in update.unrecognized] == ["ETHUSDT"]
    assert account_event(mt="portfolio").positions[0].margin_type is None
    assert account_event().positions[0].margin_type is MarginType.ISOLATED
    assert account_event().positions[0].position.position_side is PositionSide.LONG


def test_unrecognized_order_is_identified_by_symbol_and_id() -> None:
    assert UnrecognizedOrder("BTCUSDT", "web-1", 9, "?").number == ("BTCUSDT", 9)
    assert UnrecognizedOrder("BTCUSDT", "lh-abc123-s1", 9, "?").is_ours
