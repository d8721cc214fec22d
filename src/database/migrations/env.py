"""Alembic's entry: runs the migrations over the connection it is handed."""

from alembic import context

from src.database.models import Ledger

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Ledger.metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
