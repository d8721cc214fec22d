from src.core.books import Holding
from src.core.plans.reconcile import GRACE_MS, reconcile
from src.domain.enums import OrderStatus, PositionSide
from tests.builders import NOW, a_position, a_report, a_snapshot, an_order, an_update

SLOT = ("BTCUSDT", PositionSide.LONG)


def test_an_order_the_snapshot_does_not_show_is_doubted() -> None:
    order = an_order(sent_at=NOW - 1)
    assert reconcile([order], {}, [], a_snapshot()).doubtful == (order,)


def test_an_order_shown_younger_or_ended_is_not_doubted() -> None:
    shown = an_order(sent_at=NOW - 1)
    young = an_order(number=1, sent_at=NOW + 1)
    ended = an_order(number=2, status=OrderStatus.FILLED, sent_at=NOW - 1)
    found = reconcile([shown, young, ended], {}, [], a_snapshot(open_orders=(an_update(),)))
    assert found.doubtful == ()
    assert found.updates == (an_update(),)


def test_a_position_we_know_less_of_is_taken_over() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - GRACE_MS)
    report = a_report("0.02", 50_000)
    found = reconcile([], {SLOT: holding}, [], a_snapshot(positions=(report,)))
    assert found.reports == (report,)
    assert found.corrections == ((holding, report),)


def test_news_after_the_question_stand_above_the_snapshot() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW)
    found = reconcile([], {SLOT: holding}, [], a_snapshot(positions=(a_report(),)))
    assert (found.reports, found.corrections) == ((), ())


def test_a_difference_younger_than_the_grace_is_looked_at_again() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - GRACE_MS + 1)
    found = reconcile([], {SLOT: holding}, [], a_snapshot(positions=(a_report(),)))
    assert (found.reports, found.corrections, found.is_early) == ((), (), True)


def test_a_report_older_than_our_trade_is_never_taken_over() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - GRACE_MS, filled_at=NOW)
    found = reconcile([], {SLOT: holding}, [], a_snapshot(positions=(a_report(updated_at=NOW - 1),)))
    assert (found.reports, found.corrections, found.is_early) == ((), (), True)


def test_a_report_without_a_date_is_believed_against_our_trades_only_after_a_minute() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - 59_999, filled_at=NOW - 60_000)
    snapshot = a_snapshot(positions=(a_report(updated_at=0),))
    assert reconcile([], {SLOT: holding}, [], snapshot).reports == ()
    holding.touched_at -= 1
    assert reconcile([], {SLOT: holding}, [], snapshot).reports == snapshot.positions


def test_an_equal_report_is_taken_over_for_what_else_it_tells() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - 1)
    report = a_report("0.01", 50_000, leverage=20)
    found = reconcile([], {SLOT: holding}, [], a_snapshot(positions=(report,)))
    assert (found.reports, found.corrections, found.is_early) == ((report,), (), False)


def test_a_position_of_ours_that_has_traded_since_we_last_heard_of_it_is_untold_whatever_its_size() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - 1, entry="lh-1", filled_at=NOW - 5000)
    for updated_at, untold in ((NOW, (holding,)), (NOW - 5000, ()), (0, ())):
        snapshot = a_snapshot(positions=(a_report("0.01", 50_000, updated_at=updated_at),))
        assert reconcile([], {SLOT: holding}, [], snapshot).untold == untold


def test_a_strangers_position_is_nothing_we_ought_to_be_told_of() -> None:
    holding = Holding(a_position("0.01"), touched_at=NOW - 1)
    snapshot = a_snapshot(positions=(a_report("0.01", 50_000, updated_at=NOW),))
    assert reconcile([], {SLOT: holding}, [], snapshot).untold == ()


def test_an_unknown_flat_slot_is_no_correction() -> None:
    assert reconcile([], {}, [], a_snapshot()).corrections == ()


def test_orders_of_others_that_are_gone_are_named() -> None:
    shown = an_update(client_order_id="web-1", order_id=7)
    assert reconcile([], {}, [7, 8], a_snapshot(open_orders=(shown,))).gone_foreign == (8,)
