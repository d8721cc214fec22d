"""The wallet: totals in multi-assets mode, the margin asset's balance otherwise; assets are never mixed."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.core.account import wallet
from src.domain.commands import TakeSnapshot
from src.domain.decisions import Gate
from src.domain.enums import MarginType, OrderRole, PositionSide
from src.domain.positions import AccountSummary, Balance
from src.settings.config import Settings, parse_settings
from tests.builders import a_mark, a_report, an_instrument, settings_document, some_settings
from tests.core.harness import Harness

D = Decimal
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT
TOTALS = AccountSummary(D(10_000), D(0), D(10_000), D(10_000), D(0), D(0))
SIDES = (PositionSide.LONG, PositionSide.SHORT)


@pytest.fixture
def opened() -> Iterator[list[Harness]]:
    harnesses: list[Harness] = []
    yield harnesses
    for harness in harnesses:
        harness.close()


def multi_assets(path: Path, opened: list[Harness], **limits: Any) -> Harness:
    """All assets as margin: -5 USDT and 10,005 USDF, worth 10,000 together."""
    settings = some_settings({"multi_assets_mode": True, "cooldown_sec": 0, **limits}, margin_type="CROSSED")
    harness = Harness(path, settings)
    opened.append(harness)
    return harness.connect(
        multi_assets_mode=True,
        account=TOTALS,
        balances=(Balance("USDT", D(-5), D(-5)), Balance("USDF", D(10_005), D(10_005))),
        positions=tuple(a_report(position_side=side, margin_type=MarginType.CROSSED) for side in SIDES),
    )


def test_one_balance_does_not_replace_the_totals_of_all_assets(path: Path, opened: list[Harness]) -> None:
    harness = multi_assets(path, opened, max_drawdown_pct=20)
    entry = harness.enter()
    fill = harness.a_fill(entry)
    paid = (Balance("USDT", D("-5.1"), D("-5.1")),)  # the fee was paid from USDT
    harness.feed(replace(harness.account_after(fill), balances=paid), harness.filled_by(entry, fill))
    assert harness.commands_of(TakeSnapshot)[-1].reason == "a balance changed"
    harness.wait(1000)
    assert wallet.equity(harness.context) == 10_000
    assert harness.context.trading_status.state == "ACTIVE"
    harness.liquidate()
    assert harness.verdicts()[-1] is not Gate.MARGIN
    shown = harness.rows("SELECT value FROM bot_state WHERE key = 'account'")[0]["value"]
    assert '"wallet_balance": "10000"' in shown
    assert {row["wallet_balance"] for row in harness.rows("SELECT wallet_balance FROM account_history")} == {"10000"}


def test_total_of_zero_is_not_believed_while_assets_are_held(path: Path, opened: list[Harness]) -> None:
    harness = multi_assets(path, opened, max_drawdown_pct=20)
    harness.wait(1000)
    nothing = AccountSummary(D(0), D(0), D(0), D(0), D(0), D(0))
    held = (Balance("USDT", D(-5), D(-5)), Balance("USDF", D(10_005), D(10_005)))
    for _ in range(2):
        harness.snapshot(multi_assets_mode=True, account=nothing, balances=held)
        harness.wait(1000)
    assert wallet.equity(harness.context) == 10_000
    assert not harness.context.trading_status.reason.startswith("locked")
    alerts = [each["message"] for each in harness.journal("alert") if "total wallet balance of 0" in each["message"]]
    assert len(alerts) == 1
    harness.snapshot(multi_assets_mode=True, account=nothing, balances=())  # all withdrawn
    assert wallet.equity(harness.context) == 0


def two_quotes() -> Settings:
    document = settings_document()
    document["symbols"]["BTCUSDC"] = dict(document["symbols"]["BTCUSDT"])
    document["globals"]["cooldown_sec"] = 0
    return parse_settings(document)


def test_symbol_is_judged_by_the_wallet_of_its_margin_asset(path: Path, opened: list[Harness]) -> None:
    harness = Harness(path, two_quotes())
    opened.append(harness)
    usdc = an_instrument(symbol="BTCUSDC", quote_asset="USDC")
    harness.context.instruments = {**harness.context.instruments, "BTCUSDC": usdc}
    harness.connect(balances=(Balance("USDT", D(1000), D(1000)), Balance("USDC", D(7), D(7))))
    assert wallet.available_balance(harness.context, wallet.margin_assets(harness.context, "BTCUSDT"), D(0)) == 1000
    assert wallet.available_balance(harness.context, wallet.margin_assets(harness.context, "BTCUSDC"), D(0)) == 7
    assert wallet.equity(harness.context) == 1007
    update = replace(harness.account_update(), balances=(Balance("USDC", D(9), D(9)),))
    harness.feed(update)
    assert wallet.equity(harness.context) == 1009
    assert wallet.available_balance(harness.context, ("USDT",), D(0)) == 1000


def test_balance_of_another_asset_is_not_the_wallet(harness: Harness) -> None:
    harness.feed(replace(harness.account_update(), balances=(Balance("ASTER", D(500_000), D(500_000)),)))
    assert wallet.equity(harness.context) == 1000


def test_balance_that_cannot_be_read_is_not_an_empty_wallet(path: Path, opened: list[Harness]) -> None:
    """Neither while the last one is known, nor after a restart that has never read it."""
    harness = Harness(path, some_settings({"max_drawdown_pct": 5}))
    opened.append(harness)
    harness.connect()
    unreadable: dict[str, Any] = {"balances": (Balance("USDC", D(7), D(7)),), "has_unreadable_balance": True}
    harness.snapshot(**unreadable)
    harness.wait(1000)
    assert wallet.equity(harness.context) == 1000
    again = harness.restart()
    opened[:] = [again]
    again.connect(**unreadable)
    again.wait(1000)
    assert wallet.equity(again.context) is None
    assert not again.context.trading_status.reason.startswith("locked")
    again.liquidate()
    assert again.verdicts()[-1] == Gate.MARGIN
    again.snapshot(balances=(Balance("USDC", D(7), D(7)),))  # without USDT now: none is held
    assert wallet.equity(again.context) == 0


def test_wallet_that_is_empty_without_a_transfer_is_read_again(path: Path, opened: list[Harness]) -> None:
    harness = Harness(path, some_settings({"max_drawdown_pct": 5}))
    opened.append(harness)
    harness.connect()
    harness.wait(1000)
    harness.feed(replace(harness.account_update(), balances=(Balance("USDT", D(0), D(0)),)))
    assert "USDT is reported as 0" in harness.commands_of(TakeSnapshot)[-1].reason
    harness.wait(1000)
    assert wallet.equity(harness.context) == 1000
    assert harness.context.trading_status.state == "ACTIVE"


def test_peak_follows_the_assets_that_are_counted(path: Path, opened: list[Harness]) -> None:
    """A wallet that begins or ceases to count with the settings is no profit and no drawdown."""
    harness = Harness(path, some_settings({"max_drawdown_pct": 5}))
    opened.append(harness)
    balances = (Balance("USDT", D(1000), D(1000)), Balance("USDC", D(500), D(500)))
    harness.connect(balances=balances)
    settings = two_quotes()
    with_limit = settings.model_copy(
        update={"globals_": settings.globals_.model_copy(update={"max_drawdown_pct": D(5)})}
    )
    both = harness.restart(with_limit)
    opened.append(both)
    both.connect(balances=balances)
    both.wait(1000)
    again = both.restart(harness.settings)
    opened.append(again)
    again.connect(balances=balances)
    again.wait(2000)
    assert wallet.equity(again.context) == 1000
    assert not again.context.trading_status.reason.startswith("locked")


def fees_in_aster(harness: Harness, pnl: str) -> None:
    """A round trip with a profit before fees, and two fees of 3 ASTER."""
    entry = harness.enter()
    bought = replace(harness.a_fill(entry), commission=D(3), commission_asset="ASTER")
    harness.feed(harness.account_after(bought), harness.filled_by(entry, bought))
    for role in (STOP, TAKE):
        harness.accept(harness.last(role))
    harness.clock.advance(2000)
    stop = harness.last(STOP)
    sold = replace(harness.a_fill(stop, pnl=pnl), commission=D(3), commission_asset="ASTER")
    harness.feed(harness.account_after(sold), harness.filled_by(stop, sold))
    harness.wait(20_000)


def test_fee_in_another_asset_counts_by_its_mark_in_the_daily_loss(path: Path, opened: list[Harness]) -> None:
    harness = Harness(path, some_settings({"max_daily_loss_usdt": 1})).connect()
    opened.append(harness)
    harness.feed(a_mark(1, symbol="ASTERUSDT", at=harness.now, received_at=harness.now))
    fees_in_aster(harness, "0.5")
    assert "lost 5.50 USDT today" in harness.context.trading_status.reason
    assert harness.journal("position")[-1]["net"] == "-5.5"
    values = [row["commission_value"] for row in harness.rows("SELECT commission_value FROM fills")]
    assert values == ["3", "3"]


def test_fee_of_unknown_value_is_left_out_and_marked(path: Path, opened: list[Harness]) -> None:
    harness = Harness(path, some_settings({"max_daily_loss_usdt": 1})).connect()
    opened.append(harness)
    fees_in_aster(harness, "0.5")
    assert not harness.context.trading_status.reason.startswith("locked")
    closed = harness.journal("position")[-1]
    assert (closed["net"], closed["fees_not_included"]) == ("0.5", ["6 ASTER"])
    rows = harness.rows("SELECT commission, commission_asset, commission_value FROM fills")
    assert [tuple(row.values()) for row in rows] == [("3", "ASTER", None)] * 2
