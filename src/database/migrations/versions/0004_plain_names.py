"""Give the tables, columns and state keys of an earlier version their final names."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = {
    "corrections": "position_corrections",
    "state": "bot_state",
    "runs": "bot_runs",
    "funding": "funding_payments",
}
COLUMNS = (
    ("position_corrections", "believed", "local_quantity"),
    ("position_corrections", "reported", "exchange_quantity"),
    ("position_corrections", "is_explained", "is_expected"),
    ("position_corrections", "at", "recorded_at"),
    ("decisions", "at", "decided_at"),
    ("order_status", "at", "recorded_at"),
    ("funding_payments", "at", "paid_at"),
    ("journal", "at", "recorded_at"),
    ("account_history", "at", "recorded_at"),
    ("trades", "parent_order_id", "entry_client_order_id"),
    ("order_relationships", "main_order_id", "entry_client_order_id"),
    ("order_relationships", "related_order_id", "client_order_id"),
)
OLD_INDEXES = (
    "ix_journal_at",
    "ix_funding_at",
    "ix_funding_symbol_at",
    "ix_decisions_symbol_at",
    "ix_corrections_at",
    "ix_trades_parent_order_id",
    "ix_order_relationships_main_order_id",
)
NEW_INDEXES = (
    ("journal", "recorded_at"),
    ("funding_payments", "paid_at"),
    ("funding_payments", "symbol", "paid_at"),
    ("decisions", "symbol", "decided_at"),
    ("position_corrections", "recorded_at"),
    ("trades", "entry_client_order_id"),
    ("order_relationships", "entry_client_order_id"),
)
STATE_KEYS = {
    "closing": "pending_closes",
    "unsettled": "incomplete_positions",
    "lock": "loss_lock",
    "instance": "bot_instance",
    "live_agreed": "live_consent",
    "live_pending": "live_consent_pending",
    "inbox": "event_queue",
    "limits": "rate_limits",
    "operator": "operator_state",
    "foreign_orders": "external_orders",
}
PAPER_SUFFIX = "_paper"
FIELDS = {
    "bot_instance": {"mark": "bot_tag", "born_at": "created_at", "names": "seen_order_ids"},
    "external_orders": {"fault": "problem"},
    "live_consent": {"max_consecutive_stops": "max_consecutive_losses"},
    "live_consent_pending": {"max_consecutive_stops": "max_consecutive_losses", "rising": "risk_increases"},
    "loss_lock": {
        "lock": "active",
        "exits_after": "counted_until_fill_id",
        "forgiven_day": "baseline_day",
        "forgiven_net": "baseline_net",
    },
    "operator_state": {"requests": "handled_files"},
    "rate_limits": {"clock_strayed_ms": "clock_drift_ms"},
    "symbol_locks": {"all": "account_lock"},
    "trading": {"awaits_resume": "needs_resume"},
}
"""Fields inside a state value, at any depth, by the new state key."""


def upgrade() -> None:
    """Rename what an earlier version created; a new file has the final names from the start."""
    if "state" not in sa.inspect(op.get_bind()).get_table_names():
        return
    for index in OLD_INDEXES:
        op.execute(f"DROP INDEX {index}")
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, old, new in COLUMNS:
        op.execute(f'ALTER TABLE {table} RENAME COLUMN "{old}" TO {new}')
    for table, *columns in NEW_INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    op.execute("UPDATE positions SET protection = 'external' WHERE protection = 'foreign'")
    op.execute("UPDATE order_status SET source = 'intent_log' WHERE source = 'emergency'")
    _rename_state()


def _rename_state() -> None:
    connection = op.get_bind()
    state = sa.table("bot_state", sa.column("key", sa.String()), sa.column("value", sa.JSON()))
    for old_key, value in connection.execute(sa.select(state.c.key, state.c.value)).all():
        old_subject = old_key.removesuffix(PAPER_SUFFIX)
        subject = STATE_KEYS.get(old_subject, old_subject)
        new_value = _rename_fields(value, FIELDS.get(subject, {}))
        if subject == "loss_lock" and (new_value["active"] or {}).get("kind") == "max_consecutive_stops":
            new_value["active"]["kind"] = "max_consecutive_losses"
        new_key = subject + old_key[len(old_subject) :]
        connection.execute(sa.update(state).where(state.c.key == old_key).values(key=new_key, value=new_value))


def _rename_fields(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(name, name): _rename_fields(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [_rename_fields(each, names) for each in value]
    return value
