"""Keep all trading rules of a symbol, so that a start can use those of the last run."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MONEY = sa.String(64)
BIG_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AMOUNTS = (
    "tick",
    "min_price",
    "max_price",
    "step",
    "min_quantity",
    "max_quantity",
    "market_step",
    "market_min_quantity",
    "market_max_quantity",
    "min_notional",
    "multiplier_up",
    "multiplier_down",
    "trigger_protect",
    "market_take_bound",
    "liquidation_fee",
)
COUNTS = ("price_precision", "quantity_precision", "max_orders", "max_conditional_orders")


def upgrade() -> None:
    """Make the table again: the next start fills it from the exchange."""
    op.drop_table("instruments")
    op.create_table(
        "instruments",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("symbol", "base_asset", "quote_asset", "status")),
        *(sa.Column(name, MONEY, nullable=False) for name in AMOUNTS),
        *(sa.Column(name, BIG_INT, nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_instruments")),
    )
