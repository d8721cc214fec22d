"""Migrates an older database. Imported only when needed, as importing Alembic is slow (I33)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from src.database import results
from src.database.db import backup
from src.domain.errors import ConfigError


def migrate(engine: Engine, path: Path, migrations: Path) -> None:
    """Back up the database, run each migration in its own transaction, and make what is derived. Raises ConfigError."""
    config = Config()
    config.set_main_option("script_location", migrations.as_posix().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        tables = inspect(connection).get_table_names()
        connection.rollback()
        if found is not None:
            _check_revision(found, scripts, path)
            backup(path, path.with_name(f"{path.name}.before-{head}"))
        elif set(tables) - {"alembic_version"}:  # it was locked when its owner was examined
            raise ConfigError(
                f"the database {path} belongs to another program: choose another file for this one (globals.db_path)"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    while _refresh_one(engine):
        pass


def _refresh_one(engine: Engine) -> bool:
    """Make the derived rows of one symbol again, in a transaction of its own; False if none needs it."""
    with engine.begin() as connection:
        return results.refresh(connection, limit=1) > 0


def _check_revision(found: str, scripts: ScriptDirectory, path: Path) -> None:
    """Raise ConfigError for a revision this program has no migration for."""
    known = {script.revision for script in scripts.walk_revisions()}
    if found < min(known):
        raise ConfigError(
            f"the database {path} was written by a version before the first release and cannot be upgraded: start "
            "with another database (globals.db_path)"
        )
    if found not in known:
        raise ConfigError(
            f"the database {path} was written by a newer version of this program: update the program, or start it "
            "with another database (globals.db_path)"
        )
