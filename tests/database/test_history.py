"""A database with a long history: no query of the page or of the trader reads all of a table."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select

from benchmarks.history import ENDPOINTS
from benchmarks.history_data import Scale, make_history
from src.database.db import open_reader, open_writer, read_transaction
from src.database.models import DecisionRow, FillRow, JournalRow, LiquidationRow
from src.database.queries.fills import entries_since, net_since, recent_exits
from src.database.repositories import Store
from src.database.tables.market import Cutoffs
from src.domain.clock import DAY_MS, SystemClock
from src.domain.enums import PositionSide
from tests.api.harness import ApiHarness

SCALE = Scale(0.0003)
BIG_TABLES = (
    *("liquidations", "decisions", "trades", "order_relationships", "order_status", "fills", "funding_payments"),
    *("journal", "account_history", "round_trips", "symbol_volume", "hourly_volume", "daily_results", "position_marks"),
)
ALLOWED = ("ix_decisions_newest_entry", "ix_decisions_entries")
"""Indexes of few rows that may be read from end to end: the entries."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose bot has run for two years."""
    home = tmp_path_factory.mktemp("history")
    (home / "data").mkdir()
    make_history(home / "data", SCALE)
    return home


@pytest.fixture
def path(home: Path) -> Path:
    return home / "data" / "bot.db"


@pytest.fixture
def reader(path: Path) -> Iterator[Connection]:
    with read_transaction(open_reader(path)) as connection:
        yield connection


@contextmanager
def recorded_statements() -> Iterator[dict[str, Any]]:
    """Every statement that is executed meanwhile, with one set of its parameters."""
    found: dict[str, Any] = {}

    def record(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        found[statement] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def scans(path: Path, statements: dict[str, Any]) -> list[str]:
    """The steps of the plans that read a big table from end to end."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        for statement, parameters in statements.items():
            if statement.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "DELETE", "UPDATE")):
                plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                big = [step for step in plan if any(step.startswith(f"SCAN {table}") for table in BIG_TABLES)]
                found += [
                    f"{step}: {' '.join(statement.split())}" for step in big if not is_short(step, plan, statement)
                ]
    return found


def is_short(step: str, plan: list[str], statement: str) -> bool:
    """Whether a scan ends early: the first rows in the order of an index, without a condition that most rows fail."""
    is_first_rows = "LIMIT" in statement and not any("TEMP B-TREE" in each for each in plan)
    return any(name in step for name in ALLOWED) or (is_first_rows and "WHERE" not in statement)


def test_generated_history_has_the_rows_of_its_scale(reader: Connection) -> None:
    tables = (LiquidationRow, DecisionRow, JournalRow, FillRow)
    counts = [reader.scalar(select(func.count()).select_from(row)) for row in tables]
    assert counts == [SCALE.liquidations, SCALE.verdicts, SCALE.journal, 3 * SCALE.trips]


@pytest.fixture
def dashboard(home: Path) -> Iterator[ApiHarness]:
    harness = ApiHarness(home, clock=SystemClock())  # type: ignore[arg-type]
    yield harness
    harness.close()


@pytest.mark.parametrize("path_of_page", [*ENDPOINTS, "/api/trades.csv?hours=43800", "/api/round-trips"])
def test_no_page_reads_a_whole_table(dashboard: ApiHarness, path: Path, path_of_page: str) -> None:
    with recorded_statements() as statements:
        assert dashboard.get(path_of_page).status_code == 200
    assert statements and scans(path, statements) == []


LISTS = ("/api/liquidations?hours=43800", "/api/decisions?", "/api/trades?hours=43800", "/api/round-trips?")


@pytest.mark.parametrize(
    "list_path", [*LISTS, "/api/trades?hours=43800&include_all=1", "/api/decisions?only_entries=1"]
)
def test_pages_continue_where_the_last_one_ended(dashboard: ApiHarness, path: Path, list_path: str) -> None:
    whole = [row["id"] for row in dashboard.json(f"{list_path}&limit=9")]
    with recorded_statements() as statements:
        parts = [row["id"] for row in dashboard.json(f"{list_path}&limit=4")]
        for _ in range(2):
            parts += [row["id"] for row in dashboard.json(f"{list_path}&limit=4&before={parts[-1]}")]
    assert len(whole) == 9 and parts[:9] == whole
    assert scans(path, statements) == []


def test_journal_pages_go_back_in_time(dashboard: ApiHarness) -> None:
    newest = [entry["id"] for entry in dashboard.json("/api/journal?limit=6")]
    before = [entry["id"] for entry in dashboard.json(f"/api/journal?limit=3&before={newest[3]}")]
    assert before == newest[:3]
    alerts = dashboard.json("/api/journal?limit=5&kind=alert,state")
    assert alerts and {entry["kind"] for entry in alerts} == {"alert"}


def prune_and_summarize(store: Store) -> None:
    store.maintenance.prune_before(Cutoffs(1, 1, 1))
    store.maintenance.step()


def trader_queries(store: Store, now_ms: int) -> dict[str, Callable[[], Any]]:
    """What the trader reads at its start, after a change of settings, for a decision, and after a fill."""
    symbol, side, day = "COIN001USDT", PositionSide.BOTH, now_ms - DAY_MS
    return {
        "open orders": store.load_open_orders,
        "last entries": store.last_entries,
        "recent liquidations": lambda: store.recent_liquidations(now_ms - 60_000),
        "newest liquidation": store.load_last_ids,
        "entries of a minute": lambda: store.read(partial(entries_since, since_ms=now_ms - 60_000)),
        "net of the day": lambda: store.read(partial(net_since, since_ms=day, is_simulated=False)),
        "recent exits": lambda: store.read(partial(recent_exits, fill_id=0, limit=5, is_simulated=False)),
        "result of a position": lambda: store.result_since(symbol, side, day),
        "fees of a position": lambda: store.uncounted_fees(symbol, side, day),
        "fills without fee": lambda: store.fills_without_fee(day),
        "last funding": store.last_funding_at,
        "an order": lambda: store.load_order("lh-0000000001-e"),
        "maintenance": lambda: prune_and_summarize(store),
    }


def test_trader_never_reads_a_whole_table(path: Path) -> None:
    clock = SystemClock()
    engine = open_writer(path)
    store = Store(engine, clock)
    found = {}
    for name, query in trader_queries(store, clock.now_ms()).items():
        with recorded_statements() as statements, store.transaction():
            query()
        found[name] = scans(path, statements)
        assert statements or name == "fees of a position"  # that one is run by SQLite's driver
    engine.dispose()
    assert {name: faults for name, faults in found.items() if faults} == {}
