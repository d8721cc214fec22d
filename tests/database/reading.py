"""What lies in the file, as SQLite itself gives it."""

from sqlalchemy import Engine, text


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]
