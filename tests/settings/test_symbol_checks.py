"""Checks of a symbol's settings against the exchange's filters."""

from dataclasses import replace
from typing import Any

import pytest

from src.domain.checks import Check, CheckLevel
from src.domain.margin import Bracket
from src.settings.symbol_checks import SymbolListing, check_symbol
from tests.builders import D, an_instrument, some_settings

BRACKETS = (Bracket(D(10_000), 100, D("0.005")), Bracket(D(100_000), 20, D("0.025")))
LISTED = SymbolListing(an_instrument(), D(50_000), BRACKETS)
BARE = replace(LISTED, brackets=(), is_account_known=True)
OK, WARN, FAIL = CheckLevel


def run_check(
    listing: SymbolListing = LISTED, globals_: dict[str, Any] | None = None, **changes: Any
) -> tuple[Check, ...]:
    settings = some_settings(globals_, **changes)
    return check_symbol("BTCUSDT", settings.symbols["BTCUSDT"], settings.globals_, listing)


def test_valid_symbol_is_one_line_with_its_entry_size() -> None:
    [line] = run_check()
    assert (line.level, line.message) == (OK, "entries of 500.00 USDT (50 margin at 10x) are possible")


@pytest.mark.parametrize(
    ("listing", "changes", "level", "said", "remedy"),
    [
        (replace(LISTED, instrument=None), {}, FAIL, "not listed", "correct the symbol's name"),
        (
            SymbolListing(None, None, problem="tickSize is missing"),
            {},
            FAIL,
            "(tickSize is missing)",
            "exchange's site",
        ),
        (replace(LISTED, instrument=an_instrument(status="SETTLING")), {}, FAIL, "SETTLING", "wait"),
        (replace(LISTED, price=None), {}, WARN, "its price is not known", "try again"),
        (LISTED, {"stop_loss_pct": 10}, FAIL, "liquidated at about 45226.1 (10x ISOLATED), before its stop", "9.36"),
        (replace(LISTED, brackets=()), {"stop_loss_pct": 5}, WARN, "brackets are not known", "the bot checks it"),
        (BARE, {"stop_loss_pct": 5}, FAIL, "a liquidation price of 47500 is assumed", "to 4.99 or less"),
        (LISTED, {"stop_loss_pct": 9, "max_position_usdt": 9_000}, WARN, "at max_position_usdt", "max_position_usdt"),
        (replace(LISTED, balance=D(49)), {}, FAIL, "needs 50 USDT margin, and the wallet has 49.00", "transfer USDT"),
        (LISTED, {"stop_loss_enabled": False}, WARN, "no stop loss", "stop_loss_enabled"),
        (LISTED, {"leverage": 101, "stop_loss_pct": "0.1"}, FAIL, "100x at most", "100 or less"),
        (LISTED, {"leverage": 50, "stop_loss_pct": "0.5", "max_position_usdt": 201}, WARN, "10,000 USDT", "200 or"),
        (LISTED, {"trade_value_usdt": 201}, FAIL, "max_position_usdt allows 200", "raise max_position_usdt"),
        (LISTED, {"trade_value_usdt": 2}, WARN, "minimum order is 50.00 USDT, the settings give 20.00", "5.00 or more"),
        (LISTED, {"trade_value_usdt": 1}, FAIL, "5.0 times as much, and max_raise_factor is 3", "5.00 or more"),
        (LISTED, {"trade_value_usdt": 1, "max_position_usdt": 4}, FAIL, "limits allow no more", "5.00 or more"),
    ],
)
def test_reason_not_to_trade_is_reported_with_its_remedy(
    listing: SymbolListing, changes: dict[str, Any], level: CheckLevel, said: str, remedy: str
) -> None:
    [line] = run_check(listing, **changes)
    assert line.level is level
    assert said in line.message
    assert remedy in line.remedy


def test_size_that_a_remedy_names_is_enough() -> None:
    """The number was rounded down to a cent, so that whoever set it got the same refusal again."""
    odd = replace(LISTED, price=D("50001.7"))  # the minimum order is 50.0017 USDT, and so 5.00017 of margin
    [line] = run_check(odd, trade_value_usdt=1)
    assert "set trade_value_usdt to 5.01 or more" in line.remedy
    assert [each.level for each in run_check(odd, trade_value_usdt="5.01")] == [OK]
    few = replace(LISTED, brackets=(Bracket(D(10_001), 100, D("0.005")), *BRACKETS[1:]))
    [line] = run_check(few, leverage=60, stop_loss_pct="0.5", max_position_usdt=201)
    assert line.remedy == "set max_position_usdt to 166.68 or less"


def test_every_problem_of_a_symbol_is_its_own_line() -> None:
    found = run_check(globals_={"max_total_exposure_usdt": 10}, stop_loss_pct=10)
    assert [line.level for line in found] == [FAIL, FAIL]
    assert "max_total_exposure_usdt allows 10" in found[1].message


def test_leverage_is_not_checked_without_brackets() -> None:
    [line] = run_check(replace(LISTED, brackets=()), leverage=101, stop_loss_pct="0.1")
    assert line.level is OK


def test_crossed_stop_is_judged_by_the_wallet() -> None:
    crossed: dict[str, Any] = {"margin_type": "CROSSED", "stop_loss_pct": 50}
    assert [line.level for line in run_check(replace(LISTED, collateral=D(10_000)), **crossed)] == [OK]
    [poor] = run_check(replace(LISTED, collateral=D(100)), **crossed)
    assert (poor.level, "add to the wallet" in poor.remedy) == (FAIL, True)
    [unknown] = run_check(LISTED, **crossed)
    assert (unknown.level, unknown.message.endswith("liquidation: the wallet is not known")) == (WARN, True)


def test_exits_that_a_coarse_tick_cannot_express_are_reported() -> None:
    coarse = an_instrument(tick=D("0.001"), min_price=D("0.001"))
    listing = replace(LISTED, instrument=coarse, price=D("0.050"))
    [stop, take] = run_check(listing, stop_loss_pct="1.5", take_profit_pct="0.9")
    assert (stop.level, take.level) == (FAIL, FAIL)
    assert stop.message == (
        "stop_loss_pct 1.5 is too close: one price step is 0.001 at an entry price of 0.05: no entry is made"
    )
    assert stop.remedy == "set it to 2 or more"
    assert "take_profit_pct 0.9 is too close" in take.message
    [line] = run_check(listing, stop_loss_pct="2", take_profit_pct="1.1")
    assert line.level is OK
