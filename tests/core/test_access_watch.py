"""A key, permission, nonce or clock that is refused halts trading, with one alarm, until the exchange accepts it."""

from pathlib import Path

import pytest

from src.core.standing import Obstacle
from src.domain.access import AccessGranted, AccessRefused, Door
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from tests.core.rig import Rig

REVOKED = "the key or API wallet is unknown: look on Aster's site"


def refused(rig: Rig, code: int = -2015, *, of_write: bool = False) -> None:
    rig.feed(AccessRefused(code, REVOKED, Door.ORDERS if of_write else Door.QUESTIONS, rig.now))


def alarms(rig: Rig) -> list[str]:
    return [each["message"] for each in rig.journal("alert") if each["level"] == "error"]


@pytest.mark.parametrize("of_write", [True, False])
def test_a_refused_key_halts_trading_and_is_told_once(rig: Rig, of_write: bool) -> None:
    for _ in range(3):
        refused(rig, of_write=of_write)
    assert rig.desk.standing.state is TradingState.HALTED
    assert not rig.desk.standing.awaits_resume
    assert alarms(rig) == [
        f"the exchange refuses this account: {REVOKED} (-2015). Trading halts; stop losses at the exchange stay"
    ]
    rig.liquidate()
    assert rig.verdicts() == [Gate.TRADING_STATE]


def test_an_account_that_can_be_read_again_trades_again(rig: Rig) -> None:
    refused(rig)
    rig.snapshot()
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert rig.journal("alert")[-1]["message"] == "the exchange accepts this account again"
    refused(rig)
    assert len(alarms(rig)) == 2


def test_reading_proves_nothing_for_an_account_that_may_not_place_orders(rig: Rig) -> None:
    refused(rig, -4087, of_write=True)
    rig.snapshot()
    assert rig.desk.standing.has(Obstacle.ACCESS)
    rig.wait(5 * 60_000)
    assert not rig.desk.standing.has(Obstacle.ACCESS)
    refused(rig, -4087, of_write=True)
    assert len(alarms(rig)) == 1


@pytest.mark.parametrize("code", [-1021, -4225])
def test_a_clock_or_nonce_that_reading_proves_good_is_good_for_orders_too(rig: Rig, code: int) -> None:
    refused(rig, code, of_write=True)
    rig.snapshot()
    assert rig.desk.standing.state is TradingState.ACTIVE


def test_a_private_stream_that_is_refused_keeps_the_alarm_though_questions_are_answered(rig: Rig) -> None:
    for _ in range(3):  # at each try to connect anew, and each time the account is read
        rig.feed(AccessRefused(-2015, REVOKED, Door.PRIVATE_STREAM, rig.now))
        rig.snapshot()
        assert rig.desk.standing.state is TradingState.HALTED
    assert len(alarms(rig)) == 1
    assert "the exchange accepts this account again" not in [each["message"] for each in rig.journal("alert")]
    rig.liquidate()
    assert rig.verdicts() == [Gate.TRADING_STATE]
    rig.feed(AccessGranted(Door.PRIVATE_STREAM, rig.now))
    assert rig.desk.standing.state is TradingState.ACTIVE
    assert rig.journal("alert")[-1]["message"] == "the exchange accepts this account again"


def test_the_alarm_ends_with_the_last_door_that_opens(rig: Rig) -> None:
    rig.feed(AccessRefused(-2015, REVOKED, Door.PRIVATE_STREAM, rig.now))
    refused(rig)
    refused(rig, of_write=True)
    rig.feed(AccessGranted(Door.PRIVATE_STREAM, rig.now))
    rig.snapshot()
    assert rig.desk.standing.has(Obstacle.ACCESS)
    rig.wait(5 * 60_000)
    assert not rig.desk.standing.has(Obstacle.ACCESS)
    assert len(alarms(rig)) == 1


def test_protection_goes_on(path: Path) -> None:
    rig = Rig(path).connect()
    entry = rig.enter()
    refused(rig)
    rig.fill(entry)
    assert rig.submitted(OrderRole.STOP_LOSS) != []
