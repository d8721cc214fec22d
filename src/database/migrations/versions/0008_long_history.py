"""Keep lists and statistics fast with years of history: indexes, closed positions as rows, results by day, volumes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MONEY = sa.String(length=64)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
GAP_MS = 60_000
IS_COUNTED = "traded_at <= received_at + 1000"

STALE = """
CREATE TRIGGER {name} AFTER {event} BEGIN
  INSERT INTO stale_results (is_simulated, symbol, since) VALUES ({row}.is_simulated, {row}.symbol, {row}.{at})
  ON CONFLICT (is_simulated, symbol) DO UPDATE SET since = min(since, excluded.since);
END
"""
STALE_EVENTS = (
    ("stale_after_fill", "INSERT ON fills", "NEW", "traded_at"),
    ("stale_after_fee", "UPDATE OF commission, commission_asset, commission_value ON fills", "NEW", "traded_at"),
    ("stale_after_funding", "INSERT ON funding_payments", "NEW", "paid_at"),
    ("stale_after_income", "INSERT ON external_income", "NEW", "paid_at"),
    ("stale_after_position", "DELETE ON positions", "OLD", "updated_at"),
)
MARKS = f"""
CREATE TRIGGER {{name}} AFTER {{event}} ON positions
WHEN NEW.mark_price IS NOT NULL AND NEW.protection != 'EXTERNAL' BEGIN
  INSERT INTO position_marks (symbol, position_side, is_simulated, opened_at, highest, lowest, seen_at, has_gap)
  VALUES (NEW.symbol, NEW.position_side, NEW.is_simulated, NEW.opened_at, NEW.mark_price, NEW.mark_price,
          NEW.updated_at, NEW.updated_at - NEW.opened_at > {GAP_MS})
  ON CONFLICT (symbol, position_side, is_simulated, opened_at) DO UPDATE SET
    highest = iif(CAST(excluded.highest AS REAL) > CAST(highest AS REAL), excluded.highest, highest),
    lowest = iif(CAST(excluded.lowest AS REAL) < CAST(lowest AS REAL), excluded.lowest, lowest),
    has_gap = has_gap OR excluded.seen_at - seen_at > {GAP_MS},
    seen_at = excluded.seen_at;
END
"""
EQUITY = f"""
CREATE TRIGGER {{name}} AFTER {{event}} ON account_history BEGIN
  INSERT INTO daily_equity (is_simulated, day, highest)
  VALUES (NEW.is_simulated, NEW.recorded_at - NEW.recorded_at % {DAY_MS},
          CAST(NEW.margin_balance AS REAL) - CAST(NEW.transfers AS REAL))
  ON CONFLICT (is_simulated, day) DO UPDATE SET highest = max(highest, excluded.highest);
END
"""


def upgrade() -> None:
    _create_indexes()
    _create_results()
    _create_summaries()
    _fill()
    for name, event, row, at in STALE_EVENTS:
        op.execute(STALE.format(name=name, event=event, row=row, at=at))
    for event in ("INSERT", "UPDATE"):
        op.execute(MARKS.format(name=f"marks_after_{event.lower()}", event=event))
        op.execute(EQUITY.format(name=f"equity_after_{event.lower()}", event=event))


def _create_indexes() -> None:
    op.create_index(op.f("ix_decisions_decided_at"), "decisions", ["decided_at"])
    is_entry = sa.text("gate IS NULL")
    op.create_index("ix_decisions_entries", "decisions", ["decided_at"], sqlite_where=is_entry)
    op.create_index("ix_decisions_entries_symbol", "decisions", ["symbol", "decided_at"], sqlite_where=is_entry)
    newest = ["symbol", "liquidation_side", "liquidation_id"]
    op.create_index("ix_decisions_newest_entry", "decisions", newest, sqlite_where=is_entry)
    op.drop_index(op.f("ix_trades_order_status"), "trades")
    op.create_index(op.f("ix_trades_order_status_created_at"), "trades", ["order_status", "created_at"])
    op.create_index(op.f("ix_trades_updated_at"), "trades", ["updated_at"])
    counted = ["created_at", "symbol", "order_status", "status"]
    op.create_index("ix_trades_entries", "trades", counted, sqlite_where=sa.text("role = 'ENTRY'"))
    op.create_index("ix_trades_simulated", "trades", ["created_at"], sqlite_where=sa.text("status = 'SIMULATED'"))
    op.create_index(op.f("ix_fills_symbol_position_side_traded_at"), "fills", ["symbol", "position_side", "traded_at"])


def _create_results() -> None:
    op.create_table(
        "round_trips",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("symbol", "position_side", "side")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("entry_client_order_id", "exit_reason")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("opened_at", "closed_at")),
        sa.Column("quantity", MONEY, nullable=False),
        *(sa.Column(name, MONEY, nullable=True) for name in ("entry_price", "exit_price")),
        *(sa.Column(name, MONEY, nullable=False) for name in ("realized_pnl", "commission", "funding_fee", "net_pnl")),
        *(sa.Column(name, MONEY, nullable=True) for name in ("initial_risk", "r_multiple", "mfe", "mae")),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("has_manual_trades", "is_complete")),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_trips")),
    )
    op.create_index(op.f("ix_round_trips_is_simulated_closed_at"), "round_trips", ["is_simulated", "closed_at"])
    of_symbol = ["symbol", "is_simulated", "closed_at"]
    op.create_index(op.f("ix_round_trips_symbol_is_simulated_closed_at"), "round_trips", of_symbol)
    op.create_index(op.f("ix_round_trips_entry_client_order_id"), "round_trips", ["entry_client_order_id"])
    op.create_table(
        "daily_results",
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        *(sa.Column(name, MONEY, nullable=False) for name in ("realized_pnl", "commission", "funding_fee")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("trades", "winning_trades", "losing_trades")),
        *(sa.Column(name, MONEY, nullable=False) for name in ("gross_profit", "gross_loss")),
        *(sa.Column(name, MONEY, nullable=True) for name in ("best_trade", "worst_trade")),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("is_simulated", "day", "symbol", name=op.f("pk_daily_results")),
    )
    op.create_table(
        "stale_results",
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("is_simulated", "symbol", name=op.f("pk_stale_results")),
    )
    op.create_table(
        "position_marks",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("symbol", "position_side")),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("opened_at", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, MONEY, nullable=False) for name in ("highest", "lowest")),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.Column("has_gap", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "position_side", "is_simulated", "opened_at", name=op.f("pk_position_marks")),
    )


def _create_summaries() -> None:
    op.create_table(
        "hourly_volume",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("liquidations", sa.Integer(), nullable=False),
        sa.Column("volume", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_hourly_volume")),
    )
    op.create_table(
        "symbol_volume",
        *(sa.Column(name, sa.Integer(), autoincrement=False, nullable=False) for name in ("span", "begins_at")),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("liquidations", sa.Integer(), nullable=False),
        sa.Column("volume", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("span", "begins_at", "symbol", name=op.f("pk_symbol_volume")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "summarized",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_summarized")),
    )
    op.create_table(
        "daily_equity",
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("highest", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("is_simulated", "day", name=op.f("pk_daily_equity")),
    )


def _fill() -> None:
    """Add up what is stored; round trips and daily results are made after the migrations (``results.refresh``)."""
    op.execute(
        f"INSERT INTO symbol_volume SELECT {HOUR_MS}, traded_at - traded_at % {HOUR_MS} AS hour, symbol, count(*), "
        f"sum(CAST(usdt_value AS REAL)) FROM liquidations WHERE {IS_COUNTED} GROUP BY hour, symbol"
    )
    op.execute(
        f"INSERT INTO symbol_volume SELECT {DAY_MS}, begins_at - begins_at % {DAY_MS} AS day, symbol, "
        f"sum(liquidations), sum(volume) FROM symbol_volume WHERE span = {HOUR_MS} GROUP BY day, symbol"
    )
    op.execute(
        "INSERT INTO hourly_volume SELECT begins_at, sum(liquidations), sum(volume) FROM symbol_volume "
        f"WHERE span = {HOUR_MS} GROUP BY begins_at"
    )
    op.execute("INSERT INTO summarized SELECT 'liquidations', coalesce(max(id), 0) FROM liquidations")
    op.execute(
        f"INSERT INTO daily_equity SELECT is_simulated, recorded_at - recorded_at % {DAY_MS} AS day, "
        "max(CAST(margin_balance AS REAL) - CAST(transfers AS REAL)) FROM account_history GROUP BY is_simulated, day"
    )
    op.execute(
        "INSERT INTO stale_results SELECT is_simulated, symbol, 0 FROM fills GROUP BY is_simulated, symbol UNION "
        "SELECT is_simulated, symbol, 0 FROM funding_payments UNION SELECT is_simulated, symbol, 0 FROM external_income"
    )
