"""Plans the import of another bot's settings: what settings.json would become, and what does not work here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.settings.config import InvalidSetting, Settings, SettingsError, parse_settings, settings_document, with_mode
from src.settings.fields import format_value
from src.settings.file import read_document
from src.settings.global_settings import GlobalSettings
from src.settings.node_files import convert

_OLDER, _NODE = "a settings.json of this bot or the older one", "the node bot's config.json"
_NEITHER = (
    'is neither a settings.json, which has "globals", nor a config.json of the node bot, which has "global": '
    "choose one of these files"
)
_STAYS_PAPER = (
    "paper trading stays on, although the file switches it off: python main.py --setup switches to live trading"
)
_EXPOSURE = "max_total_exposure_usdt"
_OWN_DATABASE = "db_path {}: this bot keeps its own database; python main.py --import-db FILE takes over that one"


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The settings that would be written."""

    settings: Settings
    program: str
    """What the file is."""
    notes: tuple[str, ...]
    """One sentence for each key that was left out, changed or added."""


def plan_import(path: Path, current: Settings | None) -> ImportPlan:
    """Read another bot's file. ``current`` are the settings of this bot, None if it has no valid ones.

    The symbols are those of the file; a global setting that it does not have stays as it is. Nothing switches to live
    trading. Raises `SettingsError` with all faults, by their place in that file.
    """
    document = read_document(path)
    names: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    if isinstance(document, dict) and "globals" in document:
        program, converted = _OLDER, document
    elif isinstance(document, dict) and "global" in document:
        node = convert(document)
        program, converted, notes, names = _NODE, node.document, node.notes, node.names
        if node.faults:
            raise SettingsError(path.name, node.faults)
    else:
        raise SettingsError(path.name, [InvalidSetting("", _NEITHER)])
    try:
        return _plan(program, converted, current, notes, path.name)
    except SettingsError as error:
        faults = (_at_origin(fault, names) for fault in error.details)
        raise SettingsError(path.name, faults) from error


def _plan(
    program: str, document: Mapping[str, Any], current: Settings | None, notes: Iterable[str], source: str
) -> ImportPlan:
    found = list(notes)
    if isinstance(document["globals"], dict):
        document, more = _with_current(document, current)
        found += more
    settings = parse_settings(document, source)
    found += (*settings.obsolete, *settings.adapted)
    if not settings.globals_.simulate_only and (current is None or current.globals_.simulate_only):
        settings = with_mode(settings, is_simulated=True)
        found.append(_STAYS_PAPER)
    return ImportPlan(settings, program, tuple(found))


def _with_current(document: Mapping[str, Any], current: Settings | None) -> tuple[dict[str, Any], list[str]]:
    """Add the global settings that the file does not have, and keep the database."""
    imported = dict(document["globals"])
    notes = []
    kept = {} if current is None else dict(settings_document(current)["globals"])
    if "db_path" in imported and imported["db_path"] != kept.get("db_path"):
        notes.append(_OWN_DATABASE.format(format_value(imported["db_path"])))
    imported.pop("db_path", None)
    names = [name for name in kept if name not in imported]
    if names:
        notes.append(f"the file does not have {', '.join(names)}: the values of settings.json stay")
    merged = {**kept, **imported}
    if _EXPOSURE not in merged:
        merged[_EXPOSURE] = (GlobalSettings.model_fields[_EXPOSURE].examples or [None])[0]
        notes.append(f"globals.{_EXPOSURE} is missing: {format_value(merged[_EXPOSURE])} applies until you set it")
    return {**document, "globals": merged}, notes


def _at_origin(fault: InvalidSetting, names: Mapping[str, str]) -> InvalidSetting:
    origin = names.get(fault.path)
    if origin is None or origin == fault.path:
        return fault
    return InvalidSetting(origin, f"(here {fault.path.rpartition('.')[2]}) {fault.message}")
