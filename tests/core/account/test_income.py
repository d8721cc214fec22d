"""Income history: funding and transfers are read until they are complete, and transfers are no result."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.domain.commands import FetchIncome
from src.domain.enums import IncomeType
from src.domain.events import AccountUpdate, CommandFailed, IncomeFetched
from src.domain.positions import Balance, Income
from tests.builders import a_mark, some_settings
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


def is_locked(harness: Harness) -> bool:
    return harness.context.trading_status.reason.startswith("locked")


@pytest.mark.parametrize("reason", ["WITHDRAW", "ADMIN_WITHDRAW", "ASSET_TRANSFER", "COIN_SWAP_WITHDRAW"])
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


def test_drawdown_counts_again_if_the_history_cannot_be_read(limited: Harness) -> None:
    again = limited.restart()
    again.prices()
    again.snapshot(balances=(Balance("USDT", D(500), D(500)),))
    again.wait(58_000)
    assert not is_locked(again)
    again.wait(3_000)
    assert is_locked(again)
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
    harness.close()
