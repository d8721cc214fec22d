"""Live trading: entries are blocked until the risk terms are confirmed, protection is not."""

import io
import os
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from src.core.events import ConsentTyped, SettingsChanged
from src.core.health.status import BotInfo
from src.core.limits.live_consent import load_pending_terms
from src.core.operator.cli import status_report
from src.core.operator.consent_prompt import prompt_in_terminal, prompt_until_agreed
from src.core.trading_status import EntryBlock
from src.domain.commands import OperatorAction
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, OrderStatus, TradingState
from tests.builders import NOW, some_settings
from tests.core.harness import Harness

ACCOUNT = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
LIVE = BotInfo("1.0", 1, NOW, "mainnet", False, ACCOUNT)
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


@pytest.fixture
def live(path: Path) -> Harness:
    """A connected bot with a real account and unconfirmed terms."""
    return Harness(path, identity=LIVE).connect()


def pending(harness: Harness) -> dict[str, Any]:
    return state(harness, "live_consent_pending")


def state(harness: Harness, key: str) -> dict[str, Any]:
    with harness.context.store.transaction():
        return harness.context.store.get_state(key) or {}


def confirm(harness: Harness) -> str:
    harness.command(OperatorAction.CONFIRM_LIVE, terms_fingerprint=pending(harness)["fingerprint"])
    return str(harness.journal("command")[-1]["message"])


def change(harness: Harness, global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> None:
    harness.feed(SettingsChanged(some_settings(global_changes, **symbol_changes)))
    harness.snapshot()


def test_no_entry_before_confirmation(live: Harness) -> None:
    live.liquidate()
    assert live.verdicts() == [Gate.TRADING_STATE]
    assert live.context.trading_status.state is TradingState.REDUCE_ONLY
    assert "live trading needs your confirmation" in live.context.trading_status.reason
    assert pending(live)["terms"]["account"] == ACCOUNT
    assert pending(live)["risk_increases"] == ["live trading has not been confirmed yet"]
    live.command(OperatorAction.RESUME)
    assert "live trading needs your confirmation" in live.journal("command")[-1]["message"]


def test_confirmation_allows_entries_across_restart(live: Harness) -> None:
    assert confirm(live) == f"confirmed: real orders on the mainnet for {ACCOUNT}"
    again = live.restart().connect()
    again.liquidate()
    assert again.verdicts() == [None]
    assert pending(again) == {}
    assert state(again, "live_consent")["at"] == NOW


def test_outdated_or_repeated_confirmation_changes_nothing(live: Harness) -> None:
    seen = pending(live)["fingerprint"]
    change(live, leverage=7)
    live.command(OperatorAction.CONFIRM_LIVE, terms_fingerprint=seen)
    assert "the settings have changed since then" in live.journal("command")[-1]["message"]
    assert live.context.trading_status.has(EntryBlock.CONSENT)
    confirm(live)
    live.command(OperatorAction.CONFIRM_LIVE, terms_fingerprint=seen)
    live.command(OperatorAction.CONFIRM_LIVE)
    assert [each["message"] for each in live.journal("command")][-2:] == ["nothing to confirm"] * 2


def test_only_more_risk_needs_new_consent(live: Harness) -> None:
    confirm(live)
    change(live, trade_value_usdt=20)
    assert not live.context.trading_status.has(EntryBlock.CONSENT)
    change(live, trade_value_usdt=25)
    assert live.context.trading_status.has(EntryBlock.CONSENT)
    assert "BTCUSDT: entry size from" in live.context.trading_status.reason
    confirm(live)
    assert not live.context.trading_status.has(EntryBlock.CONSENT)


def test_pending_consent_cancels_entry_and_keeps_stop(live: Harness) -> None:
    confirm(live)
    live.open_position()
    live.wait(61_000)
    live.snapshot(
        positions=(live.report(),), open_orders=(live.update_for(live.last(STOP)), live.update_for(live.last(TAKE)))
    )
    entry = live.enter()
    live.feed(SettingsChanged(some_settings(max_position_usdt=100_000)))
    live.audit()
    assert live.cancelled() == [entry.client_order_id]
    stops = len(live.submitted(STOP))
    live.end_order(live.last(STOP))
    live.wait(1000)
    assert len(live.submitted(STOP)) == stops + 1


def test_account_is_not_configured_before_confirmation(path: Path) -> None:
    harness = Harness(path, some_settings(leverage=9), identity=LIVE).connect()
    assert harness.sent == [] or all("Set" not in type(command).__name__ for command in harness.sent)
    confirm(harness)
    harness.snapshot()
    assert any("SetLeverage" in type(command).__name__ for command in harness.sent)


@pytest.mark.parametrize(
    "identity",
    [BotInfo("1.0", 1, NOW, "sandbox", False, ACCOUNT), BotInfo("1.0", 1, NOW, "mainnet", True)],
    ids=["sandbox", "paper"],
)
def test_sandbox_and_paper_need_no_confirmation(path: Path, identity: BotInfo) -> None:
    harness = Harness(path, identity=identity)
    assert not harness.context.trading_status.has(EntryBlock.CONSENT)
    assert pending(harness) == {}


def test_testnet_needs_confirmation(path: Path) -> None:
    assert (
        load_pending_terms(Harness(path, identity=BotInfo("1.0", 1, NOW, "testnet", False, ACCOUNT)).context.store)
        is not None
    )


def test_paper_run_discards_confirmation(live: Harness, path: Path) -> None:
    confirm(live)
    live.close()
    Harness(path, identity=BotInfo("1.0", 1, NOW, "mainnet", True)).close()
    assert load_pending_terms(Harness(path, identity=LIVE).context.store) is not None


def test_yes_option_confirms_and_is_journaled(path: Path) -> None:
    harness = Harness(path, identity=LIVE, assume_yes=True).connect()
    assert not harness.context.trading_status.has(EntryBlock.CONSENT)
    assert harness.journal("alert") == [
        {"level": "info", "message": f"live trading confirmed by --yes: real orders on the mainnet for {ACCOUNT}"}
    ]


def test_terminal_shows_terms_and_confirms(live: Harness) -> None:
    terms = load_pending_terms(live.context.store)
    assert terms is not None
    output: list[str] = []
    typed: list[ConsentTyped] = []
    lines = iter(["yes\n", "live\n"])
    prompt_until_agreed(terms, lambda: next(lines), output.append, typed.append)
    assert f"REAL ORDERS on the mainnet for {ACCOUNT}." in output[0]
    assert "BTCUSDT:" in output[0]
    assert output[1].startswith("Not confirmed")
    live.feed(*typed)
    assert not live.context.trading_status.has(EntryBlock.CONSENT)
    assert live.journal("command")[-1]["id"] == 0


def test_end_of_input_confirms_nothing(live: Harness) -> None:
    terms = load_pending_terms(live.context.store)
    assert terms is not None
    typed: list[ConsentTyped] = []
    prompt_until_agreed(terms, lambda: "", lambda _: None, typed.append)
    assert typed == []


def test_status_shows_pending_confirmation(live: Harness, path: Path) -> None:
    live.audit()
    lines = "\n".join(status_report(path, NOW).lines)
    assert "trading: REDUCE_ONLY, " in lines
    assert "live trading needs your confirmation (live trading has not been confirmed yet): confirm it" in lines


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_prompt_needs_a_terminal(
    live: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = load_pending_terms(live.context.store)
    assert terms is not None
    typed: Queue[ConsentTyped] = Queue()
    monkeypatch.setattr("sys.stdin", io.StringIO("LIVE\n"))  # a pipe, as under a service or the launcher
    prompt_in_terminal(terms, typed.put)
    assert capsys.readouterr().out == ""

    keyboard, screen = os.openpty()
    with os.fdopen(screen) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        prompt_in_terminal(terms, typed.put)
        os.write(keyboard, b"LIVE\n")
        assert typed.get(timeout=10) == ConsentTyped(terms.fingerprint)
    os.close(keyboard)
    assert typed.empty()


def moved_stop(harness: Harness, global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> str:
    """Save settings while a position is open, and return the price of its stop loss afterwards."""
    harness.feed(SettingsChanged(some_settings(global_changes, **symbol_changes)))
    harness.wait(2_000)
    stop = harness.last(STOP)
    if harness.order(stop).status is OrderStatus.PENDING_NEW:
        harness.accept(stop)
        harness.wait(2_000)
    return f"{stop.stop_price:.0f}"


def test_edit_by_hand_that_raises_risk_waits_for_consent(live: Harness) -> None:
    confirm(live)
    live.feed(SettingsChanged(some_settings(max_position_usdt=100_000)))
    assert live.journal("settings") == [{"message": "settings.json was edited by hand: settings applied"}]
    live.snapshot()
    live.liquidate()
    assert live.verdicts() == [Gate.TRADING_STATE]
    assert live.context.trading_status.has(EntryBlock.CONSENT)
    confirm(live)
    assert not live.context.trading_status.has(EntryBlock.CONSENT)


@pytest.mark.parametrize("changes", [{"stop_loss_enabled": False}, {"stop_loss_pct": 4}])
def test_wider_stop_waits_for_consent(live: Harness, changes: dict[str, Any]) -> None:
    confirm(live)
    live.open_position()
    stop = live.last(STOP)
    assert moved_stop(live, **changes) == "49000"
    assert live.context.trading_status.has(EntryBlock.CONSENT)
    assert live.submitted(STOP) == [stop]
    assert live.cancelled() == []
    confirm(live)
    live.wait(2_000)
    if "stop_loss_pct" in changes:
        assert live.last(STOP).stop_price == 48_000
    else:
        assert stop.client_order_id in live.cancelled()


def test_edit_while_the_bot_was_stopped_that_raises_risk_waits_for_consent(live: Harness) -> None:
    confirm(live)
    again = live.restart(some_settings(max_position_usdt=100_000)).connect()
    again.liquidate()
    assert again.verdicts() == [Gate.TRADING_STATE]
    assert again.context.trading_status.has(EntryBlock.CONSENT)


def test_nearer_stop_applies_before_consent(live: Harness) -> None:
    confirm(live)
    live.open_position()
    assert moved_stop(live, {"max_total_exposure_usdt": 900}, stop_loss_pct=1) == "49500"
    assert live.context.trading_status.has(EntryBlock.CONSENT)
    assert moved_stop(live, {"max_total_exposure_usdt": 900}, stop_loss_pct=4) == "49000"  # 2 % is confirmed


def test_confirmed_stop_survives_restart_and_removal_of_the_symbol(live: Harness) -> None:
    confirm(live)
    live.open_position()
    assert moved_stop(live, stop_loss_enabled=False) == "49000"
    without = live.context.settings.model_copy(update={"symbols": {}})
    live.feed(SettingsChanged(without))
    live.wait(2_000)
    assert live.cancelled() == []
    assert moved_stop(live, stop_loss_enabled=False) == "49000"  # the symbol is added again
    assert live.cancelled() == []
    again = live.restart(some_settings(stop_loss_enabled=False))
    assert again.context.symbol_settings("BTCUSDT").stop_loss_pct == 2  # type: ignore[union-attr]
    assert again.context.symbol_settings("BTCUSDT").stop_loss_enabled  # type: ignore[union-attr]
