"""Income history: funding and transfers are read until they are complete, and transfers are no result."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.database.queries.fills import net_since
from src.domain.commands import FetchIncome
from src.domain.enums import IncomeType, PositionSide
from src.domain.events import AccountUpdate, CommandFailed, FillsFetched, IncomeFetched, Stream, StreamDown, StreamUp
from src.domain.positions import Balance, Income
from tests.builders import a_fill, a_mark, a_position, some_settings
from tests.core.harness import Harness

D = Decimal
FUNDING, TRANSFER = IncomeType.FUNDING_FEE, IncomeType.TRANSFER


@pytest.fixture
def limited(path: Path) -> Iterator[Harness]:
    """A bot with a drawdown limit of 5 % and a peak of 1,000."""
    harness = Harness(path, some_settings({"max_drawdown_pct": 5})).connect()
    yield harness
    harness.close()


def requests(harness: Harness, kind: IncomeType = FUNDING) -> list[FetchIncome]:
    return [each for each in harness.commands_of(FetchIncome) if each.type is kind]


def an_income(harness: Harness, number: int, amount: str, kind: IncomeType = FUNDING, **changes: Any) -> Income:
    symbol = "" if kind is TRANSFER else "BTCUSDT"
    return replace(Income(number, symbol, kind.value, "USDT", D(amount), harness.now), **changes)


def announce(harness: Harness, reason: str, wallet: str, change: str, asset: str = "USDT") -> None:
    update = harness.account_update(reason=reason)
    harness.feed(replace(update, balances=(Balance(asset, D(wallet), D(wallet), D(change)),)))


def funding_payments(harness: Harness) -> list[tuple[str, str | None]]:
    rows = harness.rows("SELECT amount, dollar_value FROM funding_payments ORDER BY transaction_id")
    return [(row["amount"], row["dollar_value"]) for row in rows]


def test_funding_that_the_history_lacks_is_asked_for_again_until_found(harness: Harness) -> None:
    harness.open_position()
    harness.answer_income(FUNDING)
    before = len(requests(harness))
    announce(harness, "FUNDING_FEE", "999.5", "-0.5")
    assert len(requests(harness)) == before + 1
    harness.answer_income(FUNDING)  # not in the history yet
    harness.wait(5_000)
    assert len(requests(harness)) == before + 2
    harness.answer_income(FUNDING, an_income(harness, 1, "-0.1", symbol="ETHUSDT", paid_at=harness.now - 3_600_000))
    harness.wait(15_000)
    assert len(requests(harness)) == before + 3
    harness.answer_income(FUNDING, an_income(harness, 2, "-0.5"))
    harness.wait(120_000)
    assert len(requests(harness)) == before + 3
    assert ("-0.5", "-0.5") in funding_payments(harness)


@pytest.mark.parametrize("cause", ["failed", "never answered"])
def test_funding_read_that_fails_is_repeated_with_growing_pauses(harness: Harness, cause: str) -> None:
    harness.answer_income(FUNDING)
    announce(harness, "FUNDING_FEE", "999.5", "-0.5")
    before = len(requests(harness))
    if cause == "failed":
        harness.feed(CommandFailed(requests(harness)[-1], 503, "HTTP 503", harness.now))
        harness.wait(5_000)
        assert len(requests(harness)) == before + 1
        harness.feed(CommandFailed(requests(harness)[-1], 503, "HTTP 503", harness.now))
        harness.wait(14_000)
        assert len(requests(harness)) == before + 1
    harness.wait(61_000)
    assert len(requests(harness)) > before
    harness.answer_income(FUNDING, an_income(harness, 2, "-0.5", paid_at=harness.now - 60_000))
    assert funding_payments(harness) == [("-0.5", "-0.5")]


def test_search_for_funding_ends_with_one_alert(harness: Harness) -> None:
    announce(harness, "FUNDING_FEE", "999.5", "-0.5")
    for _ in range(20):
        harness.answer_income(FUNDING)
    alerts = [each["message"] for each in harness.journal("alert") if "funding" in each["message"]]
    assert len(alerts) == 1
    assert alerts[0].startswith("the funding of -0.5 USDT is not in the exchange's income history")


def test_payments_of_several_positions_are_each_found(harness: Harness) -> None:
    """Two updates of the same amount need two rows; one update may be the sum of several rows."""
    harness.answer_income(FUNDING)
    announce(harness, "FUNDING_FEE", "999.9", "-0.1")
    announce(harness, "FUNDING_FEE", "999.8", "-0.1")
    announce(harness, "FUNDING_FEE", "999.0", "-0.8")
    first = an_income(harness, 1, "-0.1")
    before = len(requests(harness))
    harness.answer_income(FUNDING, first)
    harness.wait(5_000)
    assert len(requests(harness)) == before + 1
    rest = [an_income(harness, number, amount) for number, amount in ((2, "-0.1"), (3, "-0.3"), (4, "-0.5"))]
    harness.answer_income(FUNDING, first, *rest)
    harness.wait(60_000)
    assert len(requests(harness)) == before + 1


def test_funding_in_another_asset_counts_by_its_mark(harness: Harness) -> None:
    harness.feed(a_mark(2, symbol="ASTERUSDT", at=harness.now, received_at=harness.now))
    announce(harness, "FUNDING_FEE", "5", "-3", "ASTER")
    harness.answer_income(FUNDING, an_income(harness, 1, "-3", asset="ASTER"), an_income(harness, 2, "-1", asset="XYZ"))
    assert funding_payments(harness) == [("-3", "-6"), ("-1", None)]


def test_hedge_mode_counts_no_funding_of_a_persons_other_side(harness: Harness) -> None:
    """A row names no side: of the two payments for the bot's long and a person's short position none is counted."""
    harness.open_position()
    harness.clock.advance(1000)
    harness.answer_income(FUNDING, an_income(harness, 1, "-0.4"))
    harness.feed(harness.account_update(a_position("-0.03", side=PositionSide.SHORT)))
    harness.clock.advance(2000)
    harness.answer_income(FUNDING, an_income(harness, 2, "-0.5"), an_income(harness, 3, "1.5"))
    rows = harness.rows("SELECT amount, is_external FROM funding_payments ORDER BY transaction_id")
    assert [(row["amount"], bool(row["is_external"])) for row in rows] == [
        ("-0.4", False),
        ("-0.5", True),
        ("1.5", True),
    ]
    [warning] = [each["message"] for each in harness.journal("alert") if "counts in no result" in each["message"]]
    assert warning.startswith("funding of -0.5 USDT for BTCUSDT")


def is_locked(harness: Harness) -> bool:
    return harness.context.trading_status.reason.startswith("locked")


@pytest.mark.parametrize(
    "reason", ["WITHDRAW", "ADMIN_WITHDRAW", "ASSET_TRANSFER", "COIN_SWAP_WITHDRAW", "", "NEW_WORD"]
)
def test_withdrawal_is_no_drawdown(limited: Harness, reason: str) -> None:
    announce(limited, reason, "400", "-600")
    limited.wait(1_000)
    limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))
    limited.answer_income(TRANSFER, an_income(limited, 7, "-600", TRANSFER))
    limited.wait(120_000)
    assert not is_locked(limited)
    announce(limited, "ORDER", "379", "0")  # 5.25 % below 400
    limited.wait(1_000)
    assert is_locked(limited)


def test_funding_under_an_unknown_word_is_read(harness: Harness) -> None:
    harness.answer_income(FUNDING)
    before = len(requests(harness))
    announce(harness, "NEW_WORD", "999.5", "-0.5")
    assert len(requests(harness)) == before + 1
    announce(harness, "ADJUSTMENT", "999.4", "-0.1")
    assert harness.context.transfers == D("-0.5")


def test_deposit_is_no_profit(limited: Harness) -> None:
    """The peak is raised by the deposit once, not a second time by its row in the history."""
    announce(limited, "DEPOSIT", "3000", "2000")
    limited.wait(1_000)
    limited.snapshot(balances=(Balance("USDT", D(3000), D(3000)),))
    limited.answer_income(TRANSFER, an_income(limited, 7, "2000", TRANSFER))
    limited.wait(1_000)
    announce(limited, "ORDER", "2851", "0")
    limited.wait(1_000)
    assert not is_locked(limited)
    announce(limited, "ORDER", "2850", "0")
    limited.wait(1_000)
    assert is_locked(limited)


def test_transfer_while_the_bot_was_down_is_no_drawdown(limited: Harness) -> None:
    again = limited.restart()
    again.clock.advance(3_600_000)
    moved_at = again.now - 1_800_000
    again.prices()
    again.snapshot(balances=(Balance("USDT", D(500), D(500)),))
    again.audit()
    assert not is_locked(again)  # the history has not been read yet
    assert requests(again, TRANSFER)[0].since_ms < moved_at
    again.answer_income(TRANSFER, an_income(again, 9, "-500", TRANSFER, paid_at=moved_at))
    again.wait(2_000)
    assert not is_locked(again)
    assert json.loads(again.rows("SELECT value FROM bot_state WHERE key = 'loss_lock'")[0]["value"])["peak"] == "500"
    third = again.restart()
    third.prices()
    third.snapshot(balances=(Balance("USDT", D(500), D(500)),))
    third.answer_income(TRANSFER, an_income(third, 9, "-500", TRANSFER, paid_at=moved_at))
    third.wait(2_000)
    assert not is_locked(third)
    third.close()


def test_deposit_just_before_the_first_start_is_no_drawdown(path: Path) -> None:
    """The wallet that was seen first contains it already."""
    harness = Harness(path, some_settings({"max_drawdown_pct": 10})).connect()
    deposit = an_income(harness, 9, "1000", TRANSFER, paid_at=harness.now - 20_000)
    harness.answer_income(TRANSFER, deposit)
    harness.wait(2_000)
    assert (harness.context.transfers, is_locked(harness)) == (D(0), False)
    again = harness.restart().connect()
    again.answer_income(TRANSFER, deposit)
    again.wait(2_000)
    assert (again.context.transfers, is_locked(again)) == (D(0), False)


def test_withdrawal_that_only_the_account_shows_is_no_drawdown(limited: Harness) -> None:
    """Its event is late or lost, though the stream is up."""
    limited.wait(2_000)
    limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))
    limited.wait(1_000)
    assert not is_locked(limited)
    limited.answer_income(TRANSFER, an_income(limited, 7, "-600", TRANSFER))
    announce(limited, "WITHDRAW", "400", "-600")  # its late event
    limited.answer_income(TRANSFER, an_income(limited, 7, "-600", TRANSFER))
    limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))
    limited.wait(2_000)
    assert limited.context.transfers == -600
    assert not is_locked(limited)


def test_history_is_read_once_a_minute_while_the_stream_is_down_and_at_its_end(limited: Harness) -> None:
    """The account is read every two seconds then, and each read of the history weighs 30."""
    before = len(requests(limited, TRANSFER))
    limited.feed(StreamDown(Stream.USER, "closed", limited.now))
    for _ in range(45):
        limited.wait(2_000)
        limited.snapshot()
        limited.answer_income(TRANSFER)
    assert len(requests(limited, TRANSFER)) == before + 1
    limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))  # a withdrawal
    limited.wait(1_000)
    assert len(requests(limited, TRANSFER)) == before + 2
    assert not is_locked(limited)
    limited.answer_income(TRANSFER, an_income(limited, 7, "-600", TRANSFER))
    limited.wait(1_000)
    limited.feed(StreamUp(Stream.USER, limited.now))
    for _ in range(3):
        limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))
        limited.wait(1_000)
    assert len(requests(limited, TRANSFER)) == before + 3
    assert not is_locked(limited)


def test_loss_that_only_the_account_shows_is_a_drawdown(limited: Harness) -> None:
    limited.wait(2_000)
    limited.snapshot(balances=(Balance("USDT", D(400), D(400)),))
    limited.answer_income(TRANSFER)
    limited.wait(1_000)
    assert is_locked(limited)


def test_drawdown_counts_again_if_the_history_cannot_be_read(limited: Harness) -> None:
    again = limited.restart()
    again.prices()
    again.snapshot(balances=(Balance("USDT", D(500), D(500)),))
    again.wait(58_000)
    assert not is_locked(again)
    again.wait(3_000)
    assert is_locked(again)
    again.close()


@pytest.mark.parametrize(("amount", "is_explained"), [("-500", True), ("-100", False)])
def test_drawdown_lock_ends_when_the_history_shows_the_withdrawal(
    limited: Harness, amount: str, is_explained: bool
) -> None:
    again = limited.restart()
    again.prices()
    again.snapshot(balances=(Balance("USDT", D(500), D(500)),))
    again.wait(61_000)
    assert is_locked(again)
    again.answer_income(TRANSFER, an_income(again, 9, amount, TRANSFER, paid_at=again.now - 60_000))
    again.wait(2_000)
    assert is_locked(again) is not is_explained
    messages = [each["message"] for each in again.journal("alert")]
    assert any(each.startswith("a transfer explains the drawdown") for each in messages) is is_explained
    again.close()


def test_deposit_in_multi_assets_mode_shifts_the_totals_and_the_peak(path: Path) -> None:
    settings = some_settings({"multi_assets_mode": True, "max_drawdown_pct": 5}, margin_type="CROSSED")
    harness = Harness(path, settings).connect(multi_assets_mode=True)
    harness.feed(a_mark(2, symbol="ASTERUSDT", at=harness.now, received_at=harness.now))
    update: AccountUpdate = harness.account_update(reason="DEPOSIT")
    harness.feed(replace(update, balances=(Balance("ASTER", D(100), D(100), D(100)),)))
    assert harness.context.account is not None
    assert harness.context.account.wallet_balance == 1200
    harness.wait(2_000)
    assert not is_locked(harness)
    assert [each["transfer"] for each in harness.journal("account")] == ["100"]
    harness.feed(IncomeFetched((), harness.now, TRANSFER))
    assert harness.context.transfers == 200
    account = replace(harness.context.account, wallet_balance=D(1190), margin_balance=D(1190))
    harness.snapshot(account=account, multi_assets_mode=True)  # as collateral it is worth less than its mark price
    assert harness.context.transfers == 190
    harness.feed(replace(update, balances=(Balance("ASTER", D(200), D(200), D(100)),), changed_at=harness.now))
    harness.feed(harness.account_update(a_position()))
    harness.clock.advance(1000)
    account = replace(account, wallet_balance=D(1380), margin_balance=D(1380))
    harness.snapshot(account=account, multi_assets_mode=True)
    assert harness.context.transfers == 390  # a position has changed: the difference may be a loss
    harness.close()


def results_of(harness: Harness, kind: IncomeType) -> list[FetchIncome]:
    return [each for each in requests(harness, kind) if each.symbol == "BTCUSDT"]


def complete_results(harness: Harness, since_ms: int) -> None:
    """Let the bot ask for the results of BTCUSDT, as after the end of a position that its fills do not explain."""
    with harness.context.store.transaction():
        harness.trader._account.income.complete_results("BTCUSDT", since_ms)
    harness.sent += harness.context.take_commands()


REALIZED, COMMISSION, CLEARED = IncomeType.REALIZED_PNL, IncomeType.COMMISSION, IncomeType.INSURANCE_CLEAR


def test_results_of_trades_by_hand_are_stored_once_without_our_own_fills(harness: Harness) -> None:
    harness.open_position()
    harness.clock.advance(1000)
    complete_results(harness, harness.now - 1000)
    own = an_income(harness, 1, "-0.1", COMMISSION, trade_id=harness.trade_id)
    theirs = an_income(harness, 2, "-7", REALIZED, trade_id=900)
    fee = an_income(harness, 2, "-0.05", COMMISSION, trade_id=900)
    for _ in range(2):
        harness.answer_income(REALIZED, theirs, symbol="BTCUSDT")
        harness.answer_income(COMMISSION, own, fee, symbol="BTCUSDT")
    harness.answer_income(CLEARED, symbol="BTCUSDT")
    rows = harness.rows("SELECT type, amount, trade_id FROM external_income ORDER BY type")
    assert [tuple(row.values()) for row in rows] == [("COMMISSION", "-0.05", 900), ("REALIZED_PNL", "-7", 900)]
    day = partial(net_since, since_ms=0, is_simulated=False)
    with harness.context.store.transaction():
        assert harness.context.store.read(day) == D("-7.15")
        late = a_fill(client_order_id="lh-x", trade_id=900, order_id=5, realized_pnl=D(-7), commission=D("0.05"))
        harness.context.store.record_fill(late)  # it was ours after all: it counts once
    with harness.context.store.transaction():
        assert harness.context.store.read(day) == D("-7.15")


def test_results_are_asked_for_until_the_history_has_them(harness: Harness) -> None:
    harness.clock.advance(1000)
    complete_results(harness, harness.now - 1000)
    assert [len(results_of(harness, kind)) for kind in (REALIZED, COMMISSION, CLEARED)] == [1, 1, 1]
    harness.answer_income(CLEARED, symbol="BTCUSDT")
    harness.answer_income(COMMISSION, an_income(harness, 3, "-0.1", COMMISSION, trade_id=900), symbol="BTCUSDT")
    harness.answer_income(REALIZED, symbol="BTCUSDT")
    harness.wait(5_000)
    assert [len(results_of(harness, kind)) for kind in (REALIZED, COMMISSION, CLEARED)] == [2, 2, 1]
    again = harness.restart().connect()
    assert len(results_of(again, REALIZED)) == 1  # still to be completed
    rows = {kind: an_income(again, 4, "-1", kind, trade_id=901) for kind in (REALIZED, COMMISSION)}
    for _ in range(2):  # complete once another answer has no more
        for kind, row in rows.items():
            again.answer_income(kind, row, symbol="BTCUSDT")
        again.wait(5_000)
    again.answer_income(CLEARED, symbol="BTCUSDT")
    third = again.restart().connect()
    assert results_of(third, REALIZED) == []
    third.close()


def test_fee_that_was_not_reported_is_completed_in_any_asset(harness: Harness) -> None:
    harness.feed(a_mark(2, symbol="ASTERUSDT", at=harness.now, received_at=harness.now))
    entry = harness.enter()
    fill = replace(harness.a_fill(entry), commission=D(0), commission_asset="")
    harness.feed(harness.account_after(fill), harness.filled_by(entry, fill))
    harness.wait(1000)
    assert [each.since_ms <= fill.traded_at for each in results_of(harness, COMMISSION)] == [True]
    harness.answer_income(COMMISSION, symbol="BTCUSDT")
    harness.wait(5000)
    assert len(results_of(harness, COMMISSION)) == 2
    paid = an_income(harness, 8, "-3", COMMISSION, asset="ASTER", trade_id=fill.trade_id)
    for _ in range(2):
        harness.answer_income(COMMISSION, paid, symbol="BTCUSDT")
    [row] = harness.rows("SELECT commission, commission_asset, commission_value FROM fills")
    assert tuple(row.values()) == ("3", "ASTER", "6")
    assert harness.rows("SELECT * FROM external_income") == []
    harness.wait(900_000)
    assert len(results_of(harness, COMMISSION)) == 2


def test_position_closed_by_hand_gets_its_result_from_the_history(harness: Harness) -> None:
    harness.open_position()
    opened_at = harness.now
    harness.clock.advance(6_000)
    harness.prices()
    harness.snapshot()  # flat, without a fill of ours
    for _ in range(3):
        harness.wait(30_000)
        harness.snapshot()
    assert results_of(harness, REALIZED) == []  # the bot's own trades may still explain it
    harness.feed(FillsFetched("BTCUSDT", (), harness.now))
    harness.wait(1_000)
    [asked] = results_of(harness, REALIZED)[:1]
    assert asked.since_ms <= opened_at
    theirs = an_income(harness, 2, "-7", REALIZED, trade_id=900, paid_at=opened_at + 5_000)
    harness.answer_income(REALIZED, theirs, symbol="BTCUSDT")
    assert [row["amount"] for row in harness.rows("SELECT amount FROM external_income")] == ["-7"]
    harness.wait(5_000)
    harness.answer_income(REALIZED, theirs, symbol="BTCUSDT")
    asked_until_now = len(results_of(harness, REALIZED))
    harness.wait(120_000)
    assert len(results_of(harness, REALIZED)) == asked_until_now


def test_hedge_mode_counts_no_manual_trade_of_the_other_side(harness: Harness) -> None:
    """A person closed the bot's long position, and had traded their own short one of the same symbol meanwhile."""
    harness.open_position()
    opened_at = harness.now
    harness.clock.advance(6_000)
    harness.feed(harness.account_update(a_position(0, 0)))
    harness.wait(2_000)
    closed = a_fill(client_order_id="web", order_id=77, trade_id=900, traded_at=opened_at + 5_000)
    theirs = replace(closed, position_side=PositionSide.SHORT, trade_id=901)
    harness.feed(FillsFetched("BTCUSDT", (theirs, closed), harness.now))
    harness.wait(31_000)
    again = harness.restart().connect()
    for kind, amounts in ((REALIZED, ("-7", "-300")), (COMMISSION, ("-0.1", "-3"))):
        rows = [
            an_income(again, trade, amount, kind, trade_id=trade, paid_at=opened_at + 5_000)
            for trade, amount in zip((900, 901), amounts, strict=True)
        ]
        again.answer_income(kind, *rows, symbol="BTCUSDT")
    assert [row["amount"] for row in again.rows("SELECT amount FROM external_income ORDER BY amount")] == ["-0.1", "-7"]
    again.close()


@pytest.mark.parametrize("is_history_first", [False, True])
def test_transfer_counts_once_in_either_order_of_event_and_history(limited: Harness, is_history_first: bool) -> None:
    limited.wait(1_000)
    row = an_income(limited, 7, "2000", TRANSFER)
    announce_it = partial(announce, limited, "DEPOSIT", "3000", "2000")
    answer_it = partial(limited.answer_income, TRANSFER, row)
    for step in (answer_it, announce_it) if is_history_first else (announce_it, answer_it):
        step()
    limited.snapshot(balances=(Balance("USDT", D(3000), D(3000)),))
    answer_it()
    limited.wait(2_000)
    assert limited.context.transfers == 2000
    assert not is_locked(limited)
    announce(limited, "DEPOSIT", "5000", "2000")  # another one of the same amount
    assert limited.context.transfers == 4000


def test_results_that_reach_the_history_one_by_one_are_all_read(harness: Harness) -> None:
    """A person closed in two trades: the first answer has one of them, beside the fee of our own entry."""
    harness.open_position()
    harness.clock.advance(1000)
    complete_results(harness, harness.now - 1000)
    own = an_income(harness, 1, "-0.1", COMMISSION, trade_id=harness.trade_id)
    first, second = (an_income(harness, number, "-7", REALIZED, trade_id=number) for number in (900, 901))
    fee = an_income(harness, 900, "-0.05", COMMISSION, trade_id=900)
    harness.answer_income(REALIZED, first, symbol="BTCUSDT")
    harness.answer_income(COMMISSION, own, symbol="BTCUSDT")
    for _ in range(3):
        harness.wait(5_000)
        harness.answer_income(REALIZED, first, second, symbol="BTCUSDT")
        harness.wait(15_000)
        harness.answer_income(COMMISSION, own, fee, symbol="BTCUSDT")
    harness.answer_income(CLEARED, symbol="BTCUSDT")
    stored = [row["amount"] for row in harness.rows("SELECT amount FROM external_income ORDER BY amount")]
    assert stored == ["-0.05", "-7", "-7"]
    asked = len(requests(harness, REALIZED)), len(requests(harness, COMMISSION))
    harness.wait(700_000)
    assert (len(requests(harness, REALIZED)), len(requests(harness, COMMISSION))) == asked


def test_fee_that_was_not_reported_is_asked_for_after_a_restart(harness: Harness) -> None:
    entry = harness.enter()
    fill = replace(harness.a_fill(entry), commission=D(0), commission_asset="")
    harness.feed(harness.account_after(fill), harness.filled_by(entry, fill))
    again = harness.restart().connect()
    again.wait(1_000)
    assert [each.since_ms <= fill.traded_at for each in results_of(again, COMMISSION)] == [True]
    again.close()
