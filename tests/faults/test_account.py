"""Instruments, account settings and API access change while the bot runs (F13, F36-F38)."""

from decimal import Decimal
from typing import Any

import pytest

from src.domain.enums import MarginType, OrderRole, OrderType, PositionSide, Side, TimeInForce
from src.domain.events import Task
from src.domain.instrument import Price, Quantity
from src.domain.orders import OrderRequest
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.settings.config import parse_settings
from tests.faults.conftest import MakeHarness, in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE


def change_instrument(harness: FaultHarness, **changes: object) -> None:
    with harness.exchange.lock:
        harness.exchange.account.update_instrument(SYMBOL, **changes)


def leverage(harness: FaultHarness) -> int:
    with harness.exchange.lock:
        return harness.exchange.account.positions(SYMBOL)[0].leverage


def alerts_with(harness: FaultHarness, text: str) -> list[str]:
    return [alert for alert in harness.alerts() if text in alert]


def read_account(harness: FaultHarness) -> None:
    """Cut the user data stream; after the reconnect the bot reads the account."""
    harness.inject(FaultKind.STREAM_CUT, path="user")


@in_both_modes
def test_f13_stop_off_a_new_tick_is_placed_by_the_new_filters(harness: FaultHarness) -> None:
    harness.trigger_entry()
    change_instrument(harness, tick=D(10), min_price=D(10), price_precision=0)
    harness.fill()
    harness.wait_protected()
    with harness.exchange.lock:
        codes = [
            each.code for each in harness.exchange.account.request_log.received if "-s" in each.request.client_order_id
        ]
    assert codes[-1] is None
    assert set(codes[:-1]) <= {-1111, -4014}
    assert len(codes) in (2, 3)  # the bot waits for new filters for at most a second
    assert harness.orders(STOP)[0].stop_price % 10 == 0
    harness.check_consistency(unprotected_ms=3_000)


@pytest.mark.parametrize("is_set", [True, False])
def test_f36_wrong_leverage_blocks_entries(make_harness: MakeHarness, is_set: bool) -> None:
    harness = make_harness({"set_leverage": is_set}, leverage=20).start()
    with harness.exchange.lock:
        harness.exchange.account.set_leverage(SYMBOL, 5)
    if is_set:
        wait_until(lambda: leverage(harness) == 20, 30, "the setting is restored")
        harness.open_position()
    else:
        mismatch = "leverage is 5 at the exchange, 20 in the settings"
        harness.measure("entries blocked", lambda: harness.verdict() == mismatch, 30)
        entries = harness.decided_entries()
        assert harness.verdict().startswith("leverage is 5 at the exchange")
        assert harness.decided_entries() == entries
    harness.check_consistency(unprotected_ms=2_000)


def test_f36_wrong_margin_type_blocks_entries(make_harness: MakeHarness) -> None:
    harness = make_harness({"set_margin_type": False}, margin_type="CROSSED").start()
    with harness.exchange.lock:
        harness.exchange.account.set_margin_type(SYMBOL, MarginType.ISOLATED)
    harness.wait_verdict("margin type is ISOLATED at the exchange", 30)
    entries = harness.decided_entries()
    assert "margin type is ISOLATED at the exchange" in harness.verdict()
    assert harness.decided_entries() == entries
    harness.check_consistency(unprotected_ms=2_000)


def add_symbol(harness: FaultHarness, name: str, **changes: Any) -> None:
    """Configure a second symbol before the start."""
    symbols = harness._document["symbols"]
    symbols[name] = {**symbols[SYMBOL], **changes}
    harness._write_settings()
    harness.settings = parse_settings(harness._document)


def check_other_symbol_is_blocked_alone(harness: FaultHarness, other: str, reason: str) -> None:
    harness.launch()
    wait_until(lambda: alerts_with(harness, f"no entries in {other}: {reason}"), 30, "it is refused")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 15, "trading is active")
    harness.open_position()
    assert f"no entries in {other}: {reason}" in harness.trading_status()[1]
    assert len(alerts_with(harness, f"no entries in {other}")) == 1
    harness.check_consistency(unprotected_ms=2_000)


def test_f36_leverage_above_the_bracket_blocks_its_symbol_only(make_harness: MakeHarness) -> None:
    harness = make_harness()
    add_symbol(harness, "SOLUSDT", leverage=125, stop_loss_pct="0.2")
    check_other_symbol_is_blocked_alone(harness, "SOLUSDT", "leverage 125x could not be set")


def test_f36_margin_type_with_an_open_order_blocks_its_symbol_only(make_harness: MakeHarness) -> None:
    harness = make_harness()
    add_symbol(harness, "ETHUSDT", margin_type="ISOLATED")
    with harness.exchange.lock:
        price = Price((harness.exchange.market["ETHUSDT"].quote.bid * D("0.97")).quantize(D(1)))
    side, gtc = PositionSide.BOTH, TimeInForce.GTC
    harness.submit_manual_order(
        OrderRequest("web_1", "ETHUSDT", Side.BUY, side, OrderType.LIMIT, Quantity(D("0.1")), price, time_in_force=gtc)
    )
    check_other_symbol_is_blocked_alone(harness, "ETHUSDT", "ISOLATED margin could not be set")


@in_both_modes
def test_f36_changed_position_mode_is_restored_before_entries(harness: FaultHarness) -> None:
    mode = harness.exchange.engine.hedge_mode
    with harness.exchange.lock:
        harness.exchange.account.set_position_mode(not mode)
    wait_until(lambda: harness.exchange.engine.hedge_mode is mode, 30, "the setting is restored")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 15, "trading is active")
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f37_symbol_that_stops_trading_is_closed_and_skipped(harness: FaultHarness) -> None:
    harness.open_position()
    change_instrument(harness, status="SETTLING")
    harness.run_task_now(Task.REFRESH_INSTRUMENTS)
    harness.measure("closed after the instruments are read", lambda: not harness.position, 10)
    wait_until(lambda: not harness.orders(), 10, "no open orders")
    assert len(alerts_with(harness, "is not trading (SETTLING)")) == 1
    assert "does not trade this symbol" in harness.verdict()
    change_instrument(harness, status="TRADING")
    harness.run_task_now(Task.REFRESH_INSTRUMENTS)
    wait_until(lambda: alerts_with(harness, "is traded again"), 15)
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


def test_f37_rejection_for_symbol_status_is_noticed_at_once(harness: FaultHarness) -> None:
    change_instrument(harness, status="PRE_SETTLE")
    harness.trigger_entry()
    wait_until(lambda: alerts_with(harness, "is not trading (PRE_SETTLE)"), 15)
    assert "does not trade this symbol" in harness.verdict()
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=0)


def test_f38_revoked_key_halts_until_it_works_again(harness: FaultHarness) -> None:
    harness.open_position()
    revoked = Fault(FaultKind.REJECTED, value=2015, times=FOREVER)
    harness.exchange.inject(revoked)
    read_account(harness)
    harness.measure("entries blocked", lambda: harness.trading_status()[0] == "HALTED", 5)
    assert "on Aster's site" in harness.trading_status()[1]
    assert len(harness.orders(STOP)) == 1
    remaining = revoked.times
    wait_until(lambda: revoked.times <= remaining - 3, 30, "it keeps polling")
    assert len(alerts_with(harness, "rejects this account")) == 1
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 40, "trading resumes")
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.check_consistency(unprotected_ms=2_000)


def test_f38_listen_key_rejection_halts_until_renewed(
    harness: FaultHarness,
) -> None:
    """REST still works: reading the account every two seconds must not clear the alert."""
    harness.open_position()
    harness.inject(FaultKind.REJECTED, path="listenKey", value=2015, times=FOREVER)
    read_account(harness)
    harness.measure("entries blocked", lambda: harness.trading_status()[0] == "HALTED", 5)
    halted_at = harness.state("bot")["heartbeat_at"]
    since = harness.last_journal_id()
    wait_until(lambda: harness.state("bot")["heartbeat_at"] > halted_at + 12_000, 25, "several attempts and reads")
    states = harness.rows("SELECT payload FROM journal WHERE kind = 'state' AND id > :since", since=since)
    assert all('"HALTED"' in row["payload"] for row in states)
    assert "on Aster's site" in harness.verdict()
    assert len(alerts_with(harness, "rejects this account")) == 1
    assert not alerts_with(harness, "accepts this account again")
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 40, "trading resumes")
    assert len(alerts_with(harness, "accepts this account again")) == 1
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.check_consistency(unprotected_ms=2_000)


@pytest.mark.parametrize("code", [4087, 4088, 2015])
def test_f38_reduce_only_account_halts_entries_and_protects(harness: FaultHarness, code: int) -> None:
    harness.open_position()
    harness.inject(FaultKind.REJECTED, ENTRY, value=code)
    harness.trigger_entry()
    wait_until(lambda: harness.trading_status()[0] == "HALTED", 5, "trading halts")
    since = harness.last_journal_id()
    read_account(harness)
    wait_until(lambda: harness.was_blocked("user data stream connected", since), 15, "the stream is cut")
    wait_until(lambda: "user data stream" not in harness.trading_status()[1], 15, "the account is read")
    assert harness.trading_status()[0] == "HALTED"
    harness.cancel_manually(harness.orders(STOP)[0].client_order_id)
    wait_until(lambda: len(harness.orders(STOP)) == 1, 15, "the stop is replaced")
    assert len(alerts_with(harness, "rejects this account")) == 1
    harness.check_consistency(unprotected_ms=2_000)


def recorded_transfers(harness: FaultHarness) -> list[str]:
    rows = harness.rows("SELECT amount FROM external_income WHERE type = 'TRANSFER' ORDER BY transaction_id")
    return [row["amount"] for row in rows]


def test_withdrawals_are_no_drawdown_whether_the_bot_runs_or_not(make_harness: MakeHarness) -> None:
    harness = make_harness({"max_drawdown_pct": 5}).start()
    wait_until(lambda: harness.state("loss_lock").get("peak"), 10, "the equity peak is known")
    harness.exchange.deposit("USDT", D(-2000))
    wait_until(lambda: "-2000" in recorded_transfers(harness), 30, "the history has the withdrawal")
    harness.stop()
    harness.exchange.deposit("USDT", D(-3000))
    harness.start()
    wait_until(lambda: "-3000" in recorded_transfers(harness), 30, "the history has the second withdrawal")
    with harness.exchange.lock:
        wallet = harness.exchange.engine.account().wallet_balance
    wait_until(lambda: D(harness.state("loss_lock")["peak"]) == wallet, 30, "the peak is the wallet's")
    assert harness.trading_status()[0] == "ACTIVE"
    assert harness.state("income")["stream_transfers"] == []
    assert not alerts_with(harness, "locked")
