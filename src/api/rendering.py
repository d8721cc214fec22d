"""How values leave as JSON: money is a string of plain digits everywhere, a word of ours its value, an instant ms."""

from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from flask.json.provider import DefaultJSONProvider


class ExactJson(DefaultJSONProvider):
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
