"""The first tables."""

import sqlalchemy as sa
from alembic import op

MONEY = sa.String(64)
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_history",
        sa.Column("at", WHOLE, autoincrement=False, nullable=False),
        sa.Column("wallet_balance", MONEY, nullable=False),
        sa.Column("unrealized_pnl", MONEY, nullable=False),
        sa.Column("margin_balance", MONEY, nullable=False),
        sa.Column("available_balance", MONEY, nullable=False),
        sa.Column("initial_margin", MONEY, nullable=False),
        sa.Column("maintenance_margin", MONEY, nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_account_history")),
    )
    op.create_table(
        "fills",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("trade_id", WHOLE, nullable=False),
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
        sa.Column("traded_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
        sa.UniqueConstraint("symbol", "trade_id", name=op.f("uq_fills_symbol_trade_id")),
    )
    with op.batch_alter_table("fills", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fills_client_order_id"), ["client_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_fills_traded_at"), ["traded_at"], unique=False)

    op.create_table(
        "funding",
        sa.Column("transaction_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_funding")),
    )
    with op.batch_alter_table("funding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_funding_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_funding_symbol_at"), ["symbol", "at"], unique=False)

    op.create_table(
        "instruments",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("base_asset", sa.String(), nullable=False),
        sa.Column("quote_asset", sa.String(), nullable=False),
        sa.Column("price_precision", WHOLE, nullable=False),
        sa.Column("quantity_precision", WHOLE, nullable=False),
        sa.Column("tick", MONEY, nullable=False),
        sa.Column("step", MONEY, nullable=False),
        sa.Column("min_quantity", MONEY, nullable=False),
        sa.Column("min_notional", MONEY, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_instruments")),
    )
    op.create_table(
        "journal",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journal_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_journal_kind_id"), ["kind", "id"], unique=False)

    op.create_table(
        "liquidations",
        sa.Column("id", WHOLE, nullable=False),
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
        sa.Column("traded_at", WHOLE, nullable=False),
        sa.Column("event_at", WHOLE, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name=op.f("ck_liquidations_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_liquidations")),
    )
    with op.batch_alter_table("liquidations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_liquidations_symbol_traded_at"), ["symbol", "traded_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_liquidations_traded_at"), ["traded_at"], unique=False)

    op.create_table(
        "order_relationships",
        sa.Column("related_order_id", sa.String(length=36), nullable=False),
        sa.Column("main_order_id", sa.String(length=36), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("related_order_id", name=op.f("pk_order_relationships")),
    )
    with op.batch_alter_table("order_relationships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_relationships_main_order_id"), ["main_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_order_relationships_symbol"), ["symbol"], unique=False)

    op.create_table(
        "order_status",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("client_order_id", sa.String(length=36), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(
            "status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED')",
            name=op.f("ck_order_status_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_status")),
    )
    with op.batch_alter_table("order_status", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_order_status_client_order_id_id"), ["client_order_id", "id"], unique=False)

    op.create_table(
        "positions",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("quantity", MONEY, nullable=False),
        sa.Column("entry_price", MONEY, nullable=False),
        sa.Column("mark_price", MONEY, nullable=True),
        sa.Column("leverage", WHOLE, nullable=False),
        sa.Column("margin_type", sa.String(), nullable=False),
        sa.Column("liquidation_price", MONEY, nullable=True),
        sa.Column("take_profit_price", MONEY, nullable=True),
        sa.Column("stop_loss_price", MONEY, nullable=True),
        sa.Column("protection", sa.String(), nullable=False),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.Column("updated_at", WHOLE, nullable=False),
        sa.Column("entry_client_order_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("symbol", "position_side", name=op.f("pk_positions")),
    )
    with op.batch_alter_table("positions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_positions_updated_at"), ["updated_at"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("pid", WHOLE, nullable=False),
        sa.Column("started_at", WHOLE, nullable=False),
        sa.Column("ended_at", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "state",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_state")),
    )
    op.create_table(
        "trades",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("client_order_id", sa.String(length=36), nullable=False),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("order_type", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("parent_order_id", sa.String(), nullable=True),
        sa.Column("quantity", MONEY, nullable=True),
        sa.Column("price", MONEY, nullable=True),
        sa.Column("stop_price", MONEY, nullable=True),
        sa.Column("time_in_force", sa.String(), nullable=True),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("close_position", sa.Boolean(), nullable=False),
        sa.Column("working_type", sa.String(), nullable=True),
        sa.Column("price_protect", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("order_status", sa.String(), nullable=False),
        sa.Column("filled_quantity", MONEY, nullable=False),
        sa.Column("average_price", MONEY, nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        sa.Column("commission", MONEY, nullable=False),
        sa.Column("commission_asset", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("sent_at", WHOLE, nullable=True),
        sa.Column("event_at", WHOLE, nullable=False),
        sa.Column("updated_at", WHOLE, nullable=False),
        sa.Column("unresolved_since", WHOLE, nullable=True),
        sa.CheckConstraint(
            "order_status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED')",
            name=op.f("ck_trades_order_status"),
        ),
        sa.CheckConstraint(
            "status IN ('PENDING_NEW', 'NEW', 'PARTIALLY_FILLED', 'PENDING_CANCEL', 'FILLED', 'CANCELED', 'REJECTED', 'EXPIRED', 'SIMULATED')",
            name=op.f("ck_trades_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_trades_client_order_id")),
    )
    with op.batch_alter_table("trades", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_trades_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_trades_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_trades_order_status"), ["order_status"], unique=False)
        batch_op.create_index(batch_op.f("ix_trades_parent_order_id"), ["parent_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_trades_symbol_created_at"), ["symbol", "created_at"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("liquidation_id", WHOLE, nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("liquidation_side", sa.String(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
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
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_client_order_id"), ["client_order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_decisions_symbol_at"), ["symbol", "at"], unique=False)
