"""How values leave as JSON: money is a string of plain digits everywhere, a word of ours its value, an instant ms."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from flask import Response
from flask.json.provider import DefaultJSONProvider


class DecimalJSONProvider(DefaultJSONProvider):
    """Flask's JSON with exact decimals and keys in the order they were written."""

    ensure_ascii = False
    sort_keys = False

    @staticmethod
    def default(value: Any) -> Any:
        if isinstance(value, Decimal):
            return format(value, "f")
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        return DefaultJSONProvider.default(value)


_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def csv_attachment(name: str, rows: Sequence[Mapping[str, Any]]) -> Response:
    """The rows, their keys as first line; an empty file where there are none."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.writer(text)
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
    # The mark at the start makes spreadsheet programs read it as UTF-8.
    response = Response("\ufeff" + text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return format(value, "f")  # a negative amount is a number, no formula
        case int():
            return str(value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text
