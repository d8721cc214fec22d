"""JSON and CSV output: decimals as plain digit strings, enums as their values, times in ms."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from flask import Response
from flask.json.provider import DefaultJSONProvider
from flask.sansio.app import App

from src.domain.numbers import plain


def hide_home(home: Path) -> Callable[[str], str]:
    """A function that shortens the paths in a JSON text to what follows ``home``: it names the user of this machine."""
    if home == home.parent:
        return str
    start = re.escape(json.dumps(str(home), ensure_ascii=False)[1:-1])
    path = re.compile(rf"(?<![\w/.-]){start}(?:(?P<separator>[/\\]+)|(?![\w.-]))")
    return lambda text: path.sub(lambda found: "" if found["separator"] else "the home directory", text)


class DecimalJSONProvider(DefaultJSONProvider):
    """Flask's JSON provider with exact decimals and unsorted keys."""

    ensure_ascii = False
    sort_keys = False

    def __init__(self, app: App, hide: Callable[[str], str]) -> None:
        """``hide`` is applied to every JSON text."""
        super().__init__(app)
        self._hide = hide

    def dumps(self, obj: Any, **options: Any) -> str:
        return self._hide(super().dumps(obj, **options))

    @staticmethod
    def default(value: Any) -> Any:
        if isinstance(value, Decimal):
            return plain(value)
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        return DefaultJSONProvider.default(value)


_ROWS_PER_PART = 200
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def csv_attachment(name: str, rows: Iterable[Mapping[str, Any]]) -> Response:
    """A CSV file of the rows with a header line; empty without rows. It is sent while the rows are read."""
    response = Response(_csv_parts(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _csv_parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "\ufeff"  # the byte order mark makes spreadsheet programs read it as UTF-8
    unread = iter(rows)
    for number, part in enumerate(iter(lambda: list(islice(unread, _ROWS_PER_PART)), [])):
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if number == 0:
            writer.writerow(part[0])
        writer.writerows([_cell(value) for value in row.values()] for row in part)
        yield text.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return plain(value)  # may start with a minus: a number, not a formula
        case int():
            return str(value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text
