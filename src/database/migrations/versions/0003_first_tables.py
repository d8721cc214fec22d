"""The first tables, under their final names."""

import sqlalchemy as sa
from alembic import op

MONEY = sa.String(64)
BIG_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUSES = "'PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED'"

revision = "0003"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table in an empty database."""
    _create_liquidations()
    _create_decisions()
    _create_trades()
    _create_order_relationships()
    _create_order_status()
    _create_fills()
    _create_funding_payments()
    _create_positions()
    _create_position_corrections()
    _create_account_history()
    _create_instruments()
    _create_journal()
    _create_bot_tables()


def _create_indexes(table: str, *indexes: tuple[str, ...]) -> None:
    for columns in indexes:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _create_liquidations() -> None:
    op.create_table(
        "liquidations",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("average_price", MONEY, nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("usdt_value", MONEY, nullable=False),
        sa.Column("order_type", sa.String(), nullable=False),
        sa.Column("time_in_force", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("traded_at", BIG_INT, nullable=False),
        sa.Column("event_at", BIG_INT, nullable=False),
        sa.Column("received_at", BIG_INT, nullable=False),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_liquidations_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_liquidations")),
    )
    _create_indexes("liquidations", ("symbol", "traded_at"), ("traded_at",))


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("liquidation_id", BIG_INT, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("liquidation_side", sa.String(), nullable=False),
        sa.Column("decided_at", BIG_INT, nullable=False),
        sa.Column("gate", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("window_volume", MONEY, nullable=False),
        sa.Column("threshold", MONEY, nullable=False),
        sa.Column("client_order_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["liquidation_id"], ["liquidations.id"], name=op.f("fk_decisions_liquidation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("liquidation_id", name=op.f("pk_decisions")),
    )
    _create_indexes("decisions", ("symbol", "decided_at"), ("client_order_id",))


def _create_trades() -> None:
    op.create_table(
        "trades",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("client_order_id", sa.String(36), nullable=False),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("order_type", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("entry_client_order_id", sa.String(), nullable=True),
        sa.Column("quantity", MONEY, nullable=True),
        sa.Column("price", MONEY, nullable=True),
        sa.Column("stop_price", MONEY, nullable=True),
        sa.Column("time_in_force", sa.String(), nullable=True),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("close_position", sa.Boolean(), nullable=False),
        sa.Column("working_type", sa.String(), nullable=True),
        sa.Column("price_protect", sa.Boolean(), nullable=False),
        *_trade_progress_columns(),
        sa.CheckConstraint(f"order_status IN ({STATUSES})", name=op.f("ck_trades_order_status")),
        sa.CheckConstraint(f"status IN ({STATUSES}, 'SIMULATED')", name=op.f("ck_trades_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_trades_client_order_id")),
    )
    own_columns = ("created_at", "order_id", "entry_client_order_id", "order_status")
    _create_indexes("trades", ("symbol", "created_at"), *((column,) for column in own_columns))


def _trade_progress_columns() -> list[sa.Column[object]]:
    """The columns of ``trades`` that change after the order was recorded."""
    return [
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("order_status", sa.String(), nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("average_price", MONEY, nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        sa.Column("commission", MONEY, nullable=False),
        sa.Column("commission_asset", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", BIG_INT, nullable=False),
        sa.Column("sent_at", BIG_INT, nullable=True),
        sa.Column("event_at", BIG_INT, nullable=False),
        sa.Column("updated_at", BIG_INT, nullable=False),
        sa.Column("unresolved_since", BIG_INT, nullable=True),
    ]


def _create_order_relationships() -> None:
    op.create_table(
        "order_relationships",
        sa.Column("client_order_id", sa.String(36), nullable=False),
        sa.Column("entry_client_order_id", sa.String(36), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_order_relationships")),
    )
    _create_indexes("order_relationships", ("entry_client_order_id",), ("symbol",))


def _create_order_status() -> None:
    op.create_table(
        "order_status",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("client_order_id", sa.String(36), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("recorded_at", BIG_INT, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(f"status IN ({STATUSES})", name=op.f("ck_order_status_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_status")),
    )
    _create_indexes("order_status", ("client_order_id", "id"))


def _create_fills() -> None:
    op.create_table(
        "fills",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("trade_id", BIG_INT, nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("client_order_id", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        sa.Column("commission", MONEY, nullable=False),
        sa.Column("commission_asset", sa.String(), nullable=False),
        sa.Column("is_maker", sa.Boolean(), nullable=False),
        sa.Column("traded_at", BIG_INT, nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("symbol", "trade_id", "is_simulated", name=op.f("uq_fills_symbol_trade_id_is_simulated")),
    )
    _create_indexes("fills", ("client_order_id",), ("traded_at",))


def _create_funding_payments() -> None:
    op.create_table(
        "funding_payments",
        sa.Column("transaction_id", BIG_INT, autoincrement=False, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("paid_at", BIG_INT, nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "is_simulated", name=op.f("pk_funding_payments")),
    )
    _create_indexes("funding_payments", ("symbol", "paid_at"), ("paid_at",))


def _create_positions() -> None:
    op.create_table(
        "positions",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("entry_price", MONEY, nullable=False),
        sa.Column("mark_price", MONEY, nullable=True),
        sa.Column("leverage", BIG_INT, nullable=False),
        sa.Column("margin_type", sa.String(), nullable=False),
        sa.Column("liquidation_price", MONEY, nullable=True),
        sa.Column("take_profit_price", MONEY, nullable=True),
        sa.Column("stop_loss_price", MONEY, nullable=True),
        sa.Column("protection", sa.String(), nullable=False),
        sa.Column("opened_at", BIG_INT, nullable=False),
        sa.Column("updated_at", BIG_INT, nullable=False),
        sa.Column("entry_client_order_id", sa.String(), nullable=True),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "position_side", "is_simulated", name=op.f("pk_positions")),
    )
    _create_indexes("positions", ("updated_at",))


def _create_position_corrections() -> None:
    op.create_table(
        "position_corrections",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("local_quantity", MONEY, nullable=False),
        sa.Column("exchange_quantity", MONEY, nullable=False),
        sa.Column("entry_price", MONEY, nullable=False),
        sa.Column("last_trade_id", BIG_INT, nullable=False),
        sa.Column("is_expected", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", BIG_INT, nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", "is_simulated", name=op.f("pk_position_corrections")),
    )
    _create_indexes("position_corrections", ("recorded_at",))


def _create_account_history() -> None:
    op.create_table(
        "account_history",
        sa.Column("recorded_at", BIG_INT, autoincrement=False, nullable=False),
        sa.Column("wallet_balance", MONEY, nullable=False),
        sa.Column("unrealized_pnl", MONEY, nullable=False),
        sa.Column("margin_balance", MONEY, nullable=False),
        sa.Column("available_balance", MONEY, nullable=False),
        sa.Column("initial_margin", MONEY, nullable=False),
        sa.Column("maintenance_margin", MONEY, nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("recorded_at", "is_simulated", name=op.f("pk_account_history")),
    )


def _create_instruments() -> None:
    op.create_table(
        "instruments",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("base_asset", sa.String(), nullable=False),
        sa.Column("quote_asset", sa.String(), nullable=False),
        sa.Column("price_precision", BIG_INT, nullable=False),
        sa.Column("quantity_precision", BIG_INT, nullable=False),
        sa.Column("tick", MONEY, nullable=False),
        sa.Column("step", MONEY, nullable=False),
        sa.Column("min_quantity", MONEY, nullable=False),
        sa.Column("min_notional", MONEY, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_instruments")),
    )


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("recorded_at", BIG_INT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    _create_indexes("journal", ("kind", "id"), ("recorded_at",))


def _create_bot_tables() -> None:
    op.create_table(
        "bot_state",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_bot_state")),
    )
    op.create_table(
        "bot_runs",
        sa.Column("id", BIG_INT, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("pid", BIG_INT, nullable=False),
        sa.Column("started_at", BIG_INT, nullable=False),
        sa.Column("ended_at", BIG_INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_runs")),
    )
