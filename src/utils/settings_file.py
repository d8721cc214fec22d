"""settings.json on disk: read strictly, written whole or not at all."""

import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path

from src.utils.settings_faults import Fault, SettingsError
from src.utils.whole_files import replace_text

_LARGEST_FILE = 1_000_000


def read_document(path: Path) -> object:
    """The JSON in a file, with exact decimals. Raises `SettingsError` where it is missing, unreadable or broken."""
    return parse_document(_read_text(path), path.name)


def parse_document(text: str, source: str) -> object:
    """JSON with exact decimals; no NaN, no Infinity, no key twice. Raises `SettingsError`."""
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates
        )
    except json.JSONDecodeError as error:
        raise SettingsError(source, [Fault("", _syntax(error))]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(source, [Fault("", _content(error))]) from error


def render_document(document: object) -> str:
    """JSON as people write it: two spaces, UTF-8, numbers without an exponent."""
    return _render(document, "") + "\n"


def write_document(path: Path, document: object) -> None:
    """Replace the file in one step: whoever reads it sees the old one or the new one, also after a power cut."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    replace_text(path, render_document(document), mode)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SettingsError(path.name, [Fault("", "the file is larger than 1 MB: this is not a settings file")])
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        remedy = f"there is no such file in {path.parent}: copy the settings.json that came with the program there"
        raise SettingsError(path.name, [Fault("", remedy)]) from error
    except UnicodeDecodeError as error:
        raise SettingsError(path.name, [Fault("", "the file is not UTF-8: save it in that encoding")]) from error
    except OSError as error:
        reason = f"the file {path} cannot be read ({error.strerror}): check its permissions"
        raise SettingsError(path.name, [Fault("", reason)]) from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number that can be used: write a plain number instead")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{twice}" stands twice in one object: remove one of the two')
    return document


def _syntax(error: json.JSONDecodeError) -> str:
    what = {
        "Expecting value": "a value is missing here, or a comma is too many",
        "Expecting ',' delimiter": "a comma or a closing bracket is missing before this place",
        "Expecting ':' delimiter": "a colon is missing after the name",
        "Expecting property name enclosed in double quotes": (
            "a name in double quotes is expected here; perhaps a comma is left after the last entry, or a comment"
        ),
        "Illegal trailing comma before end of object": "remove the comma after the last entry",
        "Illegal trailing comma before end of array": "remove the comma after the last entry",
        "Unterminated string starting at": "the closing double quote of this text is missing",
        "Extra data": "there is something after the last closing brace: remove it",
    }.get(error.msg, error.msg)
    return f"line {error.lineno}, column {error.colno}: {what}"


def _content(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "brackets are nested far too deep: this is not a settings file"
    text = str(error)
    return "a number has thousands of digits: shorten it" if "integer string" in text else text


def _render(value: object, indent: str) -> str:
    match value:
        case Mapping() if value:
            inner = indent + "  "
            rows = [
                f"{inner}{json.dumps(str(key), ensure_ascii=False)}: {_render(v, inner)}" for key, v in value.items()
            ]
            return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
        case Decimal():
            return format(value, "f")
        case Enum():
            return _render(value.value, indent)
        case list() | tuple():
            return f"[{', '.join(_render(item, indent) for item in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
