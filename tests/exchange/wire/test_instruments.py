"""Symbol filters of real symbols, and rate limits."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from src.domain.errors import ProtocolError
from src.domain.instrument import Instrument
from src.exchange import wire
from tests import builders
from tests.exchange.wire.values import an_instrument
from tests.recorded import EXAMPLES

NOW_MS = 1_700_000_000_000


def test_real_symbols_are_parsed() -> None:
    payload = wire.read_json((EXAMPLES / "symbols_aster.json").read_text(encoding="utf-8"))

    bitcoin, aster = map(wire.parse_instrument, wire.parse_symbols(payload))

    assert (bitcoin.tick, bitcoin.min_price, bitcoin.step) == (Decimal("0.1"), Decimal(1), Decimal("0.001"))
    assert (bitcoin.market_max_quantity, bitcoin.min_notional) == (Decimal(10), Decimal(5))
    assert (bitcoin.max_orders, bitcoin.max_conditional_orders) == (200, 10)
    assert (bitcoin.trigger_protect, bitcoin.market_take_bound) == (Decimal("0.02"), Decimal("0.02"))
    assert (aster.price_precision, aster.quantity_precision, aster.max_orders) == (5, 2, 200)
    assert (aster.multiplier_up, aster.multiplier_down) == (Decimal("1.05"), Decimal("0.95"))
    assert aster.is_trading


def test_real_exchange_info_is_parsed() -> None:
    text = (EXAMPLES / "symbols_binance.json").read_text(encoding="utf-8")

    instruments = [wire.parse_instrument(each) for each in wire.parse_symbols(wire.read_json(text))]

    assert len({each.symbol for each in instruments}) == 122
    assert all(each.tick > 0 and each.step > 0 for each in instruments)


def test_missing_filter_is_named() -> None:
    rendered = wire.render_instrument(an_instrument())
    filters = [each for each in wire.Fields(rendered).items("filters") if "PERCENT_PRICE" not in str(each)]

    with pytest.raises(ProtocolError, match="PERCENT_PRICE"):
        wire.parse_instrument({**rendered, "filters": filters})


@pytest.mark.parametrize(
    "broken",
    [
        replace(an_instrument(), tick=Decimal(0)),
        replace(an_instrument(), step=Decimal(0)),
        replace(an_instrument(), market_step=Decimal(0)),
    ],
)
def test_zero_step_or_tick_is_rejected(broken: Instrument) -> None:
    """Prices and quantities are divided by it: a filter of 0 must not stop the bot."""
    with pytest.raises(ProtocolError, match="invalid"):
        wire.parse_instrument(wire.render_instrument(broken))


def test_exchange_info_has_rate_limits() -> None:
    info = wire.render_exchange_info([an_instrument()], NOW_MS)

    limits = [(each.text("rateLimitType"), each.integer("limit")) for each in wire.Fields(info).children("rateLimits")]
    assert limits == [("REQUEST_WEIGHT", 2400), ("ORDERS", 1200)]
    assert [wire.parse_instrument(each) for each in wire.parse_symbols(info)] == [an_instrument()]


@pytest.mark.parametrize(
    ("payload", "limits"),
    [
        (wire.render_exchange_info([], 0), (2400, 1200)),
        (
            {"rateLimits": [{"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 600}]},
            (None, 600),
        ),
        (
            {"rateLimits": [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300}]},
            (None, None),
        ),
        (
            {"rateLimits": [{"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": "x"}, 7]},
            (None, None),
        ),
        ({"rateLimits": "none"}, (None, None)),
        ([], (None, None)),
    ],
)
def test_rate_limits_are_parsed(payload: object, limits: tuple[int | None, int | None]) -> None:
    assert wire.parse_rate_limits(payload) == limits


UNUSED = (
    *("liquidationFee", "marketTakeBound", "triggerProtect", "pricePrecision", "quantityPrecision", "baseAsset"),
    *("maxPrice", "MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS"),
)


@pytest.mark.parametrize("name", UNUSED)
def test_rules_that_the_bot_does_not_use_may_be_missing(name: str) -> None:
    text = json.dumps(wire.render_instrument(builders.an_instrument())).replace(f'"{name}"', f'"x{name}"')

    found = wire.parse_instrument(wire.read_json(text))

    assert replace(found, base_asset="BTC", max_price=Decimal(1_000_000)) == builders.an_instrument()


def test_symbol_that_lacks_a_rule_is_named_with_its_status() -> None:
    entry = {**wire.render_instrument(builders.an_instrument()), "filters": [], "status": "SETTLING"}
    other = wire.render_instrument(builders.an_instrument(symbol="ETHUSDT"))

    listed = wire.parse_instrument_list({"symbols": [entry, other, {"status": "TRADING"}, 7]})

    assert listed.instruments.keys() == {"ETHUSDT"}
    [gap] = listed.incomplete
    assert (gap.symbol, gap.status) == ("BTCUSDT", "SETTLING")
    assert gap.problem.startswith("filter PRICE_FILTER, LOT_SIZE")


def test_symbol_without_a_quote_asset_is_incomplete() -> None:
    """Its wallet would be that of no asset: empty."""
    body = {**wire.render_instrument(an_instrument()), "quoteAsset": ""}
    listed = wire.parse_instrument_list({"symbols": [body]})
    assert listed.instruments == {}
    assert [each.problem for each in listed.incomplete] == ["invalid quoteAsset: ''"]


@pytest.mark.parametrize("payload", [{}, {"symbols": []}, {"symbols": {}}, {"symbols": [{}]}, []])
def test_list_without_symbols_is_no_list(payload: object) -> None:
    with pytest.raises(ProtocolError):
        wire.parse_instrument_list(payload)
