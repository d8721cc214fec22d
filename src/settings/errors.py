"""Validation errors of the settings as sentences that name the fault and the remedy."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from src.domain.errors import ConfigError
from src.settings.fields import SettingsPart, format_value
from src.settings.global_settings import GlobalSettings
from src.settings.symbol_settings import SymbolSettings

PARTS: tuple[str, ...] = ("globals", "symbols")
_OUT_OF_RANGE = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})
_NOT_AN_OBJECT = frozenset({"model_type", "dict_type"})
_OWN_ERROR_TYPES = frozenset({"number", "flag", "thresholds", "symbol", "path"})
_NEAR = 0.75
"""Similarity from which a name is taken for a misspelled one; further ones would mislead."""
SAME_MEANING: Mapping[str, str] = {
    **dict.fromkeys(("slpercent", "slpct", "stoploss", "stoplosspercent"), "stop_loss_pct"),
    **dict.fromkeys(("tppercent", "tppct", "takeprofit", "takeprofitpercent"), "take_profit_pct"),
    **dict.fromkeys(("papermode", "papertrading", "dryrun", "simulation"), "simulate_only"),
    **dict.fromkeys(("tradesize", "tradesizeusdt"), "trade_value_usdt"),
    **dict.fromkeys(("maxpositionmargin", "maxpositionmarginusdt"), "max_position_usdt"),
    **dict.fromkeys(("positionmode", "dualsideposition"), "hedge_mode"),
    "volumethresholdusdt": "volume_threshold",
    "longvolumethresholdusdt": "volume_threshold_long",
    "shortvolumethresholdusdt": "volume_threshold_short",
    "maxexposure": "max_total_exposure_usdt",
}
"""Names that other bots use for a setting of ours, in lower case without underscores."""


@dataclass(frozen=True, slots=True)
class InvalidSetting:
    """One fault. ``path`` is like ``symbols.BTCUSDT.leverage``, or empty for the whole document."""

    path: str
    message: str

    @property
    def sentence(self) -> str:
        return f"{self.path} {self.message}" if self.path else self.message


class SettingsError(ConfigError):
    """Invalid settings. ``details`` holds path and message of each fault, ``faults`` the sentences."""

    def __init__(self, source: str, details: Iterable[InvalidSetting]) -> None:
        self.details = tuple(details)
        super().__init__(*(f"{source}: {fault.sentence}" for fault in self.details))


@dataclass(frozen=True, slots=True)
class FieldRange:
    """The declared range of a numeric field."""

    lowest: Decimal | int | None = None
    highest: Decimal | int | None = None
    excludes_lowest: bool = False
    excludes_highest: bool = False

    def __str__(self) -> str:
        if self.excludes_lowest:
            upper = "below" if self.excludes_highest else "at most"
            return f"above {self.lowest} and {upper} {self.highest}"
        if self.excludes_highest:
            return f"at least {self.lowest} and below {self.highest}"
        return f"between {self.lowest} and {self.highest}"


def range_of(field: FieldInfo) -> FieldRange:
    """Return the declared range of a field; every numeric setting has both limits."""
    found: dict[str, Any] = {}
    for rule in field.metadata:
        found |= {name: getattr(rule, name) for name in ("gt", "ge", "lt", "le") if hasattr(rule, name)}
    return FieldRange(
        lowest=found.get("gt", found.get("ge")),
        highest=found.get("lt", found.get("le")),
        excludes_lowest="gt" in found,
        excludes_highest="lt" in found,
    )


def invalid_settings(error: ValidationError) -> tuple[InvalidSetting, ...]:
    """Convert pydantic's errors, in the order of the document."""
    return tuple(_invalid_setting(details) for details in error.errors(include_url=False))


def broken_texts(value: object, path: tuple[str, ...] = ()) -> Iterator[InvalidSetting]:
    """A fault for each name and text that is no text: JSON can hold half of a character, as in ``"\\ud800"``."""
    match value:
        case str() if any("\ud800" <= char <= "\udfff" for char in value):
            yield InvalidSetting(_path(path), "holds half of a character (\\ud800 to \\udfff): write the text again")
        case Mapping():
            for name, part in value.items():
                shown = str(name).encode(errors="backslashreplace").decode()
                yield from broken_texts(name, (*path, shown)) if shown != name else broken_texts(part, (*path, shown))
        case list():
            for number, part in enumerate(value):
                yield from broken_texts(part, (*path, str(number)))


def _invalid_setting(details: ErrorDetails) -> InvalidSetting:
    location = [str(step) for step in details["loc"]]
    return InvalidSetting(_path(location), _message(details, location))


def _path(location: Sequence[str]) -> str:
    # pydantic appends this step if the key of a mapping is invalid rather than its value.
    return ".".join(step or '""' for step in location if step != "[key]")


def _message(details: ErrorDetails, location: Sequence[str]) -> str:
    kind, value = details["type"], details["input"]
    if kind in _OWN_ERROR_TYPES:
        return details["msg"]
    if kind == "missing":
        return _missing(location)
    if kind == "extra_forbidden":
        return _unknown(location)
    if kind in _NOT_AN_OBJECT:
        return f"must be an object in braces, not {format_value(value)}"
    if kind in _OUT_OF_RANGE:
        return f"must be {range_of(_field(location))}, not {format_value(value)}"
    if kind == "enum":
        return f"must be {_choice_list(location)}, not {format_value(value)}"
    if kind == "string_type":
        return f"must be text in double quotes, not {format_value(value)}"
    return f"cannot be {format_value(value)}: {details['msg'][:1].lower()}{details['msg'][1:]}"


def _missing(location: Sequence[str]) -> str:
    if len(location) == 1:
        return f'is missing: add "{location[0]}": {{ ... }}'
    example = (_field(location).examples or [""])[0]
    return f'is missing: add, for example, "{location[-1]}": {example}'


def _unknown(location: Sequence[str]) -> str:
    name = location[-1]
    if len(location) > 1 and name in _other_model(location).model_fields:
        home = "each symbol" if location[0] == "globals" else "globals"
        return f"is in the wrong place: move it to {home}"
    known = list(_model(location).model_fields) if len(location) > 1 else list(PARTS)
    if nearest := _same_meaning(name, known) or _nearest(name, known):
        return f"is not a setting: did you mean {nearest}?"
    return "is not a setting: remove it; docs/settings.md lists all settings"


def _same_meaning(name: str, known: Sequence[str]) -> str | None:
    """Our name for a key of another bot, in camel case or ours."""
    ours = SAME_MEANING.get(name.replace("_", "").lower())
    return ours if ours in known else None


def _nearest(name: str, known: Sequence[str]) -> str | None:
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return next(iter(difflib.get_close_matches(snake_case, known, n=1, cutoff=_NEAR)), None)


def _choice_list(location: Sequence[str]) -> str:
    choices = choices_of(_field(location))
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def choices_of(field: FieldInfo) -> list[str]:
    """Return the allowed values of an enum field; empty for other fields."""
    members = getattr(field.annotation, "__members__", {})
    return [str(member.value) for member in members.values()]


def _model(location: Sequence[str]) -> type[SettingsPart]:
    return GlobalSettings if location[0] == "globals" else SymbolSettings


def _other_model(location: Sequence[str]) -> type[SettingsPart]:
    return SymbolSettings if location[0] == "globals" else GlobalSettings


def _field(location: Sequence[str]) -> FieldInfo:
    return _model(location).model_fields[location[-1]]
