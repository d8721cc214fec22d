"""Rows as a spreadsheet file that cannot act: no cell of it is a formula (SAFETY D23)."""

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import Response

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_attachment(name: str, rows: Sequence[Mapping[str, Any]]) -> Response:
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
            return f"'{text}" if text.startswith(_STARTS_A_FORMULA) else text
