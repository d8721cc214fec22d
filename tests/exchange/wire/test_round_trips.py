"""Values rendered by the sandbox are parsed back unchanged, through real JSON text."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.enums import OrderStatus
from src.domain.errors import InvariantError
from src.domain.events import AccountUpdate, LeverageChanged, MarginCall
from src.domain.instrument import Instrument
from src.domain.market import Liquidation, MarkPrice, Quote
from src.domain.orders import Fill, OrderRequest, OrderUpdate
from src.domain.positions import AccountSummary, Balance, Income, PositionReport
from src.exchange import wire
from tests.exchange.wire import values


def sent(body: object) -> object:
    """Return the body after a trip through JSON text."""
    return wire.read_json(json.dumps(body))


@given(values.liquidations | values.quotes | values.mark_prices)
def test_market_events(event: Liquidation | Quote | MarkPrice) -> None:
    assert wire.parse_event(sent(wire.render_event(event)), values.RECEIVED_AT) == event


@given(values.order_events)
def test_order_events(event: OrderUpdate) -> None:
    assert wire.parse_event(sent(wire.render_event(event)), values.RECEIVED_AT) == event


@given(values.account_updates | values.configurations | values.expiries)
def test_account_events(
    event: AccountUpdate | LeverageChanged | wire.AccountModeChanged | wire.ListenKeyExpired,
) -> None:
    assert wire.parse_event(sent(wire.render_event(event)), values.RECEIVED_AT) == event


@given(st.lists(st.tuples(values.position_reports, values.amounts)), values.instants)
def test_margin_calls(positions: list[tuple[PositionReport, Decimal]], at: int) -> None:
    call = wire.parse_event(sent(wire.render_margin_call(positions, at)), values.RECEIVED_AT)

    expected = tuple((report.symbol, report.position_side) for report, _ in positions)
    assert call == MarginCall(expected, at)


@given(values.instruments)
def test_instruments(instrument: Instrument) -> None:
    assert wire.parse_instrument(sent(wire.render_instrument(instrument))) == instrument


@given(values.quotes)
def test_book_tickers(quote: Quote) -> None:
    assert wire.parse_book_ticker(sent(wire.render_book_ticker(quote)), values.RECEIVED_AT) == quote


@given(values.quotes)
def test_depth(quote: Quote) -> None:
    bids, asks = [(quote.bid, quote.bid_quantity)], [(quote.ask, quote.ask_quantity)]
    body = sent(wire.render_depth(bids, asks, 7, quote.at))
    assert wire.parse_depth(body, quote.symbol, values.RECEIVED_AT) == quote


@given(values.mark_prices)
def test_premium_index(mark: MarkPrice) -> None:
    assert wire.parse_premium_index(sent(wire.render_premium_index(mark)), values.RECEIVED_AT) == mark


@given(st.lists(st.tuples(values.instants, *[values.amounts] * 5)))
def test_klines(candles: list[wire.Candle]) -> None:
    assert wire.parse_klines(sent([wire.render_kline(each, each[0] + 59_999) for each in candles])) == candles


@given(values.requests)
def test_order_requests(request: OrderRequest) -> None:
    assert wire.parse_order_request(wire.render_order_request(request)) == request


@given(values.orders)
def test_orders(order: OrderUpdate) -> None:
    assert wire.parse_order(sent(wire.render_order(order))) == order


@given(values.fills)
def test_fills(fill: Fill) -> None:
    assert wire.parse_fill(sent(wire.render_fill(fill)), fill.client_order_id) == fill


@given(values.position_reports)
def test_positions(report: PositionReport) -> None:
    assert wire.parse_position(sent(wire.render_position(report))) == report


@given(values.balances, values.amounts)
def test_balances(balance: Balance, available: Decimal) -> None:
    assert wire.parse_balance(sent(wire.render_balance(balance, available))) == balance


@given(values.accounts, st.lists(values.balances), st.lists(values.position_reports, max_size=3))
def test_accounts(account: AccountSummary, balances: list[Balance], positions: list[PositionReport]) -> None:
    body = sent(wire.render_account(account, balances, positions))
    assert wire.parse_account(body) == account
    assert wire.parse_account_balances(body) == tuple(balances)


@given(values.incomes)
def test_incomes(income: Income) -> None:
    assert wire.parse_income(sent(wire.render_income(income))) == income


@given(st.booleans())
def test_modes(mode: bool) -> None:
    assert wire.parse_position_mode(sent(wire.render_position_mode(mode))) is mode
    assert wire.parse_multi_assets_mode(sent(wire.render_multi_assets_mode(mode))) is mode


@given(st.integers(), st.text())
def test_errors(code: int, message: str) -> None:
    error = wire.ErrorBody(code, message)
    assert wire.parse_error(sent(wire.render_error(error))) == error


@given(values.orders, st.sampled_from([OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL]))
def test_local_only_status_is_never_rendered(order: OrderUpdate, status: OrderStatus) -> None:
    with pytest.raises(InvariantError):
        wire.render_order(replace(order, status=status))
