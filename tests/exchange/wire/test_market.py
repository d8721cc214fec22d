"""Liquidations, order books and candles, as documented and as captured."""

import json
from decimal import Decimal

import pytest

from src.domain.enums import Side
from src.domain.errors import ProtocolError
from src.domain.market import Liquidation, MarkPrice, Quote
from src.exchange import wire
from src.exchange.wire import Body
from tests.builders import a_quote
from tests.recorded import recorded_frames

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(("venue", "symbol"), [("aster", "PAIRUSDT"), ("binance", "ILVUSDT")])
def test_captured_liquidations_are_parsed(venue: str, symbol: str) -> None:
    frames = {each["exchange"]: json.dumps(each["frame"]) for each in recorded_frames()}

    event = wire.parse_event(wire.read_json(frames[venue]), NOW_MS)

    assert isinstance(event, Liquidation)
    assert (event.symbol, event.side, event.received_at) == (symbol, Side.SELL, NOW_MS)
    assert event.notional == event.filled_quantity * event.average_price


def force_order(**changes: object) -> Body:
    order: Body = {
        "s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9900", "ap": "9910",
        "X": "FILLED", "l": "0.010", "z": "0.012", "T": 1568014460893,
    }  # fmt: skip
    kept = {key: value for key, value in {**order, **changes}.items() if value is not None}
    return {"e": "forceOrder", "E": 1568014460999, "o": kept}


@pytest.mark.parametrize(
    ("changes", "notional"),
    [
        ({}, "118.92"),
        ({"ap": "0", "z": "0"}, "138.6"),
        ({"ap": None, "z": None}, "138.6"),
        ({"ps": "BTCUSDT", "st": 1, "new": {}}, "118.92"),
    ],
)
def test_liquidation_notional(changes: Body, notional: str) -> None:
    event = wire.parse_event(force_order(**changes), NOW_MS)

    assert isinstance(event, Liquidation)
    assert event.notional == Decimal(notional)


@pytest.mark.parametrize(
    "book",
    [
        {"bids": [], "asks": [["1", "1"]], "T": 1},
        {"bids": [["1"]], "asks": [["1", "1"]], "T": 1},
        {"bids": [["0", "1"]], "asks": [["1", "1"]], "T": 1},
        {"bids": 5, "asks": [], "T": 1},
    ],
)
def test_invalid_depth_raises(book: Body) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_depth(book, "BTCUSDT", NOW_MS)


@pytest.mark.parametrize("quote", [a_quote(bid=0), a_quote(ask=0)])
def test_quote_with_an_empty_side_raises(quote: Quote) -> None:
    """A limit price computed from such a spread would be far off the market."""
    with pytest.raises(ProtocolError, match="invalid"):
        wire.parse_event(wire.render_event(quote), NOW_MS)


@pytest.mark.parametrize("row", [[], ["1", "1", "1", "1", "1", "1"], [1, "1"], {}, [1, "x", "1", "1", "1", "1"]])
def test_invalid_candle_raises(row: object) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_klines([row])


@pytest.mark.parametrize(
    "changes",
    [
        {"o": "ADL_LIMIT"}, {"o": None}, {"f": "GTD"}, {"f": ""}, {"X": None}, {"ap": ""}, {"z": "none"}, {"l": None},
        {"T": None}, {"p": "0"}, {"q": None}, {"p": None}, {"q": ""},
    ],
)  # fmt: skip
def test_detail_that_decides_nothing_costs_no_liquidation(changes: Body) -> None:
    event = wire.parse_event(force_order(**changes), NOW_MS)

    assert isinstance(event, Liquidation)
    assert event.notional > 0
    assert event.traded_at > 0


@pytest.mark.parametrize(
    "changes",
    [{"s": None}, {"s": ""}, {"S": "sell"}, {"ap": "0", "p": "0"}, {"z": "0", "q": "-1"}, {"ap": "", "p": ""}],
)
def test_liquidation_without_symbol_side_price_or_quantity_raises(changes: Body) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_event(force_order(**changes), NOW_MS)


def mark_price(**changes: object) -> Body:
    frame = {"e": "markPriceUpdate", "E": 7, "s": "BTCUSDT", "p": "50000", "i": "50001", "r": "0.0001", "T": 9}
    return {**frame, **changes}


@pytest.mark.parametrize("key", ["r", "i", "T", "E"])
@pytest.mark.parametrize("value", ["", None, "x", [], "0"])
def test_mark_needs_only_its_symbol_and_price(key: str, value: object) -> None:
    event = wire.parse_event(mark_price(**{key: value}), NOW_MS)

    assert isinstance(event, MarkPrice)
    assert (event.symbol, event.price) == ("BTCUSDT", Decimal(50_000))


@pytest.mark.parametrize("value", ["0", "-1", "", None, "NaN"])
def test_mark_price_that_cannot_be_true_is_not_taken(value: object) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_event(mark_price(p=value), NOW_MS)
    with pytest.raises(ProtocolError):
        wire.parse_premium_index({"symbol": "BTCUSDT", "markPrice": value}, NOW_MS)


def test_quote_needs_only_its_symbol_and_prices() -> None:
    event = wire.parse_event({"e": "bookTicker", "s": "BTCUSDT", "b": "1", "B": "", "a": "2", "T": ""}, NOW_MS)

    assert event == Quote("BTCUSDT", Decimal(1), Decimal(0), Decimal(2), Decimal(0), at=NOW_MS, received_at=NOW_MS)
