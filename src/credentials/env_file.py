"""``.env`` on disk: read strictly, changed line by line, written whole, readable for its owner alone.

``python -m src.credentials.env_file FILE NAME ...`` prints the values of these names as JSON: so the launcher reads it,
which starts before any package is installed.
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
from src.utils.atomic_file import write_atomic

OWNER_ONLY = 0o600
_SAFE_VALUE = re.compile(r"[A-Za-z0-9.:/_-]*")
"""Signs that mean themselves in a ``.env``: no quote, space, # or end of line can come in with a value."""
_PREFIX = re.compile(r"\s*(?:export[^\S\r\n]+)?")
_COMMENT = re.compile(r"[^\S\r\n]+#[^'\"\r\n]*$")
_PHYSICAL_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_NOTHING = re.compile(r"\s*(?:#.*)?\s*")
_OPENS_QUOTE = re.compile(r"[^#'\"]*=\s*['\"]")
_HEADER = "# Made by the set-up. What may stand here, and what it means: .env.example"


logging.getLogger("dotenv").setLevel(logging.ERROR)  # what it does not understand is said by us, with its line


@dataclass(frozen=True, slots=True)
class Statement:
    """A line of the file, or several that one quoted value spans; ``name`` is None for remarks and empty lines."""

    text: str
    line: int
    name: str | None = None
    value: str | None = None
    is_understood: bool = True


def read_env_file(path: Path) -> dict[str, str]:
    """Every name with its value, the last of several; an absent file is empty. Raises ConfigError."""
    statements = _understood(path, _read(path))
    return {each.name: each.value.strip() for each in statements if each.name is not None and each.value is not None}


def update_env_file(path: Path, changes: Mapping[str, str]) -> None:
    """Give names their values, an empty one to forget what was there; every other line stays as it is.

    Raises ConfigError where the file cannot be understood, OSError where it cannot be written.
    """
    for name, value in changes.items():
        if not _SAFE_VALUE.fullmatch(value):
            raise InvariantError(f"a value for {name} that was not checked")
    path = path.resolve()  # a link to the file stays one
    text = _read(path)
    statements, end = _understood(path, text), "\r\n" if "\r\n" in text else "\n"
    lines = list(_updated_lines(statements, changes, end)) or [_HEADER + end]
    present = {each.name for each in statements}
    lines += [f"{name}={value}{end}" for name, value in changes.items() if value and name not in present]
    write_atomic(path, "".join(lines), OWNER_ONLY)


def _updated_lines(statements: list[Statement], changes: Mapping[str, str], end: str) -> Iterator[str]:
    """Each line as it was, or with its new value; the last one ends like the others."""
    last = {each.name: place for place, each in enumerate(statements)}
    for place, each in enumerate(statements):
        line, name = each.text, each.name
        if name is None or name not in changes:
            yield line if line.endswith("\n") else line + end
            continue
        # Of a name that stands there twice the last line counts: no older secret stays behind in another one.
        value = changes[name] if place == last[name] else ""
        prefix, comment = _PREFIX.match(line), _COMMENT.search(line.rstrip("\r\n"))
        yield f"{prefix.group() if prefix else ''}{name}={value}{comment.group() if comment else ''}{end}"


def _understood(path: Path, text: str) -> list[Statement]:
    statements = list(_statements(_PHYSICAL_LINE.findall(text)))
    broken = [each.line for each in statements if not each.is_understood]
    if broken:
        raise ConfigError(*(f"{path}, line {line}: this is not NAME=value; correct it." for line in broken))
    return statements


def _statements(lines: Sequence[str]) -> Iterator[Statement]:
    at = 0
    while at < len(lines):
        found = _statement(lines, at)
        yield found
        at += len(_PHYSICAL_LINE.findall(found.text))


def _values(lines: Sequence[str]) -> dict[str, str | None]:
    return dotenv_values(stream=StringIO("".join(lines)), interpolate=False)


def _statement(lines: Sequence[str], at: int) -> Statement:
    """What begins at a line: as many lines as a quoted value needs to be closed, otherwise one."""
    if _NOTHING.fullmatch(lines[at]):
        return Statement(lines[at], at + 1)
    ends = range(at + 1, len(lines) + 1) if _OPENS_QUOTE.match(lines[at]) else [at + 1]
    for end in ends:
        name, value = next(iter(_values(lines[at:end]).items()), (None, None))
        spans_lines = value is not None and any(each in value for each in "\r\n")
        # Where the lines that follow say as much without the first one, that one is not understood.
        if name is not None and (end == at + 1 or (spans_lines and name not in _values(lines[at + 1 : end]))):
            return Statement("".join(lines[at:end]), at + 1, name, value)
    return Statement(lines[at], at + 1, is_understood=False)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        # Outside of the handler's chain: the error holds what stands in the file.
        raise ConfigError(f"{path} is not UTF-8 text: save it in that encoding.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check what it is and its permissions.") from error


def main(arguments: Sequence[str]) -> int:
    """Print the values asked for; 2 and a sentence on the error output where the file cannot be understood."""
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
