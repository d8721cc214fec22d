"""Whatever is done to a valid file, it is accepted, or refused with the path of each fault."""

import string
from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from random import Random
from typing import Any

from src.settings.config import Settings, SettingsError, parse_settings, settings_document, settings_schema
from src.settings.older_files import OBSOLETE_GLOBALS, OBSOLETE_SYMBOL_KEYS
from tests.settings.documents import a_document, a_symbol

MUTATIONS = 10_000
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 7, 10**9, 10**30, -(10**30), 0.5, 1e-9, 99.999999999, float("nan"), float("inf")),
    *(Decimal("1E+3"), Decimal("NaN"), Decimal("1E-30"), Decimal("0.1")),
    *("", " ", "5", "1_000", "1,5", "NaN", "true", "GTC", "CROSSED", "BOTH", "٣", "a\bb", "x" * 2_000, "\ud800"),
    *([], [1], {}, {"a": 1}, {"symbol": "BTCUSDT", "config": {}}, [[[]]]),
)
Mutation = Callable[[Random, dict[str, Any]], None]


def a_full_document() -> dict[str, Any]:
    """Every setting with its default or example, and two symbols."""
    document = a_document()
    for part, fields in settings_schema().items():
        for target in [document["globals"]] if part == "globals" else [document["symbols"]["BTCUSDT"]]:
            for name, field in fields.items():
                usual = field["example"] if field["example"] is not None else field["default"]
                if usual is not None:
                    target.setdefault(name, int(usual) if field["kind"] == "whole number" else usual)
    document["symbols"]["ETHUSDT"] = a_symbol()
    return document


def objects(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The document, its parts and its symbols: what may be mutated."""
    found = [document, *(part for part in document.values() if isinstance(part, dict))]
    symbols = document.get("symbols")
    return found + [each for each in symbols.values() if isinstance(each, dict)] if isinstance(symbols, dict) else found


def replace_value(random: Random, document: dict[str, Any]) -> None:
    target = random.choice([each for each in objects(document) if each])
    target[random.choice(list(target))] = deepcopy(random.choice(VALUES))


def remove_key(random: Random, document: dict[str, Any]) -> None:
    target = random.choice([each for each in objects(document) if each])
    del target[random.choice(list(target))]


def rename_key(random: Random, document: dict[str, Any]) -> None:
    target = random.choice([each for each in objects(document) if each])
    name = random.choice(list(target))
    place = random.randrange(len(name) + 1)
    target[name[:place] + random.choice(string.printable) + name[place + random.randrange(2) :]] = target.pop(name)


def add_key(random: Random, document: dict[str, Any]) -> None:
    names = [*OBSOLETE_GLOBALS, *OBSOLETE_SYMBOL_KEYS, "slPercent", "btcusdt", "$schema", "", "symbols", "globals"]
    target = random.choice(objects(document))
    target[random.choice(names)] = deepcopy(random.choice([*VALUES, a_symbol()]))


def move_number(random: Random, document: dict[str, Any]) -> None:
    target = random.choice([each for each in objects(document) if each])
    numbers = [name for name, value in target.items() if isinstance(value, int) and not isinstance(value, bool)]
    for name in numbers[:1]:
        target[name] = target[name] * random.choice((-1, 0, 10, 1000)) + random.choice((-1, 0, 1))


def wrap_symbol(random: Random, document: dict[str, Any]) -> None:
    symbols = document.get("symbols")
    if isinstance(symbols, dict) and symbols:
        name = random.choice(list(symbols))
        symbols[name] = {"symbol": random.choice([name, "OTHER"]), "config": symbols[name]}


KINDS: tuple[Mutation, ...] = (replace_value, remove_key, rename_key, add_key, move_number, wrap_symbol)


def mutations(random: Random) -> Iterator[dict[str, Any]]:
    valid = a_full_document()
    for _ in range(MUTATIONS):
        document = deepcopy(valid)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            if document:
                random.choice(KINDS)(random, document)
        yield document


def outcome(document: dict[str, Any]) -> Settings | SettingsError:
    try:
        return parse_settings(document)
    except SettingsError as error:
        return error


def test_ten_thousand_mutations_are_accepted_or_refused_with_a_path() -> None:
    assert isinstance(outcome(a_full_document()), Settings)
    counts = {Settings: 0, SettingsError: 0}
    for document in mutations(Random(20_251_201)):
        before = deepcopy(document)
        found = outcome(document)
        counts[type(found)] += 1
        assert repr(document) == repr(before), "the document of the caller is unchanged"
        if isinstance(found, Settings):
            saved = settings_document(found)
            assert settings_document(parse_settings(saved)) == saved
            continue
        assert found.details
        for fault in found.details:
            names = {name or '""' for name in (*document, "globals", "symbols")}
            assert fault.path.startswith(tuple(names)), (fault, document)
            assert fault.message.strip() and "Traceback" not in fault.message
    assert min(counts.values()) > 1_000, counts
