"""The exchange does not let us in: a plain sentence names the remedy, no entry is made, and nothing else suffers."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.domain.clock import SystemClock
from src.domain.enums import OrderRole
from src.utils.auth import ApiVersion
from tests.faults.conftest import MakeHarness
from tests.faults.harness import FaultHarness, wait_until

pytestmark = pytest.mark.recovery

SECONDS = 20
WRONG = "a7" * 32
CHECK_KEY_HINT = "check it on Aster's site"
RECOPY_KEY_HINT = "copy both again"

of_key_alone = pytest.mark.parametrize("scheme", [ApiVersion.V1], indirect=True)
of_wallet_alone = pytest.mark.parametrize("scheme", [ApiVersion.V3], indirect=True)


def restore_access(make_harness: MakeHarness, remedy: str, **spoilt: Any) -> None:
    """A bot with wrong credentials says what to do and trades nothing; with the right ones it trades."""
    harness = make_harness()
    right = harness.keys
    harness.keys = replace(right, **spoilt)
    harness.launch()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is named")
    assert_halted(harness, remedy)
    assert harness.exchange.account.request_log.received == []
    assert harness.exchange.engine.positions() and not harness.position
    told = "\n".join([*harness.alerts(), harness.trading_status()[1]])
    assert not [secret for secret in harness.keys.secrets if secret in told]
    assert harness.stop() == 0
    harness.keys = right
    harness.start().open_position()
    harness.check_consistency()


def assert_halted(harness: FaultHarness, remedy: str) -> None:
    """No entry is made, each liquidation's verdict says why, and the market is heard as ever."""
    assert harness.trading_status()[0] in ("REDUCE_ONLY", "HALTED")
    assert any(remedy in alert for alert in harness.alerts()) or remedy in harness.trading_status()[1]
    wait_until(lambda: harness.state("market_stream").get("state") == "up", SECONDS, "the market is heard")
    before = set(harness.received_orders(OrderRole.ENTRY))
    harness.wait_verdict(remedy, SECONDS)
    assert set(harness.received_orders(OrderRole.ENTRY)) == before
    assert harness.exit_code is None, "the bot lives"


@of_key_alone
def test_a_wrong_key_is_told_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, api_key=WRONG)


@of_key_alone
def test_a_secret_that_is_not_the_keys_is_told_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, RECOPY_KEY_HINT, api_secret=WRONG)


@of_wallet_alone
def test_a_wrong_wallet_is_told_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, private_key=f"0x{WRONG}")


@of_wallet_alone
def test_a_wrong_user_is_told_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, user=f"0x{'b3' * 20}")


def test_a_clock_eleven_seconds_off_keeps_entries_back_and_nothing_else(make_harness: MakeHarness) -> None:
    remedy = "sync it (NTP)"
    harness = make_harness()
    harness.clock.ahead_ms = 11_000
    harness.launch()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is named")
    wait_until(lambda: harness.state("account"), SECONDS, "requests are signed by the exchange's clock and accepted")
    told = re.compile(r"clock is 1[01]\d{3} ms ahead of the exchange's")
    wait_until(
        lambda: told.search(harness.trading_status()[1]),
        3 * SECONDS,
        "by how much: a slow answer errs, the next is exact",
    )
    wait_until(lambda: not harness.state("limits").get("blocked_until"), SECONDS, "nothing is held back")
    assert not [alert for alert in harness.alerts() if "failed" in alert or "refused" in alert]
    assert_halted(harness, remedy)
    assert harness.stop() == 0
    harness.clock.ahead_ms = 0
    harness.start().open_position()
    harness.check_consistency()


@of_wallet_alone
def test_another_program_with_the_same_wallet_is_told_and_the_stop_rests(harness: FaultHarness) -> None:
    remedy = "another program signs with the same API wallet"
    harness.open_position()
    [stop] = harness.orders(OrderRole.STOP_LOSS)
    ahead_us = (SystemClock().now_ms() + 9_000) * 1000
    for number in range(100):  # all that the exchange remembers: whatever is smaller was used before, for all it knows
        assert harness.server.wallet.nonces.use(ahead_us + number)
    harness.move(harness.mid_price)
    harness.liquidate()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is named")
    assert harness.trading_status()[0] in ("REDUCE_ONLY", "HALTED")
    assert [each.client_order_id for each in harness.orders(OrderRole.STOP_LOSS)] == [stop.client_order_id]
    assert harness.position
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 90, "it goes on once it is let in again")
    harness.server.wallet.nonces.rejected_count = 0  # the other's doing
    harness.check_consistency()


def test_the_home_of_a_rig_holds_no_secret(make_harness: MakeHarness) -> None:
    harness = make_harness()
    harness.start().stop()
    files: list[Path] = [each for each in harness.home.rglob("*") if each.is_file()]
    assert files
    assert not [each for each in files for secret in harness.keys.secrets if secret.encode() in each.read_bytes()]
