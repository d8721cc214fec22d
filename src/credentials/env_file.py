"""Reads ``.env`` strictly and updates it line by line; the file is readable only by its owner.

``python -m src.credentials.env_file FILE NAME ...`` prints the values of these names as JSON. The launcher reads the
file this way, because it starts before any package is installed.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from src.domain.errors import ConfigError, InvariantError
from src.utils.files import write_atomic

OWNER_ONLY = 0o600
_SAFE_VALUE = re.compile(r"[A-Za-z0-9.:/_-]*")
"""Characters without a special meaning in a ``.env``: no quotes, spaces, # or line ends."""
_PREFIX = re.compile(r"\s*(?:export[^\S\r\n]+)?")
_COMMENT = re.compile(r"[^\S\r\n]+#[^'\"\r\n]*$")
_PHYSICAL_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_BLANK_OR_COMMENT = re.compile(r"\s*(?:#.*)?\s*")
_OPENS_QUOTE = re.compile(r"[^#'\"]*=\s*['\"]")
_HEADER = "# Created by the setup. All variables are described in .env.example."

logging.getLogger("dotenv").setLevel(logging.ERROR)  # we report invalid lines ourselves, with their numbers


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of the file, or several for a quoted multi-line value; ``name`` is None for comments and blank lines."""

    text: str
    line: int
    name: str | None = None
    value: str | None = None
    is_valid: bool = True


def read_env_file(path: Path) -> dict[str, str]:
    """The values by name; a repeated name keeps its last value, a missing file has none. Raises ConfigError."""
    statements = _parse(path, _read(path))
    return {each.name: each.value.strip() for each in statements if each.name is not None and each.value is not None}


def update_env_file(path: Path, changes: Mapping[str, str]) -> None:
    """Set these names, an empty value to clear one; all other lines stay as they are.

    Raises ConfigError if the file cannot be parsed, OSError if it cannot be written.
    """
    for name, value in changes.items():
        if not _SAFE_VALUE.fullmatch(value):
            raise InvariantError(f"unchecked value for {name}")
    path = path.resolve()  # keep a symbolic link
    text = _read(path)
    statements, end = _parse(path, text), "\r\n" if "\r\n" in text else "\n"
    lines = list(_updated_lines(statements, changes, end)) or [_HEADER + end]
    present = {each.name for each in statements}
    lines += [f"{name}={value}{end}" for name, value in changes.items() if value and name not in present]
    write_atomic(path, "".join(lines), OWNER_ONLY)


def _updated_lines(statements: list[Statement], changes: Mapping[str, str], end: str) -> Iterator[str]:
    """Each line, unchanged or with its new value, always with a line end."""
    last = {each.name: index for index, each in enumerate(statements)}
    for index, each in enumerate(statements):
        line, name = each.text, each.name
        if name is None or name not in changes:
            yield line if line.endswith("\n") else line + end
            continue
        # Clear all but the last line of a repeated name, so that no old secret stays in the file.
        value = changes[name] if index == last[name] else ""
        prefix, comment = _PREFIX.match(line), _COMMENT.search(line.rstrip("\r\n"))
        yield f"{prefix.group() if prefix else ''}{name}={value}{comment.group() if comment else ''}{end}"


def _parse(path: Path, text: str) -> list[Statement]:
    statements = list(_statements(_PHYSICAL_LINE.findall(text)))
    invalid = [each.line for each in statements if not each.is_valid]
    if invalid:
        raise ConfigError(*(f"{path}, line {line}: expected NAME=value." for line in invalid))
    return statements


def _statements(lines: Sequence[str]) -> Iterator[Statement]:
    index = 0
    while index < len(lines):
        statement = _statement_at(lines, index)
        yield statement
        index += len(_PHYSICAL_LINE.findall(statement.text))


def _values(lines: Sequence[str]) -> dict[str, str | None]:
    return dotenv_values(stream=StringIO("".join(lines)), interpolate=False)


def _statement_at(lines: Sequence[str], index: int) -> Statement:
    """The statement that starts at this line: all lines of a quoted value, otherwise one line."""
    if _BLANK_OR_COMMENT.fullmatch(lines[index]):
        return Statement(lines[index], index + 1)
    ends = range(index + 1, len(lines) + 1) if _OPENS_QUOTE.match(lines[index]) else [index + 1]
    for end in ends:
        name, value = next(iter(_values(lines[index:end]).items()), (None, None))
        spans_lines = value is not None and any(each in value for each in "\r\n")
        # If the remaining lines parse to the same name without the first one, the first one is invalid.
        if name is not None and (end == index + 1 or (spans_lines and name not in _values(lines[index + 1 : end]))):
            return Statement("".join(lines[index:end]), index + 1, name, value)
    return Statement(lines[index], index + 1, is_valid=False)


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its type and permissions.") from error
    if "\0" in text:  # as in UTF-16 without a mark; outside of "except", as the decoding error contains the content
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8.")
    return text


def main(arguments: Sequence[str]) -> int:
    """Print the requested values as JSON; returns 2, with a message on stderr, if the file cannot be parsed."""
    file, *names = arguments
    try:
        values = read_env_file(Path(file))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps({name: values[name] for name in names if name in values}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
