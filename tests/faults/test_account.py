"""The exchange's rules, the account's terms and our access to it change while the bot runs (F13, F36-F38)."""

from decimal import Decimal

import pytest

from src.domain.enums import MarginType, OrderRole
from src.domain.messages import Duty
from src.sandbox.faults import FOREVER, Fault, FaultKind
from tests.faults.conftest import MakeRig, in_both_modes
from tests.faults.rig import SYMBOL, Rig, wait_until

pytestmark = pytest.mark.recovery

D = Decimal
ENTRY, STOP, CLOSE = OrderRole.ENTRY, OrderRole.STOP_LOSS, OrderRole.CLOSE


def change_rules(rig: Rig, **changes: object) -> None:
    with rig.exchange.lock:
        rig.exchange.account.change_rules(SYMBOL, **changes)


def leverage(rig: Rig) -> int:
    with rig.exchange.lock:
        return rig.exchange.account.positions(SYMBOL)[0].leverage


def alarms(rig: Rig, words: str) -> list[str]:
    return [alert for alert in rig.alerts() if words in alert]


def read_account(rig: Rig) -> None:
    """The private stream is new, and the account is read after it."""
    rig.inject(FaultKind.STREAM_CUT, path="user")


@in_both_modes
def test_f13_a_stop_off_a_new_grid_is_placed_anew_by_the_rules_of_now(rig: Rig) -> None:
    rig.hunt()
    change_rules(rig, tick=D(10), min_price=D(10), price_precision=0)
    rig.fill()
    rig.wait_protected()
    with rig.exchange.lock:
        codes = [each.code for each in rig.exchange.account.records.received if "-s" in each.request.client_order_id]
    assert codes[-1] is None
    assert set(codes[:-1]) <= {-1111, -4014}
    assert len(codes) in (2, 3)  # rules that a busy machine reads for over a second are not waited for longer
    assert rig.orders(STOP)[0].stop_price % 10 == 0
    rig.check_books(naked_ms=3_000)


@pytest.mark.parametrize("sets", [True, False])
def test_f36_entries_wait_while_the_leverage_is_not_what_the_settings_count_on(make_rig: MakeRig, sets: bool) -> None:
    rig = make_rig({"set_leverage": sets}, leverage=20).start()
    with rig.exchange.lock:
        rig.exchange.account.set_leverage(SYMBOL, 5)
    if sets:
        wait_until(lambda: leverage(rig) == 20, 30, "it is set back")
        rig.open_position()
    else:
        misfit = "the exchange has leverage 5, the settings want 20"
        rig.measure("entries wait", lambda: rig.verdict() == misfit, 30)
        made = rig.decided()
        assert rig.verdict().startswith("the exchange has leverage 5")
        assert rig.decided() == made
    rig.check_books(naked_ms=2_000)


def test_f36_entries_wait_while_the_margin_type_is_not_what_the_settings_count_on(make_rig: MakeRig) -> None:
    rig = make_rig({"set_margin_type": False}, margin_type="CROSSED").start()
    with rig.exchange.lock:
        rig.exchange.account.set_margin_type(SYMBOL, MarginType.ISOLATED)
    rig.wait_verdict("the exchange has ISOLATED margin", 30)
    made = rig.decided()
    assert "the exchange has ISOLATED margin" in rig.verdict()
    assert rig.decided() == made
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f36_a_position_mode_changed_outside_is_set_back_before_the_next_entry(rig: Rig) -> None:
    mode = rig.exchange.engine.hedge_mode
    with rig.exchange.lock:
        rig.exchange.account.set_position_mode(not mode)
    wait_until(lambda: rig.exchange.engine.hedge_mode is mode, 30, "it is set back")
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 15, "it trades")
    rig.open_position()
    rig.check_books(naked_ms=2_000)


@in_both_modes
def test_f37_a_symbol_that_stops_trading_is_left_and_gets_no_entry(rig: Rig) -> None:
    rig.open_position()
    change_rules(rig, status="SETTLING")
    rig.remind(Duty.RULES)
    rig.measure("closed once the rules are read", lambda: not rig.position, 10)
    wait_until(lambda: not rig.orders(), 10, "no order is left")
    assert len(alarms(rig, "is not traded now (SETTLING)")) == 1
    assert "does not trade this symbol now" in rig.verdict()
    change_rules(rig, status="TRADING")
    rig.remind(Duty.RULES)
    wait_until(lambda: alarms(rig, "is traded again"), 15)
    rig.open_position()
    rig.check_books(naked_ms=2_000)


def test_f37_an_entry_refused_for_the_symbols_state_is_noticed_at_once(rig: Rig) -> None:
    change_rules(rig, status="PRE_SETTLE")
    rig.hunt()
    wait_until(lambda: alarms(rig, "is not traded now (PRE_SETTLE)"), 15)
    assert "does not trade this symbol now" in rig.verdict()
    assert len(rig.arrived(ENTRY)) == 1
    rig.check_books(naked_ms=0)


def test_f38_a_revoked_key_halts_entries_is_told_once_and_looked_at_until_it_works_again(rig: Rig) -> None:
    rig.open_position()
    revoked = Fault(FaultKind.REFUSED, value=2015, times=FOREVER)
    rig.exchange.inject(revoked)
    read_account(rig)
    rig.measure("entries halt", lambda: rig.trading()[0] == "HALTED", 5)
    assert "look on Aster's site" in rig.trading()[1]
    assert len(rig.orders(STOP)) == 1
    looked = revoked.times
    wait_until(lambda: revoked.times <= looked - 3, 30, "it keeps looking")
    assert len(alarms(rig, "refuses this account")) == 1
    rig.exchange.clear_faults()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 40, "it trades again")
    assert len(rig.orders(STOP)) == len(rig.arrived(STOP)) == 1
    rig.check_books(naked_ms=2_000)


def test_f38_a_private_stream_that_is_refused_alone_is_told_once_and_halts_until_its_key_is_had(rig: Rig) -> None:
    """REST answers all the while: the account is read every two seconds, which must not take the alarm back."""
    rig.open_position()
    rig.inject(FaultKind.REFUSED, path="listenKey", value=2015, times=FOREVER)
    read_account(rig)
    rig.measure("entries halt", lambda: rig.trading()[0] == "HALTED", 5)
    halted_at = rig.state("bot")["heartbeat_at"]
    since = rig.last_told()
    wait_until(lambda: rig.state("bot")["heartbeat_at"] > halted_at + 12_000, 25, "several tries and reads")
    states = rig.rows("SELECT payload FROM journal WHERE kind = 'state' AND id > :since", since=since)
    assert all('"HALTED"' in row["payload"] for row in states)
    assert "look on Aster's site" in rig.verdict()
    assert len(alarms(rig, "refuses this account")) == 1
    assert not alarms(rig, "accepts this account again")
    rig.exchange.clear_faults()
    wait_until(lambda: rig.trading()[0] == "ACTIVE", 40, "it trades again")
    assert len(alarms(rig, "accepts this account again")) == 1
    assert len(rig.orders(STOP)) == len(rig.arrived(STOP)) == 1
    rig.check_books(naked_ms=2_000)


@pytest.mark.parametrize("code", [4087, 4088, 2015])
def test_f38_an_account_that_may_open_nothing_halts_entries_and_goes_on_protecting(rig: Rig, code: int) -> None:
    rig.open_position()
    rig.inject(FaultKind.REFUSED, ENTRY, value=code)
    rig.hunt()
    wait_until(lambda: rig.trading()[0] == "HALTED", 5, "trading halts")
    since = rig.last_told()
    read_account(rig)
    wait_until(lambda: rig.was_held_back("the private stream is new", since), 15, "the stream is cut")
    wait_until(lambda: "private stream" not in rig.trading()[1], 15, "the account is read")
    assert rig.trading()[0] == "HALTED"
    rig.cancel_by_hand(rig.orders(STOP)[0].client_order_id)
    wait_until(lambda: len(rig.orders(STOP)) == 1, 15, "the stop is replaced")
    assert len(alarms(rig, "refuses this account")) == 1
    rig.check_books(naked_ms=2_000)
