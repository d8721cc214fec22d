"""Where our books were put right by what the exchange reported."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MONEY = sa.String(64)
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("position_side", sa.String(), nullable=False),
        sa.Column("believed", MONEY, nullable=False),
        sa.Column("reported", MONEY, nullable=False),
        sa.Column("entry_price", MONEY, nullable=False),
        sa.Column("last_trade_id", WHOLE, nullable=False),
        sa.Column("is_explained", sa.Boolean(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("is_simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", "is_simulated", name=op.f("pk_corrections")),
    )
    with op.batch_alter_table("corrections") as batch_op:
        batch_op.create_index(batch_op.f("ix_corrections_at"), ["at"], unique=False)
