"""A key, permission, nonce or clock that is refused halts trading, with one alarm, until the exchange accepts it."""

from pathlib import Path

import pytest

from src.core.trading_status import EntryBlock
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from src.domain.events import ApiScope, AuthFailed, AuthRecovered
from tests.core.harness import Harness

REVOKED = "the key or API wallet is unknown: look on Aster's site"


def refused(harness: Harness, code: int = -2015, *, of_write: bool = False) -> None:
    harness.feed(AuthFailed(code, REVOKED, ApiScope.TRADE if of_write else ApiScope.READ, harness.now))


def alarms(harness: Harness) -> list[str]:
    return [each["message"] for each in harness.journal("alert") if each["level"] == "error"]


@pytest.mark.parametrize("of_write", [True, False])
def test_auth_failure_halts_trading_and_alerts_once(harness: Harness, of_write: bool) -> None:
    for _ in range(3):
        refused(harness, of_write=of_write)
    assert harness.context.trading_status.state is TradingState.HALTED
    assert not harness.context.trading_status.needs_resume
    assert alarms(harness) == [
        f"the exchange rejects this account: {REVOKED} (-2015). Trading is halted; stop losses stay open"
    ]
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]


def test_an_account_that_can_be_read_again_trades_again(harness: Harness) -> None:
    refused(harness)
    harness.snapshot()
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert harness.journal("alert")[-1]["message"] == "the exchange accepts this account again"
    refused(harness)
    assert len(alarms(harness)) == 2


def test_reading_proves_nothing_for_an_account_that_may_not_place_orders(harness: Harness) -> None:
    refused(harness, -4087, of_write=True)
    harness.snapshot()
    assert harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    harness.wait(5 * 60_000)
    assert not harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    refused(harness, -4087, of_write=True)
    assert len(alarms(harness)) == 1


@pytest.mark.parametrize("code", [-1021, -4225])
def test_a_clock_or_nonce_that_reading_proves_good_is_good_for_orders_too(harness: Harness, code: int) -> None:
    refused(harness, code, of_write=True)
    harness.snapshot()
    assert harness.context.trading_status.state is TradingState.ACTIVE


def test_a_private_stream_that_is_refused_keeps_the_alarm_though_questions_are_answered(harness: Harness) -> None:
    for _ in range(3):  # at each try to connect anew, and each time the account is read
        harness.feed(AuthFailed(-2015, REVOKED, ApiScope.USER_STREAM, harness.now))
        harness.snapshot()
        assert harness.context.trading_status.state is TradingState.HALTED
    assert len(alarms(harness)) == 1
    assert "the exchange accepts this account again" not in [each["message"] for each in harness.journal("alert")]
    harness.liquidate()
    assert harness.verdicts() == [Gate.TRADING_STATE]
    harness.feed(AuthRecovered(ApiScope.USER_STREAM, harness.now))
    assert harness.context.trading_status.state is TradingState.ACTIVE
    assert harness.journal("alert")[-1]["message"] == "the exchange accepts this account again"


def test_the_alarm_ends_with_the_last_door_that_opens(harness: Harness) -> None:
    harness.feed(AuthFailed(-2015, REVOKED, ApiScope.USER_STREAM, harness.now))
    refused(harness)
    refused(harness, of_write=True)
    harness.feed(AuthRecovered(ApiScope.USER_STREAM, harness.now))
    harness.snapshot()
    assert harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    harness.wait(5 * 60_000)
    assert not harness.context.trading_status.has(EntryBlock.AUTH_FAILED)
    assert len(alarms(harness)) == 1


def test_protection_goes_on(path: Path) -> None:
    harness = Harness(path).connect()
    entry = harness.enter()
    refused(harness)
    harness.fill(entry)
    assert harness.submitted(OrderRole.STOP_LOSS) != []
