"""PnL by day and symbol."""

from src.domain.enums import OrderRole
from src.domain.positions import AccountSummary, Income
from tests.api.harness import ApiHarness, Trip
from tests.builders import NOW, D

DAY_MS = 86_400_000
WIN = Trip(realized_pnl=D("5"), commission=D("0.1"))
LOSS = Trip(
    entry="loser0000000",
    exit_role=OrderRole.STOP_LOSS,
    realized_pnl=D("-2.3"),
    opened_at=NOW - DAY_MS,
    closed_at=NOW - DAY_MS + 1,
    number=2,
)
OLD = Trip(entry="older0000000", opened_at=NOW - 9 * DAY_MS, closed_at=NOW - 8 * DAY_MS, number=3)


def fund(harness: ApiHarness, amount: str, at: int, number: int = 1) -> None:
    store = harness.store
    with store.transaction():
        assert store.record_funding(Income(number, "BTCUSDT", "FUNDING_FEE", "USDT", D(amount), at))


def test_totals_are_exact_and_signed(harness: ApiHarness) -> None:
    harness.add_round_trip(LOSS)
    harness.add_round_trip(WIN)
    fund(harness, "-0.0000001", WIN.opened_at)
    totals = harness.json("/api/pnl/stats?days=7")["totals"]
    assert (totals["realized_pnl"], totals["commission"]) == ("2.7", "-0.4")
    assert (totals["funding_fee"], totals["net_pnl"]) == ("-0.0000001", "2.2999999")
    assert (totals["trades"], totals["winning_trades"], totals["losing_trades"], totals["win_rate"]) == (2, 1, 1, 50.0)
    assert (totals["best_trade"], totals["worst_trade"]) == ("4.7999999", "-2.5")
    assert totals["profit_factor"] == "1.92"


def test_transfers_are_shown_apart(harness: ApiHarness) -> None:
    harness.add_round_trip(WIN)
    store = harness.store
    with store.transaction():
        for number, (amount, at) in enumerate((("500", NOW - 2000), ("-120.5", NOW - 1000), ("9", NOW - 9 * DAY_MS))):
            transfer = Income(number, "", "TRANSFER", "USDT", D(amount), at)
            assert store.record_external_income(transfer, D(amount))
            assert not store.record_external_income(transfer, D(amount))
    totals = harness.json("/api/pnl/stats?days=7")["totals"]
    assert (totals["net_pnl"], totals["not_included"]) == ("4.8", ["deposits and withdrawals +379.5 USDT"])


def test_funding_of_a_persons_own_positions_is_shown_apart(harness: ApiHarness) -> None:
    harness.add_round_trip(WIN)
    theirs = Income(9, "ETHUSDT", "FUNDING_FEE", "USDT", D("-25"), NOW - 1000)
    store = harness.store
    with store.transaction():
        assert store.record_funding(theirs, is_external=True)
    totals = harness.json("/api/pnl/stats?days=7")["totals"]
    assert (totals["net_pnl"], totals["funding_fee"]) == ("4.8", "0")
    assert totals["not_included"] == ["funding of your own positions -25 USDT"]
    by_symbol = harness.json("/api/pnl/symbols?days=7")
    assert [(each["symbol"], each["net_pnl"]) for each in by_symbol] == [("BTCUSDT", "4.8")]


def test_days_are_utc_days_within_the_period(harness: ApiHarness) -> None:
    for trip in (OLD, LOSS, WIN):
        harness.add_round_trip(trip)
    stats = harness.json("/api/pnl/stats?days=2")
    assert [(day["date"], day["net_pnl"]) for day in stats["daily"]] == [("2025-06-14", "-2.5"), ("2025-06-15", "4.8")]
    assert stats["exits"] == [
        {"reason": "STOP_LOSS", "trades": 1, "net_pnl": "-2.5"},
        {"reason": "TAKE_PROFIT", "trades": 1, "net_pnl": "4.8"},
    ]
    assert len(harness.json("/api/pnl/stats?days=30")["daily"]) == 4


def test_trip_counts_on_the_day_it_closed(harness: ApiHarness) -> None:
    harness.add_round_trip(Trip(opened_at=NOW - 3 * DAY_MS, closed_at=NOW - 1))
    daily = harness.json("/api/pnl/stats?days=1")["daily"]
    assert [(day["trades"], day["realized_pnl"]) for day in daily] == [(1, "5")]


def test_keys_of_the_older_bot_are_present(harness: ApiHarness) -> None:
    harness.add_round_trip(WIN)
    stats = harness.json("/api/pnl/stats?days=4")
    assert stats["summary"] == {
        "total_realized_pnl": "5",
        "total_funding_fees": "0",
        "total_commissions": "-0.2",
        "total_pnl": "4.8",
        "total_trades": 1,
        "total_wins": 1,
        "total_losses": 0,
        "win_rate": 100.0,
        "best_trade": "4.8",
        "worst_trade": "4.8",
        "average_pnl": "1.20000000",
    }
    (day,) = stats["daily_stats"]
    assert (day["trade_count"], day["win_count"], day["largest_win"], day["commissions"]) == (1, 1, "4.8", "-0.2")


def test_results_without_trades_are_zero(harness: ApiHarness) -> None:
    stats = harness.json("/api/pnl/stats")
    assert (stats["daily"], stats["equity"], stats["exits"]) == ([], [], [])
    assert (stats["totals"]["net_pnl"], stats["totals"]["profit_factor"]) == ("0", None)


def test_symbols_are_ranked_by_net_pnl(harness: ApiHarness) -> None:
    harness.add_round_trip(LOSS)
    harness.add_round_trip(Trip(symbol="ETHUSDT", number=5))
    rows = harness.json("/api/pnl/symbols?days=7")
    assert [(row["symbol"], row["net_pnl"], row["trades"]) for row in rows] == [
        ("ETHUSDT", "4.8", 1),
        ("BTCUSDT", "-2.5", 1),
    ]
    assert rows[0]["total_trades"] == rows[0]["wins"] == 1


def test_paper_results_are_separate_from_live_ones(harness: ApiHarness) -> None:
    harness.add_round_trip(WIN, simulated=True)
    harness.add_round_trip(LOSS)
    harness.heartbeat()
    assert harness.json("/api/pnl/stats")["totals"]["net_pnl"] == "-2.5"
    harness.heartbeat(is_simulated=True)
    assert harness.json("/api/pnl/stats")["totals"]["net_pnl"] == "4.8"
    assert harness.json("/api/health")["today"]["net"] == "4.8"


def test_equity_curve_is_thinned_and_keeps_its_last_point(harness: ApiHarness) -> None:
    store = harness.store
    with store.transaction():
        for minute in range(1_300):
            balance = D(1000 + minute)
            at = NOW - (1_299 - minute) * 60_000
            store.save_account(AccountSummary(balance, D(0), balance, balance, D(0), D(0)), at)
    curve = harness.json("/api/pnl/stats?days=2")["equity"]
    assert 400 < len(curve) <= 501
    assert curve[-1] == {"at": NOW, "equity": "2299", "wallet": "2299"}
    assert [point["at"] for point in curve] == sorted(point["at"] for point in curve)
