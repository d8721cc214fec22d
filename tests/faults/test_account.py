"""The exchange's rules, the account's terms and our access to it change while the bot runs (F13, F36-F38)."""

from decimal import Decimal

import pytest

from src.domain.enums import MarginType, OrderRole
from src.domain.events import Task
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeHarness, in_both_modes
from tests.faults.harness import SYMBOL, FaultHarness, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE


def change_rules(harness: FaultHarness, **changes: object) -> None:
    with harness.exchange.lock:
        harness.exchange.account.update_instrument(SYMBOL, **changes)


def leverage(harness: FaultHarness) -> int:
    with harness.exchange.lock:
        return harness.exchange.account.positions(SYMBOL)[0].leverage


def alerts_with(harness: FaultHarness, words: str) -> list[str]:
    return [alert for alert in harness.alerts() if words in alert]


def read_account(harness: FaultHarness) -> None:
    """The private stream is new, and the account is read after it."""
    harness.inject(FaultKind.STREAM_CUT, path="user")


@in_both_modes
def test_f13_a_stop_off_a_new_grid_is_placed_anew_by_the_rules_of_now(harness: FaultHarness) -> None:
    harness.trigger_entry()
    change_rules(harness, tick=D(10), min_price=D(10), price_precision=0)
    harness.fill()
    harness.wait_protected()
    with harness.exchange.lock:
        codes = [
            each.code for each in harness.exchange.account.request_log.received if "-s" in each.request.client_order_id
        ]
    assert codes[-1] is None
    assert set(codes[:-1]) <= {-1111, -4014}
    assert len(codes) in (2, 3)  # rules that a busy machine reads for over a second are not waited for longer
    assert harness.orders(STOP)[0].stop_price % 10 == 0
    harness.check_consistency(unprotected_ms=3_000)


@pytest.mark.parametrize("sets", [True, False])
def test_f36_entries_wait_while_the_leverage_is_not_what_the_settings_count_on(
    make_harness: MakeHarness, sets: bool
) -> None:
    harness = make_harness({"set_leverage": sets}, leverage=20).start()
    with harness.exchange.lock:
        harness.exchange.account.set_leverage(SYMBOL, 5)
    if sets:
        wait_until(lambda: leverage(harness) == 20, 30, "it is set back")
        harness.open_position()
    else:
        misfit = "leverage is 5 at the exchange, 20 in the settings"
        harness.measure("entries blocked", lambda: harness.verdict() == misfit, 30)
        made = harness.decided_entries()
        assert harness.verdict().startswith("leverage is 5 at the exchange")
        assert harness.decided_entries() == made
    harness.check_consistency(unprotected_ms=2_000)


def test_f36_entries_wait_while_the_margin_type_is_not_what_the_settings_count_on(make_harness: MakeHarness) -> None:
    harness = make_harness({"set_margin_type": False}, margin_type="CROSSED").start()
    with harness.exchange.lock:
        harness.exchange.account.set_margin_type(SYMBOL, MarginType.ISOLATED)
    harness.wait_verdict("margin type is ISOLATED at the exchange", 30)
    made = harness.decided_entries()
    assert "margin type is ISOLATED at the exchange" in harness.verdict()
    assert harness.decided_entries() == made
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f36_a_position_mode_changed_outside_is_set_back_before_the_next_entry(harness: FaultHarness) -> None:
    mode = harness.exchange.engine.hedge_mode
    with harness.exchange.lock:
        harness.exchange.account.set_position_mode(not mode)
    wait_until(lambda: harness.exchange.engine.hedge_mode is mode, 30, "it is set back")
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 15, "it trades")
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


@in_both_modes
def test_f37_a_symbol_that_stops_trading_is_left_and_gets_no_entry(harness: FaultHarness) -> None:
    harness.open_position()
    change_rules(harness, status="SETTLING")
    harness.run_task_now(Task.REFRESH_INSTRUMENTS)
    harness.measure("closed after the instruments are read", lambda: not harness.position, 10)
    wait_until(lambda: not harness.orders(), 10, "no order is left")
    assert len(alerts_with(harness, "is not trading (SETTLING)")) == 1
    assert "does not trade this symbol now" in harness.verdict()
    change_rules(harness, status="TRADING")
    harness.run_task_now(Task.REFRESH_INSTRUMENTS)
    wait_until(lambda: alerts_with(harness, "is traded again"), 15)
    harness.open_position()
    harness.check_consistency(unprotected_ms=2_000)


def test_f37_an_entry_refused_for_the_symbols_state_is_noticed_at_once(harness: FaultHarness) -> None:
    change_rules(harness, status="PRE_SETTLE")
    harness.trigger_entry()
    wait_until(lambda: alerts_with(harness, "is not trading (PRE_SETTLE)"), 15)
    assert "does not trade this symbol now" in harness.verdict()
    assert len(harness.received_orders(ENTRY)) == 1
    harness.check_consistency(unprotected_ms=0)


def test_f38_a_revoked_key_halts_entries_is_told_once_and_looked_at_until_it_works_again(harness: FaultHarness) -> None:
    harness.open_position()
    revoked = Fault(FaultKind.REJECTED, value=2015, times=FOREVER)
    harness.exchange.inject(revoked)
    read_account(harness)
    harness.measure("entries blocked", lambda: harness.trading_status()[0] == "HALTED", 5)
    assert "on Aster's site" in harness.trading_status()[1]
    assert len(harness.orders(STOP)) == 1
    looked = revoked.times
    wait_until(lambda: revoked.times <= looked - 3, 30, "it keeps looking")
    assert len(alerts_with(harness, "rejects this account")) == 1
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 40, "it trades again")
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.check_consistency(unprotected_ms=2_000)


def test_f38_a_private_stream_that_is_refused_alone_is_told_once_and_halts_until_its_key_is_had(
    harness: FaultHarness,
) -> None:
    """REST answers all the while: the account is read every two seconds, which must not take the alarm back."""
    harness.open_position()
    harness.inject(FaultKind.REJECTED, path="listenKey", value=2015, times=FOREVER)
    read_account(harness)
    harness.measure("entries blocked", lambda: harness.trading_status()[0] == "HALTED", 5)
    halted_at = harness.state("bot")["heartbeat_at"]
    since = harness.last_journal_id()
    wait_until(lambda: harness.state("bot")["heartbeat_at"] > halted_at + 12_000, 25, "several tries and reads")
    states = harness.rows("SELECT payload FROM journal WHERE kind = 'state' AND id > :since", since=since)
    assert all('"HALTED"' in row["payload"] for row in states)
    assert "on Aster's site" in harness.verdict()
    assert len(alerts_with(harness, "rejects this account")) == 1
    assert not alerts_with(harness, "accepts this account again")
    harness.exchange.clear_faults()
    wait_until(lambda: harness.trading_status()[0] == "ACTIVE", 40, "it trades again")
    assert len(alerts_with(harness, "accepts this account again")) == 1
    assert len(harness.orders(STOP)) == len(harness.received_orders(STOP)) == 1
    harness.check_consistency(unprotected_ms=2_000)


@pytest.mark.parametrize("code", [4087, 4088, 2015])
def test_f38_an_account_that_may_open_nothing_halts_entries_and_goes_on_protecting(
    harness: FaultHarness, code: int
) -> None:
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
