"""Entry point of Alembic: runs the migrations on the given connection."""

from alembic import context

from src.database.models import BotBase
from src.domain import crash_points
from src.domain.crash_points import Point

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=BotBase.metadata,
    render_as_batch=True,
    transaction_per_migration=True,
    on_version_apply=lambda **_: crash_points.reached(Point.MIGRATION),
)
with context.begin_transaction():
    context.run_migrations()
