"""Fills, funding, positions and the account's history say whether they are of paper or real."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ON_PAPER = "SELECT client_order_id FROM trades WHERE status = 'SIMULATED'"
_ONLY_PAPER = "EXISTS (SELECT 1 FROM trades) AND NOT EXISTS (SELECT 1 FROM trades WHERE status <> 'SIMULATED')"
"""Nothing else tells what older funding and history belonged to."""


def upgrade() -> None:
    _mark("fills", f"client_order_id IN ({_ON_PAPER})", "symbol", "trade_id")
    _mark("positions", f"entry_client_order_id IN ({_ON_PAPER})", "symbol", "position_side")
    _mark("funding", _ONLY_PAPER, "transaction_id")
    _mark("account_history", _ONLY_PAPER, "at")


def _mark(table: str, is_simulated: str, *key: str) -> None:
    """Add the mark, to the key as well: numbers of the two worlds may be the same."""
    with op.batch_alter_table(table) as batch:
        batch.add_column(sa.Column("is_simulated", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(f"UPDATE {table} SET is_simulated = 1 WHERE {is_simulated}")
    with op.batch_alter_table(table, recreate="always") as batch:
        batch.alter_column("is_simulated", server_default=None)
        if table == "fills":  # its rows have numbers of their own
            batch.drop_constraint(op.f("uq_fills_symbol_trade_id"), type_="unique")
            batch.create_unique_constraint(op.f("uq_fills_symbol_trade_id_is_simulated"), [*key, "is_simulated"])
        else:
            batch.drop_constraint(op.f(f"pk_{table}"), type_="primary")
            batch.create_primary_key(op.f(f"pk_{table}"), [*key, "is_simulated"])
