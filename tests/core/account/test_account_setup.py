from src.core.account.account_setup import describe, plan_account_setup, untradable_symbols
from src.domain.commands import SetLeverage, SetMarginType, SetMultiAssetsMode, SetPositionMode
from src.domain.enums import MarginType, PositionSide
from tests.builders import a_report, a_snapshot, an_update, some_settings


def test_an_account_that_fits_is_left_alone() -> None:
    setup = plan_account_setup(some_settings(), a_snapshot())
    assert (setup.commands, setup.conflicts) == ((), ())


def test_only_what_differs_is_set() -> None:
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


def test_the_log_says_in_words_what_was_set() -> None:
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


def test_a_mode_that_cannot_change_now_is_said_in_one_sentence() -> None:
    busy = a_snapshot(hedge_mode=False, multi_assets_mode=True, open_orders=(an_update(),))
    setup = plan_account_setup(some_settings(), busy)
    assert setup.commands == ()
    assert "the account is in one-way mode, the settings require hedge" in setup.conflicts[0]
    assert "globals.hedge_mode to false" in setup.conflicts[0]
    assert "multi-assets" in setup.conflicts[1]


def test_multi_assets_mode_knows_no_isolated_margin() -> None:
    setup = plan_account_setup(some_settings({"multi_assets_mode": True}), a_snapshot(multi_assets_mode=True))
    assert setup.conflicts == ("multi-assets mode allows crossed margin only: set margin_type of BTCUSDT to CROSSED",)


def test_the_margin_type_of_an_open_position_is_left() -> None:
    open_crossed = a_report("0.01", 50_000, margin_type=MarginType.CROSSED)
    assert plan_account_setup(some_settings(), a_snapshot(positions=(open_crossed,))).commands == ()


def test_what_the_user_sets_by_hand_is_not_set() -> None:
    settings = some_settings({"set_leverage": False, "set_margin_type": False})
    other = a_snapshot(positions=(a_report(leverage=20, margin_type=MarginType.CROSSED),))
    assert plan_account_setup(settings, other).commands == ()


def test_a_symbol_set_otherwise_is_named_with_its_reason() -> None:
    settings = some_settings()
    assert untradable_symbols(settings, a_snapshot()) == {}
    leverage = a_snapshot(positions=(a_report(leverage=20),))
    assert untradable_symbols(settings, leverage) == {"BTCUSDT": "leverage is 20 at the exchange, 10 in the settings"}
    crossed = a_snapshot(positions=(a_report(margin_type=MarginType.CROSSED), a_report(symbol="ETHUSDT")))
    assert "margin type is CROSSED" in untradable_symbols(settings, crossed)["BTCUSDT"]
