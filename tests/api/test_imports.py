"""What was imported from other bots: shown apart, and part of no result."""

from src.database.imported import open_imported
from src.database.other_bots import OtherDatabase
from tests.api.harness import ApiHarness
from tests.builders import NOW
from tests.database.other_bots import make_older, older_trade

RESULTS = ("/api/trades", "/api/pnl/stats", "/api/pnl/symbols", "/api/stats", "/api/positions", "/api/liquidations")


def take_over(harness: ApiHarness) -> None:
    lost = older_trade(status="FILLED", filled_qty=0.002, realized_pnl=-500.0, commission=1.5)
    source = OtherDatabase(make_older(harness.home / "older.db", trades=[lost]), NOW)
    with open_imported(harness.environment.database) as history:
        for piece in source.liquidations():
            history.add_liquidations(source.program, piece)
        for trades in source.trades():
            history.add_trades(source.program, trades)
        history.record_import("database", "older.db", "1 new liquidation, 1 new trade", ["one note"], NOW)


def test_nothing_imported(harness: ApiHarness) -> None:
    assert harness.json("/api/imports") == {"imports": [], "liquidations": [], "trades": [], "newest_trades": []}


def test_imports_are_listed_with_their_notes(harness: ApiHarness) -> None:
    take_over(harness)
    found = harness.json("/api/imports")
    (row,) = found["imports"]
    assert (row["source"], row["summary"], row["notes"]) == ("older.db", "1 new liquidation, 1 new trade", ["one note"])
    part = {"program": "older", "count": 1, "first_at": NOW - 60_000, "last_at": NOW - 60_000}
    assert found["liquidations"] == [part]
    (trade,) = found["newest_trades"]
    assert (trade["symbol"], trade["status"], trade["realized_pnl"]) == ("BTCUSDT", "FILLED", "-500.0")


def test_imported_history_is_in_no_result(harness: ApiHarness) -> None:
    harness.heartbeat()
    before = {path: harness.json(path) for path in RESULTS}
    take_over(harness)
    assert {path: harness.json(path) for path in RESULTS} == before
