"""Reads and writes settings.json: strict parsing, atomic replacement, obsolete keys of the older bot are kept."""

import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from src.domain.numbers import plain
from src.settings.errors import InvalidSetting, SettingsError
from src.settings.json_text import parse_document
from src.utils.files import write_atomic

_MAX_FILE_BYTES = 1_000_000
OBSOLETE_GLOBALS: Mapping[str, str] = {
    "batch_orders": "every order is sent and recorded separately, so a lost response affects one order only",
    "enable_order_consolidation": "take profit and stop loss cover the whole position: there is nothing to consolidate",
    "use_position_monitor": "every position is always monitored and protected",
    "tranche_pnl_increment_pct": "a position has one average entry and no tranches",
    "max_tranches_per_symbol_side": "a position has no tranches; max_position_usdt limits its size",
    "instant_tp_enabled": "the take profit is placed at the exchange right after the first fill",
    "tp_sl_batch_enabled": "the stop loss is sent first, in its own request, so that nothing delays it",
    "buffer_liquidations": "liquidations are processed as they arrive, without a buffer",
    "liquidation_buffer_ms": "liquidations are processed as they arrive, without a buffer",
}
OBSOLETE_SYMBOL_KEYS: Mapping[str, str] = {
    "use_trailing_stop": "the stop loss stays at stop_loss_pct from the average entry price",
}


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


def drop_obsolete(document: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Return the document without obsolete keys, and one sentence for each key removed."""
    kept = dict(document)
    sentences: list[str] = []
    if isinstance(part := document.get("globals"), dict):
        kept["globals"] = {key: value for key, value in part.items() if key not in OBSOLETE_GLOBALS}
        sentences += [f"globals.{key} is obsolete: {why}" for key, why in OBSOLETE_GLOBALS.items() if key in part]
    if isinstance(symbols := document.get("symbols"), dict):
        kept["symbols"] = {symbol: _drop_symbol_keys(part) for symbol, part in symbols.items()}
        sentences += _symbol_sentences(symbols)
    return kept, tuple(sentences)


def keep_obsolete(earlier: object, document: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add the obsolete keys of the earlier document: an older bot may still use the file."""
    earlier_globals = _obsolete_in(_part(earlier, "globals"), OBSOLETE_GLOBALS)
    earlier_symbols = _part(earlier, "symbols")
    symbols = {
        name: {**part, **_obsolete_in(_part(earlier_symbols, name), OBSOLETE_SYMBOL_KEYS)}
        for name, part in document["symbols"].items()
    }
    return {"globals": {**document["globals"], **earlier_globals}, "symbols": symbols}


def _part(document: object, name: str) -> Mapping[str, object]:
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def _obsolete_in(part: Mapping[str, object], obsolete: Mapping[str, str]) -> dict[str, object]:
    return {key: value for key, value in part.items() if key in obsolete}


def _drop_symbol_keys(part: object) -> object:
    if not isinstance(part, dict):
        return part
    return {key: value for key, value in part.items() if key not in OBSOLETE_SYMBOL_KEYS}


def _symbol_sentences(symbols: Mapping[str, object]) -> list[str]:
    sentences = []
    for key, why in OBSOLETE_SYMBOL_KEYS.items():
        holders = [symbol for symbol, part in symbols.items() if isinstance(part, dict) and key in part]
        if holders:
            sentences.append(f"{key} of {', '.join(holders)} is obsolete: {why}")
    return sentences
