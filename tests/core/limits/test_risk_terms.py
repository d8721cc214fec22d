"""Which changes raise risk above the confirmed terms."""

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


CONFIRMED = terms({"max_daily_loss_usdt": 50, "max_drawdown_pct": 10}, trade_side="BUY", stop_loss_pct=2)


def increases(global_changes: dict[str, Any] | None = None, **symbol_changes: Any) -> str:
    limits = {"max_daily_loss_usdt": 50, "max_drawdown_pct": 10, **(global_changes or {})}
    wanted = terms(limits, **{"trade_side": "BUY", "stop_loss_pct": 2, **symbol_changes})
    return "; ".join(risk_increases(CONFIRMED, wanted))


def test_first_live_run_needs_confirmation() -> None:
    assert risk_increases(None, CONFIRMED) == ("live trading has not been confirmed yet",)
    assert risk_increases(CONFIRMED, CONFIRMED) == ()


@pytest.mark.parametrize(
    ("global_changes", "symbol_changes", "words"),
    [
        ({"max_total_exposure_usdt": 100_000}, {}, "max total margin from"),
        ({"max_daily_loss_usdt": 51}, {}, "max_daily_loss_usdt from 50 to 51"),
        ({"max_daily_loss_usdt": None}, {}, "max_daily_loss_usdt from 50 to no limit"),
        ({"max_drawdown_pct": 11}, {}, "max_drawdown_pct from 10 to 11"),
        ({"max_raise_factor": 4}, {}, "max_raise_factor from 3 to 4"),
        ({"multi_assets_mode": True}, {"margin_type": "CROSSED"}, "all assets of the account"),
        ({"adopt_foreign_positions": True}, {}, "positions you opened manually are adopted"),
        ({"on_liquidation_near": "ALERT"}, {}, "a position may be liquidated before its stop loss"),
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
def test_risk_increase_is_named(global_changes: dict[str, Any], symbol_changes: dict[str, Any], words: str) -> None:
    assert words in increases(global_changes, **symbol_changes)


@pytest.mark.parametrize(
    ("global_changes", "symbol_changes"),
    [
        ({"max_total_exposure_usdt": 1}, {}),
        ({"max_daily_loss_usdt": 1, "max_consecutive_losses": 3}, {}),
        ({"max_raise_factor": 2}, {}),
        ({"cooldown_sec": 5, "hedge_mode": False}, {}),
        ({}, {"trade_value_usdt": 1}),
        ({}, {"leverage": 1}),
        ({}, {"max_position_usdt": 1}),
        ({}, {"stop_loss_pct": 1, "take_profit_pct": 7, "volume_threshold": 1}),
    ],
)
def test_lower_or_equal_risk_is_no_increase(global_changes: dict[str, Any], symbol_changes: dict[str, Any]) -> None:
    assert increases(global_changes, **symbol_changes) == ""


def test_new_symbol_raises_risk_and_removed_one_does_not() -> None:
    document = settings_document(some_settings())
    both = parse_settings({**document, "symbols": {**document["symbols"], "ETHUSDT": document["symbols"]["BTCUSDT"]}})
    more, less = terms_from_settings(both, Network.MAINNET, ACCOUNT), terms()
    assert risk_increases(less, more) == ("ETHUSDT is new",)
    assert risk_increases(more, less) == ()


@pytest.mark.parametrize("change", [{"account": "0xother"}, {"network": Network.TESTNET}])
def test_other_account_needs_new_consent(change: dict[str, Any]) -> None:
    [sentence] = risk_increases(CONFIRMED, replace(CONFIRMED, **change))
    assert sentence.startswith("another account: ")


def test_stored_terms_keep_their_fingerprint() -> None:
    assert terms_from_json(CONFIRMED.to_json()) == CONFIRMED
    assert terms_from_json(CONFIRMED.to_json()).fingerprint == CONFIRMED.fingerprint
    assert terms(stop_loss_pct="2.50").fingerprint == terms(stop_loss_pct="2.5").fingerprint
    assert terms(leverage=3).fingerprint != terms(leverage=4).fingerprint


@pytest.mark.parametrize("typed", ["LIVE", " live\n", "7C4e", "7c4E "])
def test_confirm_word_or_account_suffix_confirms(typed: str) -> None:
    assert is_confirmation(typed, ACCOUNT)


@pytest.mark.parametrize(("typed", "account"), [("", ""), ("yes", ACCOUNT), ("", ACCOUNT), ("c4e", ACCOUNT)])
def test_other_input_does_not_confirm(typed: str, account: str) -> None:
    assert not is_confirmation(typed, account)
