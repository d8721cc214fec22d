"""Account events of the user data stream, in the documented shapes."""

from decimal import Decimal

import pytest

from src.domain.enums import MarginType, PositionSide
from src.domain.events import AccountUpdate, LeverageChanged, MarginCall
from src.domain.positions import AccountSummary, Balance, Income
from src.exchange import wire
from src.exchange.wire import Body
from tests import builders

NOW_MS = 1_700_000_000_000


def account_update(content: Body) -> AccountUpdate:
    event = wire.parse_event({"e": "ACCOUNT_UPDATE", "E": 9, "T": 8, "a": content}, NOW_MS)
    assert isinstance(event, AccountUpdate)
    return event


def test_crossed_funding_update_has_no_position() -> None:
    update = account_update({"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "10.5", "cw": "10", "bc": "-0.25"}]})

    assert (update.reason, update.balances[0].change, update.positions) == ("FUNDING_FEE", Decimal("-0.25"), ())
    assert update.balances[0].wallet_balance == Decimal("10.5")
    assert (update.changed_at, update.event_at) == (8, 9)


def test_each_balance_has_its_own_change() -> None:
    """Amounts of different assets are never one number."""
    update = account_update(
        {"m": "COIN_SWAP_DEPOSIT", "B": [
            {"a": "USDT", "wb": "1", "cw": "1", "bc": "-100"}, {"a": "ASTER", "wb": "2", "cw": "2", "bc": "120"},
            {"a": "USDC", "wb": "3", "cw": "3"},
        ]}
    )  # fmt: skip

    changes = [(each.asset, each.change) for each in update.balances]
    assert changes == [("USDT", Decimal(-100)), ("ASTER", Decimal(120)), ("USDC", Decimal(0))]


@pytest.mark.parametrize(("written", "read"), [("2059192", 2059192), ("", None), (None, None), (77, 77)])
def test_income_names_its_trade_if_there_is_one(written: object, read: int | None) -> None:
    payload = wire.render_income(Income(1, "BTCUSDT", "COMMISSION", "USDT", Decimal("-0.1"), 5))
    assert wire.parse_income({**payload, "tradeId": written}).trade_id == read
    del payload["tradeId"]
    assert wire.parse_income(payload).trade_id is None


def test_account_update_with_only_a_position() -> None:
    update = account_update(
        {"m": "MARGIN_TYPE_CHANGE", "P": [
            {"s": "BTCUSDT", "pa": "-10", "ep": "6563.86", "cr": "-45.04", "up": "-1423.15", "mt": "isolated",
             "iw": "6570.4", "ps": "SHORT"},
        ]}
    )  # fmt: skip

    assert update.balances == ()
    [change] = update.positions
    assert change.position.quantity == Decimal(-10)
    assert (change.position.position_side, change.margin_type) == (PositionSide.SHORT, MarginType.ISOLATED)


def test_leverage_and_mode_events_are_parsed() -> None:
    leverage = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "BTCUSDT", "l": 25}}
    modes = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ai": {"j": True, "f": True, "d": False}}

    assert wire.parse_event(leverage, NOW_MS) == LeverageChanged("BTCUSDT", 25, 1)
    assert wire.parse_event(modes, NOW_MS) == wire.AccountModeChanged(True, False, 1)


def test_margin_call_is_parsed() -> None:
    call = {
        "e": "MARGIN_CALL",
        "E": 5,
        "cw": "3.16",
        "p": [{"s": "ETHUSDT", "ps": "LONG", "pa": "1.3", "mt": "CROSSED"}],
    }

    assert wire.parse_event(call, NOW_MS) == MarginCall((("ETHUSDT", PositionSide.LONG),), 5)


def test_margin_call_with_unknown_position_side_is_parsed() -> None:
    call = {"e": "MARGIN_CALL", "E": 5, "p": [{"s": "ETHUSDT", "ps": "NEITHER"}, {"s": "BTCUSDT", "ps": "LONG"}]}

    assert wire.parse_event(call, NOW_MS) == MarginCall((("ETHUSDT", None), ("BTCUSDT", PositionSide.LONG)), 5)


def test_expired_listen_key_event_is_parsed() -> None:
    assert wire.parse_event({"e": "listenKeyExpired", "E": 3}, NOW_MS) == wire.ListenKeyExpired(3)


@pytest.mark.parametrize("word", ["isolated", "cross", "CROSSED", "ISOLATED", "crossed"])
def test_margin_type_spellings_are_parsed(word: str) -> None:
    position = {
        "entryPrice": "0.00000", "marginType": word, "isolatedMargin": "0", "leverage": "10",
        "liquidationPrice": "0", "markPrice": "6679.5", "maxNotionalValue": "20000000", "positionAmt": "0.000",
        "symbol": "BTCUSDT", "unRealizedProfit": "0", "positionSide": "BOTH", "updateTime": 0,
    }  # fmt: skip

    report = wire.parse_position(position)

    assert str(report.margin_type).lower().startswith(word.lower()[:5])
    assert report.leverage == 10


FULL_POSITION = wire.render_position(builders.a_report("0.5", 50_000))


@pytest.mark.parametrize("key", ["unRealizedProfit", "isolatedMargin", "liquidationPrice", "markPrice", "updateTime"])
@pytest.mark.parametrize("value", ["", None, "x"])
def test_position_needs_only_what_the_bot_uses(key: str, value: object) -> None:
    report = wire.parse_position({**FULL_POSITION, key: value})

    assert (report.quantity, report.entry_price, report.leverage) == (Decimal("0.5"), Decimal(50_000), 10)


@pytest.mark.parametrize("value", ["0", "0.0", "-1", "", None])
def test_entry_price_that_cannot_be_true_is_not_known(value: object) -> None:
    report = wire.parse_position({**FULL_POSITION, "entryPrice": value})
    change = {"s": "BTCUSDT", "pa": "0.01", "ep": value, "ps": "LONG"}
    event = {"e": "ACCOUNT_UPDATE", "E": 5, "a": {"B": [{"a": "USDT", "wb": "9"}, {"a": "X"}], "P": [change]}}
    update = wire.parse_event(event, NOW_MS)

    assert report.position.is_entry_unknown
    assert isinstance(update, AccountUpdate)
    assert update.positions[0].position.is_entry_unknown
    assert (update.changed_at, [each.asset for each in update.balances]) == (5, ["USDT"])


def test_totals_that_follow_from_others_may_be_missing() -> None:
    account = wire.parse_account({"totalWalletBalance": "100", "totalUnrealizedProfit": "-5"})

    assert (account.margin_balance, account.available_balance) == (Decimal(95), Decimal(95))


@pytest.mark.parametrize("event", [{"e": "MARGIN_CALL"}, {"e": "MARGIN_CALL", "E": 1, "p": [{"ps": "LONG"}]}])
def test_margin_call_is_never_lost(event: Body) -> None:
    assert isinstance(wire.parse_event(event, NOW_MS), MarginCall)


@pytest.mark.parametrize("written", [None, "", "many", True])
def test_balance_that_cannot_be_read_is_reported(written: object) -> None:
    nine, zero = Decimal(9), Decimal(0)
    balances = [Balance("USDC", zero, zero), Balance("USDT", nine, nine)]
    body = wire.render_account(AccountSummary(nine, zero, nine, nine, zero, zero), balances, [])
    assert not wire.has_unreadable_balance(body)
    usdc, usdt = wire.read_list(body["assets"])
    assert isinstance(usdt, dict)
    body["assets"] = [usdc, {**usdt, "walletBalance": written}]
    assert [each.asset for each in wire.parse_account_balances(body)] == ["USDC"]
    assert wire.has_unreadable_balance(body)
