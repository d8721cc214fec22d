"""API access is rejected: a message names the remedy, entries are blocked, and nothing else is affected."""

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

api_key_only = pytest.mark.parametrize("scheme", [ApiVersion.V1], indirect=True)
api_wallet_only = pytest.mark.parametrize("scheme", [ApiVersion.V3], indirect=True)


def restore_access(make_harness: MakeHarness, remedy: str, **wrong: Any) -> None:
    """A bot with wrong credentials reports the remedy and does not trade; with the right ones it trades."""
    harness = make_harness()
    correct = harness.keys
    harness.keys = replace(correct, **wrong)
    harness.launch()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is reported")
    assert_halted(harness, remedy)
    assert harness.exchange.account.request_log.received == []
    assert harness.exchange.engine.positions() and not harness.position
    messages = "\n".join([*harness.alerts(), harness.trading_status()[1]])
    assert not [secret for secret in harness.keys.secrets if secret in messages]
    assert harness.stop() == 0
    harness.keys = correct
    harness.start().open_position()
    harness.check_consistency()


def assert_halted(harness: FaultHarness, remedy: str) -> None:
    """No entry is placed, the decisions name the reason, and the market stream works."""
    assert harness.trading_status()[0] in ("REDUCE_ONLY", "HALTED")
    assert any(remedy in alert for alert in harness.alerts()) or remedy in harness.trading_status()[1]
    wait_until(lambda: harness.state("market_stream").get("state") == "up", SECONDS, "the market stream is up")
    before = set(harness.received_orders(OrderRole.ENTRY))
    harness.wait_verdict(remedy, SECONDS)
    assert set(harness.received_orders(OrderRole.ENTRY)) == before
    assert harness.exit_code is None, "the bot has ended"


@api_key_only
def test_wrong_key_is_reported_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, api_key=WRONG)


@api_key_only
def test_wrong_secret_is_reported_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, RECOPY_KEY_HINT, api_secret=WRONG)


@api_wallet_only
def test_wrong_wallet_is_reported_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, private_key=f"0x{WRONG}")


@api_wallet_only
def test_wrong_user_address_is_reported_with_its_remedy(make_harness: MakeHarness) -> None:
    restore_access(make_harness, CHECK_KEY_HINT, user=f"0x{'b3' * 20}")


def test_clock_eleven_seconds_off_blocks_only_entries(make_harness: MakeHarness) -> None:
    remedy = "sync it (NTP)"
    harness = make_harness()
    harness.clock.ahead_ms = 11_000
    harness.launch()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is reported")
    wait_until(lambda: harness.state("account"), SECONDS, "requests are signed with the exchange's clock")
    offset = re.compile(r"clock is 1[01]\d{3} ms ahead of the exchange's")
    wait_until(
        lambda: offset.search(harness.trading_status()[1]),
        3 * SECONDS,
        "the exact offset, which a slow response can delay",
    )
    wait_until(lambda: not harness.state("rate_limits").get("blocked_until"), SECONDS, "requests are not blocked")
    assert not [alert for alert in harness.alerts() if "failed" in alert or "refused" in alert]
    assert_halted(harness, remedy)
    assert harness.stop() == 0
    harness.clock.ahead_ms = 0
    harness.start().open_position()
    harness.check_consistency()


@api_wallet_only
def test_second_program_with_the_wallet_is_reported(harness: FaultHarness) -> None:
    remedy = "another program signs with the same API wallet"
    harness.open_position()
    [stop] = harness.orders(OrderRole.STOP_LOSS)
    ahead_us = (SystemClock().now_ms() + 9_000) * 1000
    for number in range(100):  # the exchange remembers a hundred nonces and rejects smaller ones
        assert harness.server.wallet.nonces.use(ahead_us + number)
    harness.move(harness.mid_price)
    harness.liquidate()
    wait_until(lambda: remedy in harness.trading_status()[1], SECONDS, "the remedy is reported")
    assert harness.trading_status()[0] in ("REDUCE_ONLY", "HALTED")
    assert [each.client_order_id for each in harness.orders(OrderRole.STOP_LOSS)] == [stop.client_order_id]
    assert harness.position
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 90, "trading resumes once requests are accepted")
    harness.server.wallet.nonces.rejected_count = 0  # caused by the other program
    harness.check_consistency()


def test_home_directory_contains_no_secret(make_harness: MakeHarness) -> None:
    harness = make_harness()
    harness.start().stop()
    files: list[Path] = [each for each in harness.home.rglob("*") if each.is_file()]
    assert files
    assert not [each for each in files for secret in harness.keys.secrets if secret.encode() in each.read_bytes()]
