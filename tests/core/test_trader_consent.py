"""Going live is deliberate: entries wait for a person's word on these very terms; protection does not."""

import io
import os
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from src.core.desks.consent_desk import pending_in
from src.core.operator.consent_prompt import TermsTyped, ask_in_terminal, ask_until_agreed
from src.core.operator.report import read_report
from src.core.operator.settings_changed import SettingsChanged
from src.core.standing import Obstacle
from src.core.status import Identity
from src.domain.decisions import Gate
from src.domain.enums import OrderRole, TradingState
from src.domain.messages import OperatorAction
from tests.builders import NOW, some_settings
from tests.core.rig import Rig

ACCOUNT = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
LIVE = Identity("1.0", 1, NOW, "mainnet", False, ACCOUNT)
STOP, TAKE = OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT


@pytest.fixture
def live(path: Path) -> Rig:
    """A bot with a real account, connected, to which nobody has said yes."""
    return Rig(path, identity=LIVE).connect()


def pending(rig: Rig) -> dict[str, Any]:
    return state(rig, "live_pending")


def state(rig: Rig, key: str) -> dict[str, Any]:
    with rig.desk.store.transaction():
        return rig.desk.store.get_state(key) or {}


def agree(rig: Rig) -> str:
    rig.command(OperatorAction.CONFIRM_LIVE, terms=pending(rig)["fingerprint"])
    return str(rig.journal("command")[-1]["message"])


def change(rig: Rig, global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> None:
    rig.feed(SettingsChanged(some_settings(global_changes, **symbol_changes)))
    rig.snapshot()


def test_nothing_is_entered_before_a_person_has_agreed(live: Rig) -> None:
    live.liquidate()
    assert live.verdicts() == [Gate.TRADING_STATE]
    assert live.desk.standing.state is TradingState.REDUCE_ONLY
    assert "real orders wait for your word" in live.desk.standing.reason
    assert pending(live)["terms"]["account"] == ACCOUNT
    assert pending(live)["rising"] == ["real orders have not been agreed to yet"]
    live.command(OperatorAction.RESUME)
    assert "real orders wait for your word" in live.journal("command")[-1]["message"]


def test_the_word_lets_entries_through_and_a_restart_does_not_ask_again(live: Rig) -> None:
    assert agree(live) == f"agreed: real orders on the mainnet for {ACCOUNT}"
    again = live.restart().connect()
    again.liquidate()
    assert again.verdicts() == [None]
    assert pending(again) == {}
    assert state(again, "live_agreed")["at"] == NOW


def test_a_word_on_other_terms_and_a_second_one_change_nothing(live: Rig) -> None:
    seen = pending(live)["fingerprint"]
    change(live, leverage=7)
    live.command(OperatorAction.CONFIRM_LIVE, terms=seen)
    assert "the settings have changed since then" in live.journal("command")[-1]["message"]
    assert live.desk.standing.has(Obstacle.CONSENT)
    agree(live)
    live.command(OperatorAction.CONFIRM_LIVE, terms=seen)
    live.command(OperatorAction.CONFIRM_LIVE)
    assert [each["message"] for each in live.journal("command")][-2:] == ["nothing waits to be agreed to"] * 2


def test_more_risk_is_asked_for_anew_and_less_is_not(live: Rig) -> None:
    agree(live)
    change(live, trade_value_usdt=20)
    assert not live.desk.standing.has(Obstacle.CONSENT)
    change(live, trade_value_usdt=25)
    assert live.desk.standing.has(Obstacle.CONSENT)
    assert "BTCUSDT: the size of an entry from" in live.desk.standing.reason
    agree(live)
    assert not live.desk.standing.has(Obstacle.CONSENT)


def test_an_open_entry_ends_and_a_position_stays_protected_while_it_waits(live: Rig) -> None:
    agree(live)
    live.open_position()
    live.wait(61_000)
    live.snapshot(positions=(live.report(),), open_orders=(live.told(live.last(STOP)), live.told(live.last(TAKE))))
    entry = live.enter()
    live.feed(SettingsChanged(some_settings(max_position_usdt=100_000)))
    live.audit()
    assert live.cancelled() == [entry.client_order_id]
    stops = len(live.submitted(STOP))
    live.ended(live.last(STOP))
    live.wait(1000)
    assert len(live.submitted(STOP)) == stops + 1


def test_the_account_is_not_set_up_before_the_word(path: Path) -> None:
    rig = Rig(path, some_settings(leverage=9), identity=LIVE).connect()
    assert rig.sent == [] or all("Set" not in type(command).__name__ for command in rig.sent)
    agree(rig)
    rig.snapshot()
    assert any("SetLeverage" in type(command).__name__ for command in rig.sent)


@pytest.mark.parametrize(
    "identity",
    [Identity("1.0", 1, NOW, "sandbox", False, ACCOUNT), Identity("1.0", 1, NOW, "mainnet", True)],
    ids=["sandbox", "paper"],
)
def test_play_money_needs_no_word(path: Path, identity: Identity) -> None:
    rig = Rig(path, identity=identity)
    assert not rig.desk.standing.has(Obstacle.CONSENT)
    assert pending(rig) == {}


def test_the_testnet_needs_one_too(path: Path) -> None:
    assert pending_in(Rig(path, identity=Identity("1.0", 1, NOW, "testnet", False, ACCOUNT)).desk.store) is not None


def test_going_back_to_paper_forgets_the_word(live: Rig, path: Path) -> None:
    agree(live)
    live.close()
    Rig(path, identity=Identity("1.0", 1, NOW, "mainnet", True)).close()
    assert pending_in(Rig(path, identity=LIVE).desk.store) is not None


def test_yes_at_start_agrees_and_is_written_down(path: Path) -> None:
    rig = Rig(path, identity=LIVE, assume_yes=True).connect()
    assert not rig.desk.standing.has(Obstacle.CONSENT)
    assert rig.journal("alert") == [
        {"level": "info", "message": f"real orders on the mainnet for {ACCOUNT}, agreed to by --yes"}
    ]


def test_the_terminal_shows_the_terms_and_takes_the_word(live: Rig) -> None:
    terms = pending_in(live.desk.store)
    assert terms is not None
    said: list[str] = []
    typed: list[TermsTyped] = []
    lines = iter(["yes\n", "live\n"])
    ask_until_agreed(terms, lambda: next(lines), said.append, typed.append)
    assert f"REAL ORDERS on the mainnet for {ACCOUNT}." in said[0]
    assert "BTCUSDT:" in said[0]
    assert said[1].startswith("Not agreed")
    live.feed(*typed)
    assert not live.desk.standing.has(Obstacle.CONSENT)
    assert live.journal("command")[-1]["id"] == 0


def test_the_end_of_input_agrees_to_nothing(live: Rig) -> None:
    terms = pending_in(live.desk.store)
    assert terms is not None
    typed: list[TermsTyped] = []
    ask_until_agreed(terms, lambda: "", lambda _: None, typed.append)
    assert typed == []


def test_status_says_that_it_waits(live: Rig, path: Path) -> None:
    live.audit()
    lines = "\n".join(read_report(path, NOW).lines)
    assert "trading: REDUCE_ONLY, " in lines
    assert "real orders wait for your word (real orders have not been agreed to yet): confirm them" in lines


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals to sit at")
def test_only_a_person_at_a_terminal_is_asked(
    live: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = pending_in(live.desk.store)
    assert terms is not None
    typed: Queue[TermsTyped] = Queue()
    monkeypatch.setattr("sys.stdin", io.StringIO("LIVE\n"))  # a pipe, as a service or the launcher has
    ask_in_terminal(terms, typed.put)
    assert capsys.readouterr().out == ""

    keyboard, screen = os.openpty()
    with os.fdopen(screen) as seat:
        monkeypatch.setattr("sys.stdin", seat)
        ask_in_terminal(terms, typed.put)
        os.write(keyboard, b"LIVE\n")
        assert typed.get(timeout=10) == TermsTyped(terms.fingerprint)
    os.close(keyboard)
    assert typed.empty()
