"""Statements that are compiled once and run by SQLite's driver: those between an event and its order.

SQLAlchemy builds, looks up and binds a statement at every execution, which takes longer than SQLite needs to run it.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from sqlalchemy import ClauseElement, Connection, Table, insert
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.selectable import Select

Values = Mapping[str, Any]


def _as_text(value: object) -> str:
    """Render Decimal as plain text, as JSON would make it a float, and enum members as their values."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value.value) if isinstance(value, Enum) else str(value)


to_json = json.JSONEncoder(default=_as_text).encode  # ASCII: an incomplete character must not fail a commit
_DIALECT = sqlite_dialect(paramstyle="qmark", json_serializer=to_json)


class Prepared:
    """A statement for SQLite's driver. Values are given by the names of its columns or of its bind parameters.

    It runs in the transaction of the connection. Raises the driver's ``sqlite3.OperationalError``.
    """

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=columns)
        self._sql = str(compiled)
        self._binds = [(name, _processor(compiled.binds[name].type, "bind")) for name in compiled.positiontup or ()]
        selected = statement.selected_columns if isinstance(statement, Select) else ()
        self._results = [_processor(column.type, "result") for column in selected]

    def execute(self, connection: Connection, values: Values) -> sqlite3.Cursor:
        """Run it once; the cursor has the number of rows it changed and the id of the row it added."""
        cursor: sqlite3.Cursor = _driver(connection).execute(self._sql, self._bound(values))
        return cursor

    def execute_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        _driver(connection).executemany(self._sql, [self._bound(each) for each in rows])

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Run a query; each row has the values of the selected columns in their order."""
        found = _driver(connection).execute(self._sql, self._bound(values)).fetchall()
        return [self._read(row) for row in found]

    def first(self, connection: Connection, values: Values) -> tuple[Any, ...] | None:
        """Run a query for at most one row."""
        row = _driver(connection).execute(self._sql, self._bound(values)).fetchone()
        return None if row is None else self._read(row)

    def _bound(self, values: Values) -> list[Any]:
        return [values[name] if process is None else process(values[name]) for name, process in self._binds]

    def _read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        pairs = zip(self._results, row, strict=True)
        return tuple(value if process is None else process(value) for process, value in pairs)


def prepared_insert(row: type[DeclarativeBase], *, ignores_known: bool = False) -> Prepared:
    """Insert a row of the table; without ``id`` among the columns, SQLite assigns it if its value is None.

    With ``ignores_known`` a row with a known key is left as it is, and the cursor counts 0 rows.
    """
    statement = upsert(row).on_conflict_do_nothing() if ignores_known else insert(row)
    return Prepared(statement, _column_names(row))


def prepared_upsert(row: type[DeclarativeBase]) -> Prepared:
    """Insert a row, or update the one with the same key."""
    statement = upsert(row)
    keys = [column.name for column in _table(row).primary_key]
    rest = {name: statement.excluded[name] for name in _column_names(row) if name not in keys}
    return Prepared(statement.on_conflict_do_update(index_elements=keys, set_=rest), _column_names(row))


def _column_names(row: type[DeclarativeBase]) -> list[str]:
    return [column.name for column in _table(row).columns]


def _table(row: type[DeclarativeBase]) -> Table:
    table = row.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{row} has no table")
    return table


def _processor(kind: Any, direction: str) -> Any:
    """What turns a value of a column's type into the driver's, or back; None if nothing does."""
    implementation = kind.dialect_impl(_DIALECT)
    if direction == "bind":
        return implementation.bind_processor(_DIALECT)
    return implementation.result_processor(_DIALECT, None)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
