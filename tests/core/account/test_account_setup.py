from src.core.account.account_setup import describe, plan_account_setup, untradable_symbols
from src.domain.commands import SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.enums import MarginType, PositionSide
from tests.builders import a_report, a_snapshot, an_update, some_settings


def test_matching_account_needs_no_commands() -> None:
    setup = plan_account_setup(some_settings(), a_snapshot())
    assert (setup.commands, setup.conflicts) == ((), ())


def test_only_differences_are_configured() -> None:
    snapshot = a_snapshot(
        hedge_mode=False,
        multi_assets_mode=True,
        positions=(a_report(position_side=PositionSide.BOTH, leverage=20, margin_type=MarginType.CROSSED),),
    )
    assert plan_account_setup(some_settings(), snapshot).commands == (
        SetPositionMode(True),
        SetMultiAssetsMode(False),
        SetMarginType("BTCUSDT", MarginType.ISOLATED),
        SetLeverage("BTCUSDT", 10),
    )


def test_commands_are_described_for_log() -> None:
    commands = (
        SetPositionMode(True),
        SetMultiAssetsMode(False),
        SetMarginType("BTCUSDT", MarginType.ISOLATED),
        SetLeverage("BTCUSDT", 10),
    )
    assert [describe(each) for each in commands] == [
        "hedge mode",
        "multi-assets mode off",
        "BTCUSDT ISOLATED margin",
        "BTCUSDT leverage 10x",
    ]


def test_mode_that_cannot_change_is_a_conflict() -> None:
    busy = a_snapshot(hedge_mode=False, multi_assets_mode=True, open_orders=(an_update(),))
    setup = plan_account_setup(some_settings(), busy)
    assert setup.commands == ()
    assert "the account is in one-way mode, the settings require hedge" in setup.conflicts[0]
    assert "globals.hedge_mode to false" in setup.conflicts[0]
    assert "multi-assets" in setup.conflicts[1]


def test_multi_assets_mode_excludes_isolated_margin() -> None:
    settings, snapshot = some_settings({"multi_assets_mode": True}), a_snapshot(multi_assets_mode=True)
    setup = plan_account_setup(settings, snapshot)
    assert (setup.commands, setup.conflicts) == ((), ())
    reason = "multi-assets mode allows crossed margin only: set its margin_type to CROSSED"
    assert untradable_symbols(settings, snapshot) == {"BTCUSDT": reason}
    crossed = a_snapshot(multi_assets_mode=True, positions=(a_report(margin_type=MarginType.CROSSED),))
    assert plan_account_setup(settings, crossed).commands == ()
    assert untradable_symbols(settings, crossed) == {"BTCUSDT": reason}


def test_margin_type_of_open_position_is_kept() -> None:
    open_crossed = a_report("0.01", 50_000, margin_type=MarginType.CROSSED)
    assert plan_account_setup(some_settings(), a_snapshot(positions=(open_crossed,))).commands == ()


def test_manual_leverage_and_margin_type_are_kept() -> None:
    settings = some_settings({"set_leverage": False, "set_margin_type": False})
    other = a_snapshot(positions=(a_report(leverage=20, margin_type=MarginType.CROSSED),))
    assert plan_account_setup(settings, other).commands == ()


def test_mismatched_symbol_is_untradable_with_reason() -> None:
    settings = some_settings()
    assert untradable_symbols(settings, a_snapshot()) == {}
    leverage = a_snapshot(positions=(a_report(leverage=20),))
    assert untradable_symbols(settings, leverage) == {"BTCUSDT": "leverage is 20 at the exchange, 10 in the settings"}
    crossed = a_snapshot(positions=(a_report(margin_type=MarginType.CROSSED), a_report(symbol="ETHUSDT")))
    assert "margin type is CROSSED" in untradable_symbols(settings, crossed)["BTCUSDT"]
