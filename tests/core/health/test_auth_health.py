"""Auth failures halt trading and alert once, until the exchange accepts the account again."""

from pathlib import Path

import pytest

from src.core.events import SettingsChanged
from src.core.trading_status import EntryBlock
from src.domain.api_wallet import WITHDRAW_RISK, ApiWallet
from src.domain.clock import DAY_MS
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from src.domain.events import ApiScope, AuthFailed, AuthRecovered
from tests.builders import some_settings
from tests.core.harness import Harness

REVOKED = "the key or API wallet is unknown: look on Aster's site"


def fail_auth(harness: Harness, code: int = -2015, *, is_trade: bool = False) -> None:
    harness.feed(AuthFailed(code, REVOKED, ApiScope.TRADE if is_trade else ApiScope.READ, harness.now))


def alerts(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == "error"]


@pytest.mark.parametrize("is_trade", [True, False])
def test_auth_failure_halts_trading_and_alerts_once(harness: Harness, is_trade: bool) -> None:
    for _ in range(3):
        fail_auth(harness, is_trade=is_trade)
    assert harness.context.trading_status.state is TradingState.HALTED
    assert not harness.context.trading_status.needs_resume
    assert alerts(harness) == [
        f"the exchange rejects this account: {REVOKED} (-2015). Trading is halted; stop losses stay open"
    ]
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]


def test_successful_read_ends_auth_failure(harness: Harness) -> None:
    fail_auth(harness)
    harness.snapshot()
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert harness.journal("alert")[-1]["message"] == "the exchange accepts this account again"
    fail_auth(harness)
    assert len(alerts(harness)) == 2


def test_successful_read_does_not_end_trade_failure(harness: Harness) -> None:
    fail_auth(harness, -4087, is_trade=True)
    harness.snapshot()
    assert harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    harness.wait(5 * 60_000)
    assert not harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    fail_auth(harness, -4087, is_trade=True)
    assert len(alerts(harness)) == 1


@pytest.mark.parametrize("code", [-1021, -4225])
def test_successful_read_ends_clock_failure(harness: Harness, code: int) -> None:
    fail_auth(harness, code, is_trade=True)
    harness.snapshot()
    assert harness.context.trading_status.state is TradingState.ACTIVE


def test_f38_listen_key_rejection_halts_until_renewed(harness: Harness) -> None:
    for _ in range(3):  # at each reconnect attempt, with successful reads in between
        harness.feed(AuthFailed(-2015, REVOKED, ApiScope.USER_STREAM, harness.now))
        harness.snapshot()
        assert harness.context.trading_status.state is TradingState.HALTED
    assert len(alerts(harness)) == 1
    assert "the exchange accepts this account again" not in [each["message"] for each in harness.journal("alert")]
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]
    harness.feed(AuthRecovered(ApiScope.USER_STREAM, harness.now))
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert harness.journal("alert")[-1]["message"] == "the exchange accepts this account again"


def test_auth_failure_ends_when_every_scope_recovers(harness: Harness) -> None:
    harness.feed(AuthFailed(-2015, REVOKED, ApiScope.USER_STREAM, harness.now))
    fail_auth(harness)
    fail_auth(harness, is_trade=True)
    harness.feed(AuthRecovered(ApiScope.USER_STREAM, harness.now))
    harness.snapshot()
    assert harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    harness.wait(5 * 60_000)
    assert not harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    assert len(alerts(harness)) == 1


def test_auth_failure_does_not_stop_protection(path: Path) -> None:
    harness = Harness(path).connect()
    entry = harness.enter()
    fail_auth(harness)
    harness.fill(entry)
    assert harness.submitted(OrderRole.STOP_LOSS) != []


def take_snapshot(harness: Harness, *, days: int = 60, can_withdraw: bool = False) -> None:
    harness.snapshot(api_wallet=ApiWallet(harness.now + days * DAY_MS, can_withdraw, ""))


def test_api_wallet_that_may_withdraw_blocks_entries_until_it_is_allowed(harness: Harness) -> None:
    take_snapshot(harness, can_withdraw=True)
    assert harness.context.trading_status.reason == WITHDRAW_RISK
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]

    harness.feed(SettingsChanged(some_settings({"allow_withdraw_key": True})))
    take_snapshot(harness, can_withdraw=True)
    assert harness.context.trading_status.state is TradingState.ACTIVE


def test_withdrawn_right_ends_the_block(harness: Harness) -> None:
    take_snapshot(harness, can_withdraw=True)
    harness.snapshot(api_wallet=None)
    assert harness.context.trading_status.has(EntryBlock.WITHDRAW_RIGHT), "an unread wallet changes nothing"
    take_snapshot(harness)
    assert not harness.context.trading_status.has(EntryBlock.WITHDRAW_RIGHT)


def test_end_of_the_api_wallet_is_announced_once_a_day_from_14_days_before(harness: Harness) -> None:
    def warnings() -> int:
        return sum("the API wallet ends on " in each["message"] for each in harness.journal("alert"))

    take_snapshot(harness, days=14)
    assert warnings() == 0
    for _ in range(2):
        take_snapshot(harness, days=13)
    assert warnings() == 1
    harness.clock.advance(DAY_MS)
    take_snapshot(harness, days=12)
    assert warnings() == 2
