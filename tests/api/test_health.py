"""The health endpoint: bot, mode, connections, and today's result."""

import sqlite3
from contextlib import closing

import pytest

from src.domain.positions import AccountSummary
from tests.api.harness import ApiHarness, Trip
from tests.builders import NOW, D

MINUTE_MS = 60_000


def test_values_are_null_before_the_bots_first_start(harness: ApiHarness) -> None:
    health = harness.json("/api/health")
    assert (health["status"], health["database"], health["settings"]) == ("degraded", "missing", "healthy")
    assert health["bot"]["alive"] is False and health["bot"]["heartbeat_at"] is None
    assert health["trading_state"] is None and health["drawdown_pct"] is None
    assert health["exposure"] == {"margin": None, "cap": None, "notional": None}


def test_bot_with_heartbeat_is_healthy(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.set_state("trading", state="ACTIVE", reason="")
    harness.set_state("market_stream", state="up", last_event_at=NOW - 250)
    harness.set_state("rate_limits", weight_used=12, weight_limit=2400, blocked_until=0)
    harness.set_state("clock", offset_ms=-3)
    harness.set_state("event_queue", waiting=2, dropped=0, lag_ms=4)
    harness.set_state("unreadable_messages", count=3, last_problem="a response of the exchange: not JSON", last_at=NOW)
    harness.set_state("exposure", margin=D("10.50"), notional=D(105), cap=D(500))
    health = harness.json("/api/health")
    assert (health["status"], health["mode"], health["network"]) == ("healthy", "SANDBOX", "sandbox")
    assert (health["trading_state"], health["trading_state_reason"]) == ("ACTIVE", None)
    assert health["market_stream"] == {"state": "up", "last_event_at": NOW - 250, "age_ms": 250}
    assert health["user_stream"] == {"state": None, "last_event_at": None, "age_ms": None}
    assert health["api_weight"] == {"used": 12, "limit": 2400, "blocked_until": None}
    assert health["clock_offset_ms"] == -3
    assert health["event_queue"] == {"waiting": 2, "dropped": 0, "lag_ms": 4}
    assert health["unreadable_messages"]["count"] == 3
    assert health["exposure"] == {"margin": "10.50", "cap": "500", "notional": "105"}
    assert health["timestamp"] == NOW


def test_bot_without_market_stream_is_degraded(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.set_state("market_stream", state="down", last_event_at=NOW - 250)
    health = harness.json("/api/health")
    assert (health["status"], health["bot"]["alive"]) == ("degraded", True)


def test_bot_is_down_after_15_s_without_heartbeat(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.clock.advance(15_000)
    assert harness.json("/api/health")["bot"]["alive"] is True
    harness.clock.advance(1)
    health = harness.json("/api/health")
    assert (health["status"], health["bot"]["alive"], health["bot"]["age_ms"]) == ("degraded", False, 15_001)


def test_bot_is_down_right_after_clean_shutdown(harness: ApiHarness) -> None:
    harness.heartbeat()
    store = harness.store
    with store.transaction():
        store.begin_run("0.1.0", 7)
        store.end_run()
    assert harness.json("/api/health")["bot"]["alive"] is False
    harness.clock.advance(1)
    harness.heartbeat(started_at=harness.clock.now_ms())  # another bot, which still waits for the exchange
    assert harness.json("/api/health")["bot"]["alive"] is True


@pytest.mark.parametrize(
    ("bot", "mode"),
    [
        ({"network": "mainnet"}, "LIVE"),
        ({"network": "testnet"}, "TESTNET"),
        ({"network": "sandbox"}, "SANDBOX"),
        ({"network": "mainnet", "is_simulated": True}, "PAPER"),
    ],
)
def test_mode_comes_from_the_bots_status(harness: ApiHarness, bot: dict[str, object], mode: str) -> None:
    harness.heartbeat(**bot)
    assert harness.json("/api/health")["mode"] == mode


def test_pause_and_halt_of_the_operator_are_shown(harness: ApiHarness) -> None:
    harness.set_state("operator_state", last_id=3, paused=True, halted=False)
    assert harness.json("/api/health")["operator"] == {"paused": True, "halted": False}


def test_block_that_needs_resume_is_shown_as_halted(harness: ApiHarness) -> None:
    harness.set_state("trading", state="REDUCE_ONLY", reason="locked until 14:30 UTC", needs_resume=True)
    assert harness.json("/api/health")["operator"] == {"paused": False, "halted": True}


@pytest.mark.parametrize(("text", "word"), [("{", "faulty"), (None, "missing")])
def test_invalid_settings_file_is_reported(harness: ApiHarness, text: str | None, word: str) -> None:
    harness.settings_file.unlink() if text is None else harness.settings_file.write_text(text, encoding="utf-8")
    health = harness.json("/api/health")
    assert (health["settings"], health["status"], health["mode"]) == (word, "degraded", "PAPER")


def test_today_adds_up_exactly(harness: ApiHarness) -> None:
    harness.heartbeat()
    harness.add_round_trip(Trip(realized_pnl=D("0.1"), commission=D("0.05")))
    harness.add_round_trip(
        Trip(entry="yesterday00", opened_at=NOW - 2 * 86_400_000, closed_at=NOW - 86_400_000, number=2)
    )
    today = harness.json("/api/health")["today"]
    assert today == {"realized_pnl": "0.1", "commission": "-0.10", "funding": "0", "net": "0.00", "not_included": []}


def test_drawdown_is_measured_from_the_highest_equity(harness: ApiHarness) -> None:
    harness.heartbeat()
    store = harness.store
    with store.transaction():
        for minute, equity in enumerate(("1000", "1250", "1000")):
            balance = D(equity)
            summary = AccountSummary(balance, D(0), balance, balance, D(0), D(0))
            store.save_account(summary, NOW - (3 - minute) * MINUTE_MS)
    harness.set_state("account", margin_balance="1000", at=NOW)
    assert harness.json("/api/health")["drawdown_pct"] == 20.0


def test_transfers_are_no_drawdown_on_the_page(harness: ApiHarness) -> None:
    harness.heartbeat()
    store = harness.store
    with store.transaction():
        for minute, (equity, transfers) in enumerate((("1000", "0"), ("400", "-600"), ("380", "-600"))):
            balance = D(equity)
            summary = AccountSummary(balance, D(0), balance, balance, D(0), D(0))
            store.save_account(summary, NOW - (3 - minute) * MINUTE_MS, D(transfers))
    harness.set_state("account", margin_balance="380", transfers="-600", at=NOW)
    assert harness.json("/api/health")["drawdown_pct"] == 5.0


def test_damaged_database_is_an_error(harness: ApiHarness) -> None:
    (harness.home / "data").mkdir(exist_ok=True)
    (harness.home / "data" / "bot.db").write_bytes(b"this is no database at all" * 100)
    response = harness.get("/api/positions")
    assert response.status_code == 503
    assert response.json["error"]["code"] == "database_unreadable"


def test_database_of_another_version_is_reported(harness: ApiHarness) -> None:
    (harness.home / "data").mkdir(exist_ok=True)
    with closing(sqlite3.connect(harness.home / "data" / "bot.db")) as connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("create table bot_runs (of_the_future integer)")
    response = harness.get("/api/health")
    assert response.status_code == 503
    assert "made by another version of this program" in response.json["error"]["message"]


def test_database_of_another_program_is_named_and_left_as_it_is(harness: ApiHarness) -> None:
    (harness.home / "data").mkdir(exist_ok=True)
    path = harness.home / "data" / "bot.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("pragma journal_mode=wal; create table liquidations (id); create table trades (id)")
    path.chmod(0o644)
    before = path.read_bytes(), path.stat().st_mode, sorted(path.parent.glob("bot.db*"))
    response = harness.get("/api/health")
    assert response.status_code == 503
    assert response.json["error"]["code"] == "database_of_another_program"
    assert "belongs to another program, the older bot's database" in response.json["error"]["message"]
    assert (path.read_bytes(), path.stat().st_mode, sorted(path.parent.glob("bot.db*"))) == before


def test_database_being_created_counts_as_missing(harness: ApiHarness) -> None:
    (harness.home / "data").mkdir(exist_ok=True)
    (harness.home / "data" / "bot.db").touch()
    assert harness.json("/api/health")["database"] == "missing"
    assert harness.json("/api/positions") == []
    harness.set_state("account", margin_balance="1000", at=NOW)
    assert harness.json("/api/health")["database"] == "healthy"


def test_open_questions_about_positions_are_listed(harness: ApiHarness) -> None:
    harness.heartbeat()
    assert harness.json("/api/health")["position_questions"] == []
    item = {"symbol": "BTCUSDT", "position_side": "BOTH", "quantity": "-1.5", "own_quantity": "-1.0", "asked_at": NOW}
    harness.set_state("position_questions", items=[item])
    assert harness.json("/api/health")["position_questions"] == [
        {
            **item,
            "side": "SHORT",
            "summary": "BTCUSDT SHORT: the exchange holds 1.5, the bot's own trades explain 1.0.",
        }
    ]
    harness.set_state("position_questions", items=[])
    assert harness.json("/api/health")["position_questions"] == []
