"""What asks for more than was agreed to, and what does not."""

from dataclasses import replace
from typing import Any

import pytest

from src.core.limits.risk_terms import RiskTerms, risk_increases, terms_from_json, terms_from_settings
from src.domain.commands import is_confirmation
from src.domain.enums import Network
from src.settings.config import parse_settings, settings_document
from tests.builders import some_settings

ACCOUNT = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"


def terms(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> RiskTerms:
    return terms_from_settings(some_settings(global_changes, **symbol_changes), Network.MAINNET, ACCOUNT)


AGREED = terms({"max_daily_loss_usdt": 50, "max_drawdown_pct": 10}, trade_side="BUY", stop_loss_pct=2)


def rising(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> str:
    limits = {"max_daily_loss_usdt": 50, "max_drawdown_pct": 10, **(global_changes or {})}
    wanted = terms(limits, **{"trade_side": "BUY", "stop_loss_pct": 2, **symbol_changes})
    return "; ".join(risk_increases(AGREED, wanted))


def test_the_first_time_asks_for_a_word() -> None:
    assert risk_increases(None, AGREED) == ("live trading has not been confirmed yet",)
    assert risk_increases(AGREED, AGREED) == ()


@pytest.mark.parametrize(
    ("global_changes", "symbol_changes", "words"),
    [
        ({"max_total_exposure_usdt": 100_000}, {}, "max total margin from"),
        ({"max_daily_loss_usdt": 51}, {}, "max_daily_loss_usdt from 50 to 51"),
        ({"max_daily_loss_usdt": None}, {}, "max_daily_loss_usdt from 50 to no limit"),
        ({"max_drawdown_pct": 11}, {}, "max_drawdown_pct from 10 to 11"),
        ({"multi_assets_mode": True}, {"margin_type": "CROSSED"}, "all assets of the account"),
        ({"adopt_foreign_positions": True}, {}, "positions you opened manually are adopted"),
        ({}, {"trade_value_usdt": 100_000}, "BTCUSDT: entry size from"),
        ({}, {"leverage": 125}, "leverage from"),
        ({}, {"leverage": 1, "trade_value_usdt": 51}, "BTCUSDT: entry margin from 50 to 51"),
        ({}, {"max_position_usdt": 100_000}, "max margin from"),
        ({}, {"margin_type": "CROSSED"}, "the whole balance is at risk"),
        ({}, {"trade_side": "OPPOSITE"}, "both directions are traded"),
        ({}, {"trade_side": "SELL"}, "the other direction is traded (SELL)"),
        ({}, {"stop_loss_enabled": False}, "the stop loss is disabled"),
        ({}, {"stop_loss_pct": 3}, "stop loss distance in percent from 2 to 3"),
    ],
)
def test_more_risk_is_named(global_changes: dict[str, Any], symbol_changes: dict[str, Any], words: str) -> None:
    assert words in rising(global_changes, **symbol_changes)


@pytest.mark.parametrize(
    ("global_changes", "symbol_changes"),
    [
        ({"max_total_exposure_usdt": 1}, {}),
        ({"max_daily_loss_usdt": 1, "max_consecutive_losses": 3}, {}),
        ({"cooldown_sec": 5, "hedge_mode": False}, {}),
        ({}, {"trade_value_usdt": 1}),
        ({}, {"leverage": 1}),
        ({}, {"max_position_usdt": 1}),
        ({}, {"stop_loss_pct": 1, "take_profit_pct": 7, "volume_threshold": 1}),
    ],
)
def test_less_risk_or_none_is_not(global_changes: dict[str, Any], symbol_changes: dict[str, Any]) -> None:
    assert rising(global_changes, **symbol_changes) == ""


def test_a_symbol_that_comes_is_more_and_one_that_goes_is_less() -> None:
    document = settings_document(some_settings())
    both = parse_settings({**document, "symbols": {**document["symbols"], "ETHUSDT": document["symbols"]["BTCUSDT"]}})
    more, less = terms_from_settings(both, Network.MAINNET, ACCOUNT), terms()
    assert risk_increases(less, more) == ("ETHUSDT is new",)
    assert risk_increases(more, less) == ()


@pytest.mark.parametrize("change", [{"account": "0xother"}, {"network": Network.TESTNET}])
def test_other_account_needs_new_consent(change: dict[str, Any]) -> None:
    [sentence] = risk_increases(AGREED, replace(AGREED, **change))
    assert sentence.startswith("another account: ")


def test_terms_survive_the_ledger_and_the_fingerprint_knows_them() -> None:
    assert terms_from_json(AGREED.to_json()) == AGREED
    assert terms_from_json(AGREED.to_json()).fingerprint == AGREED.fingerprint
    assert terms(stop_loss_pct="2.50").fingerprint == terms(stop_loss_pct="2.5").fingerprint
    assert terms(leverage=3).fingerprint != terms(leverage=4).fingerprint


@pytest.mark.parametrize("typed", ["LIVE", " live\n", "7C4e", "7c4E "])
def test_the_word_or_the_end_of_the_account_agrees(typed: str) -> None:
    assert is_confirmation(typed, ACCOUNT)


@pytest.mark.parametrize(("typed", "account"), [("", ""), ("yes", ACCOUNT), ("", ACCOUNT), ("c4e", ACCOUNT)])
def test_nothing_else_does(typed: str, account: str) -> None:
    assert not is_confirmation(typed, account)
