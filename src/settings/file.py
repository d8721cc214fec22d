"""Reads and writes settings.json: strict parsing, atomic replacement."""

import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path

from src.domain.numbers import plain
from src.settings.errors import InvalidSetting, SettingsError
from src.settings.json_text import parse_document
from src.utils.files import write_atomic

_MAX_FILE_BYTES = 1_000_000


def read_document(path: Path) -> object:
    """Read a JSON file with exact decimals. Raises `SettingsError` if it is missing, unreadable or invalid."""
    text = _read_text(path)
    if not text.strip():
        remedy = "the file is empty: copy the settings.json that came with the program, or a copy of yours, there"
        raise SettingsError(path.name, [InvalidSetting("", remedy)])
    return parse_document(text, path.name)


def render_document(document: object) -> str:
    """Render JSON with two spaces of indentation and numbers without an exponent."""
    return _render(document, "") + "\n"


def write_document(path: Path, document: object) -> None:
    """Replace the file atomically and keep its permissions. Raises OSError."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    write_atomic(path, render_document(document), mode)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise SettingsError(
                path.name, [InvalidSetting("", "the file is larger than 1 MB: this is not a settings file")]
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        remedy = f"the file does not exist in {path.parent}: copy the settings.json that came with the program there"
        raise SettingsError(path.name, [InvalidSetting("", remedy)]) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            path.name, [InvalidSetting("", "the file is not UTF-8: save it in that encoding")]
        ) from error
    except OSError as error:
        reason = f"the file {path} cannot be read ({error.strerror}): check its permissions"
        raise SettingsError(path.name, [InvalidSetting("", reason)]) from error


def _render(value: object, indent: str) -> str:
    match value:
        case Mapping() if value:
            inner = indent + "  "
            rows = [
                f"{inner}{json.dumps(str(key), ensure_ascii=False)}: {_render(v, inner)}" for key, v in value.items()
            ]
            return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
        case Decimal():
            return plain(value)
        case Enum():
            return _render(value.value, indent)
        case list() | tuple():
            return f"[{', '.join(_render(item, indent) for item in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
