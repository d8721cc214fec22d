"""The exchange does not let us in: a plain sentence names the remedy, no entry is made, and nothing else suffers."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.domain.clock import SystemClock
from src.domain.enums import OrderRole
from src.utils.auth import Scheme
from tests.faults.conftest import MakeRig
from tests.faults.rig import Rig, wait_until

pytestmark = pytest.mark.recovery

SECONDS = 20
WRONG = "a7" * 32
LOOK_THERE = "look on Aster's site"
COPY_AGAIN = "copy them again"

of_key_alone = pytest.mark.parametrize("scheme", [Scheme.V1], indirect=True)
of_wallet_alone = pytest.mark.parametrize("scheme", [Scheme.V3], indirect=True)


def let_in(make_rig: MakeRig, remedy: str, **spoilt: Any) -> None:
    """A bot with wrong credentials says what to do and trades nothing; with the right ones it trades."""
    rig = make_rig()
    right = rig.keys
    rig.keys = replace(right, **spoilt)
    rig.launch()
    wait_until(lambda: remedy in rig.trading()[1], SECONDS, "the remedy is named")
    assert_halted(rig, remedy)
    assert rig.exchange.account.records.received == []
    assert rig.exchange.engine.positions() and not rig.position
    told = "\n".join([*rig.alerts(), rig.trading()[1]])
    assert not [secret for secret in rig.keys.secrets if secret in told]
    assert rig.stop() == 0
    rig.keys = right
    rig.start().open_position()
    rig.check_books()


def assert_halted(rig: Rig, remedy: str) -> None:
    """No entry is made, each liquidation's verdict says why, and the market is heard as ever."""
    assert rig.trading()[0] in ("REDUCE_ONLY", "HALTED")
    assert any(remedy in alert for alert in rig.alerts()) or remedy in rig.trading()[1]
    wait_until(lambda: rig.state("market_stream").get("state") == "up", SECONDS, "the market is heard")
    before = set(rig.arrived(OrderRole.ENTRY))
    rig.wait_verdict(remedy, SECONDS)
    assert set(rig.arrived(OrderRole.ENTRY)) == before
    assert rig.code is None, "the bot lives"


@of_key_alone
def test_a_wrong_key_is_told_with_its_remedy(make_rig: MakeRig) -> None:
    let_in(make_rig, LOOK_THERE, api_key=WRONG)


@of_key_alone
def test_a_secret_that_is_not_the_keys_is_told_with_its_remedy(make_rig: MakeRig) -> None:
    let_in(make_rig, COPY_AGAIN, api_secret=WRONG)


@of_wallet_alone
def test_a_wrong_wallet_is_told_with_its_remedy(make_rig: MakeRig) -> None:
    let_in(make_rig, LOOK_THERE, private_key=f"0x{WRONG}")


@of_wallet_alone
def test_a_wrong_user_is_told_with_its_remedy(make_rig: MakeRig) -> None:
    let_in(make_rig, LOOK_THERE, user=f"0x{'b3' * 20}")


def test_a_clock_eleven_seconds_off_keeps_entries_back_and_nothing_else(make_rig: MakeRig) -> None:
    remedy = "set it by the network"
    rig = make_rig()
    rig.machine.ahead_ms = 11_000
    rig.launch()
    wait_until(lambda: remedy in rig.trading()[1], SECONDS, "the remedy is named")
    wait_until(lambda: rig.state("account"), SECONDS, "requests are signed by the exchange's clock and accepted")
    told = re.compile(r"clock is 1[01]\d{3} ms ahead of the exchange's")
    wait_until(lambda: told.search(rig.trading()[1]), 3 * SECONDS, "by how much: a slow answer errs, the next is exact")
    wait_until(lambda: not rig.state("limits").get("blocked_until"), SECONDS, "nothing is held back")
    assert not [alert for alert in rig.alerts() if "failed" in alert or "refused" in alert]
    assert_halted(rig, remedy)
    assert rig.stop() == 0
    rig.machine.ahead_ms = 0
    rig.start().open_position()
    rig.check_books()


@of_wallet_alone
def test_another_program_with_the_same_wallet_is_told_and_the_stop_rests(rig: Rig) -> None:
    remedy = "another program signs with the same API wallet"
    rig.open_position()
    [stop] = rig.orders(OrderRole.STOP_LOSS)
    ahead_us = (SystemClock().now_ms() + 9_000) * 1000
    for number in range(100):  # all that the exchange remembers: whatever is smaller was used before, for all it knows
        assert rig.server.wallet.nonces.spend(ahead_us + number)
    rig.move(rig.middle)
    rig.liquidate()
    wait_until(lambda: remedy in rig.trading()[1], SECONDS, "the remedy is named")
    assert rig.trading()[0] in ("REDUCE_ONLY", "HALTED")
    assert [each.client_order_id for each in rig.orders(OrderRole.STOP_LOSS)] == [stop.client_order_id]
    assert rig.position
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 90, "it goes on once it is let in again")
    rig.server.wallet.nonces.refused = 0  # the other's doing
    rig.check_books()


def test_the_home_of_a_rig_holds_no_secret(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.start().stop()
    files: list[Path] = [each for each in rig.home.rglob("*") if each.is_file()]
    assert files
    assert not [each for each in files for secret in rig.keys.secrets if secret.encode() in each.read_bytes()]
