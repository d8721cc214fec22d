"""The differences between two settings documents, by path."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A changed setting; ``before`` or ``after`` is None if the setting was added or removed."""

    path: str
    before: Any
    after: Any


def diff_settings(before: Document, after: Document) -> Iterator[SettingChange]:
    """The settings that differ between two documents, by path."""
    flat_before, flat_after = dict(_flatten(before)), dict(_flatten(after))
    for path in sorted(flat_before.keys() | flat_after.keys()):
        one, other = flat_before.get(path), flat_after.get(path)
        if one != other:
            yield SettingChange(path, one, other)


def _flatten(document: Document) -> Iterator[tuple[str, Any]]:
    for name, value in document["globals"].items():
        yield f"globals.{name}", value
    for symbol, part in document["symbols"].items():
        for name, value in part.items():
            yield f"symbols.{symbol}.{name}", value
