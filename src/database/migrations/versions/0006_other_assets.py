"""Store the dollar value of fees and funding, whose funding it is, and income that is no result of the bot's orders."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MONEY = sa.String(length=64)
DOLLARS = ("USDT", "USDC", "USD1", "USDF", "FDUSD", "BUSD", "USD")


def upgrade() -> None:
    """Fees and funding in a dollar asset are worth their amount; the value of others was never recorded: NULL."""
    op.add_column("fills", sa.Column("commission_value", MONEY, nullable=True))
    op.add_column("funding_payments", sa.Column("dollar_value", MONEY, nullable=True))
    op.add_column("funding_payments", sa.Column("is_external", sa.Boolean(), nullable=True))
    dollars = ", ".join(f"'{asset}'" for asset in DOLLARS)
    op.execute(
        "UPDATE fills SET commission_value = commission "
        f"WHERE commission_asset IN ({dollars}) OR CAST(commission AS REAL) = 0"
    )
    op.execute(f"UPDATE funding_payments SET dollar_value = amount WHERE asset IN ({dollars})")
    op.execute("UPDATE funding_payments SET is_external = 0")
    with op.batch_alter_table("funding_payments") as table:
        table.alter_column("is_external", nullable=False)
    op.add_column("account_history", sa.Column("transfers", MONEY, nullable=True))
    op.execute("UPDATE account_history SET transfers = '0'")
    with op.batch_alter_table("account_history") as table:
        table.alter_column("transfers", nullable=False)
    op.create_table(
        "external_income",
        sa.Column("transaction_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("dollar_value", MONEY, nullable=True),
        sa.Column("trade_id", sa.Integer(), nullable=True),
        sa.Column("paid_at", sa.Integer(), nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", "type", "symbol", "is_simulated", name=op.f("pk_external_income")),
    )
    op.create_index(op.f("ix_external_income_symbol_paid_at"), "external_income", ["symbol", "paid_at"])
    op.create_index(op.f("ix_external_income_paid_at"), "external_income", ["paid_at"])
