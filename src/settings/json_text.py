"""Parses JSON with exact decimals; a fault is named by what is in the text, with line, column and remedy."""

import json
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

from src.settings.errors import InvalidSetting, SettingsError

_CURLY_QUOTES = "“”„‟‘’‚‛«»"
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_JSON_WORDS = frozenset(_PYTHON_WORDS.values())
_COMMENT = re.compile(r"//|/\*|#|<!--")
_WORD = re.compile(r"[A-Za-z_]\w*")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}]|-?Infinity|NaN', re.DOTALL)
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_COLON = re.compile(r"\s*:")
_NUL = "a NUL byte is here, as after a crash or on a full disk: restore a copy of the file, or save it as UTF-8 text"
_BACKSLASH = "a single backslash in a text is not allowed here: write / or \\\\"
_COMMA_IN_NUMBER = "a decimal number is written with a point, like 0.45"


class _HalfCharacter(ValueError):
    pass


def parse_document(text: str, source: str) -> object:
    """Parse JSON with exact decimals. Raises `SettingsError`, also for NaN, Infinity and duplicate names."""
    try:
        document: object = json.loads(
            text, parse_float=Decimal, parse_constant=_reject_constant, object_pairs_hook=_reject_duplicates
        )
        if half := _HALF_CHARACTER.search(text):  # an escape of half a character, or of a whole one
            _reject_half_characters(document, half.group())
        return document
    except json.JSONDecodeError as error:
        message = _syntax_message(text, error)
    except RecursionError:
        message = "brackets are nested too deep: this is not a settings file"
    except ArithmeticError:
        message = "a number has an exponent beyond all limits: write a plain number instead"
    except ValueError as error:
        message = _content_message(text, error)
    raise SettingsError(source, [InvalidSetting("", message)])


def _reject_half_characters(value: object, shown: str) -> None:
    """Raise ValueError for half of a UTF-16 pair in any text, which could be neither stored nor sent."""
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise _HalfCharacter(f"{shown} is half of a character: write the whole one")
    elif isinstance(value, dict | list):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _reject_half_characters(part, shown)


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed: write a plain number instead")


def _reject_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return document


def _at(text: str, position: int, message: str) -> str:
    line_start = text.rfind("\n", 0, position) + 1
    return f"line {text.count(chr(10), 0, position) + 1}, column {position - line_start + 1}: {message}"


def _syntax_message(text: str, error: json.JSONDecodeError) -> str:
    if "\0" in text:
        return _at(text, text.index("\0"), _NUL)
    if error.msg.startswith("Invalid \\"):
        return _at(text, text.rfind("\\", 0, error.pos + 1), _BACKSLASH)
    if error.msg.startswith(("Invalid control character", "Unterminated string")):
        return _unclosed_text(text, error)
    return _at(text, error.pos, _found_instead(text, error.pos) or _expected(error.msg))


def _unclosed_text(text: str, error: json.JSONDecodeError) -> str:
    """A text that does not end, or is interrupted by a tab. A curly quote in its line is the likely reason."""
    line_start, line_end = text.rfind("\n", 0, error.pos) + 1, text.find("\n", error.pos)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    curly = next((index for index, char in enumerate(line) if char in _CURLY_QUOTES), None)
    if curly is not None:
        return _at(text, line_start + curly, _quote_message(line[curly]))
    if error.msg.startswith("Invalid control character") and text[error.pos] not in "\r\n":
        return _at(text, error.pos, f"a control character ({_name(text[error.pos])}) is in a text: remove it")
    return _at(text, error.pos, "the closing double quote of this text is missing")


def _found_instead(text: str, position: int) -> str | None:
    """What is at a position where JSON expects something else; None if nothing is known about it."""
    if position >= len(text):
        return None
    char = text[position]
    if char in _CURLY_QUOTES or char == "'":
        return _quote_message(char)
    if _COMMENT.match(text, position):
        return "a comment starts here, and JSON has none: remove it"
    if char == "\\":
        return "a backslash is outside of a text: remove it"
    if char.isdecimal() and re.search(r"\d,$", text[max(0, position - 2) : position]):
        return _COMMA_IN_NUMBER
    if not char.isascii() and (char.isspace() or not char.isprintable()):
        return f"an invisible character ({_name(char)}) is here: replace it by a space"
    if word := _WORD.match(text, position):
        return _word_message(word.group())
    return None


def _quote_message(char: str) -> str:
    kind = "single" if char == "'" else "curly"
    return f'a {kind} quote {char} is here: use the straight double quote "'


def _word_message(word: str) -> str:
    if word in _PYTHON_WORDS:
        return f"{word} is Python's spelling: write {_PYTHON_WORDS[word]}"
    if word.lower() in _JSON_WORDS - {word}:
        return f"{word} must be lower case: write {word.lower()}"
    if word in _JSON_WORDS:
        return f"{word} follows another value: a comma is missing before it, or one of them is too many"
    return f"{word[:40]} needs double quotes, as names and texts do"


def _name(char: str) -> str:
    code = f"U+{ord(char):04X}"
    return f"{unicodedata.name(char).lower()}, {code}" if unicodedata.name(char, "") else code


def _expected(problem: str) -> str:
    return {
        "Expecting value": "a value is missing here, or there is an extra comma",
        "Expecting ',' delimiter": "a comma or a closing bracket is missing before this position",
        "Expecting ':' delimiter": "a colon is missing after the name",
        "Expecting property name enclosed in double quotes": (
            "a name in double quotes is expected here: remove a comma after the last entry"
        ),
        "Illegal trailing comma before end of object": "remove the comma after the last entry",
        "Illegal trailing comma before end of array": "remove the comma after the last entry",
        "Extra data": "remove the text after the last closing brace",
    }.get(problem, problem)


def _content_message(text: str, error: ValueError) -> str:
    """A fault that the parser reports without a position."""
    if isinstance(error, _HalfCharacter):
        return str(error)
    if "integer string" in str(error):
        return "a number has thousands of digits: shorten it"
    if "twice" in str(error):
        position, name = next(_duplicates(text))
        return _at(text, position, f'"{name}" appears twice in one object: remove one of them')
    position = next(token.start() for token in _TOKEN.finditer(text) if token.group()[0] in "-IN")
    return _at(text, position, str(error))


def _duplicates(text: str) -> Iterator[tuple[int, str]]:
    """Position and name of each name that its object holds already; the text parses otherwise."""
    objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token.group() == "{":
            objects.append(set())
        elif token.group() == "}":
            objects.pop()
        elif _COLON.match(text, token.end()):
            name = json.loads(token.group())
            if name in objects[-1]:
                yield token.start(), name
            objects[-1].add(name)
