"""``.env`` on disk: read strictly, changed line by line, written whole, readable for its owner alone."""

import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from src.domain.errors import ConfigError, InvariantError
from src.utils.atomic_file import write_atomic

OWNER_ONLY = 0o600
_SAFE_VALUE = re.compile(r"[A-Za-z0-9.:/_-]*")
"""Signs that mean themselves in a ``.env``: no quote, space, # or end of line can come in with a value."""
_PREFIX = re.compile(r"\s*(?:export[^\S\r\n]+)?")
_COMMENT = re.compile(r"[^\S\r\n]+#[^'\"\r\n]*$")
_HEADER = "# Made by the set-up. What may stand here, and what it means: .env.example"


def read_env_file(path: Path) -> dict[str, str]:
    """Every name with its value, the last of several; an absent file is empty. Raises ConfigError."""
    return {b.key: b.value.strip() for b in _bindings(path, _read(path)) if b.key is not None and b.value is not None}


def update_env_file(path: Path, changes: Mapping[str, str]) -> None:
    """Give names their values, an empty one to forget what was there; every other line stays as it is.

    Raises ConfigError where the file cannot be understood, OSError where it cannot be written.
    """
    for name, value in changes.items():
        if not _SAFE_VALUE.fullmatch(value):
            raise InvariantError(f"a value for {name} that was not checked")
    path = path.resolve()  # a link to the file stays one
    text = _read(path)
    bindings, end = _bindings(path, text), "\r\n" if "\r\n" in text else "\n"
    lines = list(_updated_lines(bindings, changes, end)) or [_HEADER + end]
    present = {binding.key for binding in bindings}
    lines += [f"{name}={value}{end}" for name, value in changes.items() if value and name not in present]
    write_atomic(path, "".join(lines), OWNER_ONLY)


def _updated_lines(bindings: list[Binding], changes: Mapping[str, str], end: str) -> Iterator[str]:
    """Each line as it was, or with its new value; the last one ends like the others."""
    last = {binding.key: place for place, binding in enumerate(bindings)}
    for place, binding in enumerate(bindings):
        line, name = binding.original.string, binding.key
        if name is None or name not in changes:
            yield line if line.endswith("\n") else line + end
            continue
        # Of a name that stands there twice the last line counts: no older secret stays behind in another one.
        value = changes[name] if place == last[name] else ""
        prefix, comment = _PREFIX.match(line), _COMMENT.search(line.rstrip("\r\n"))
        yield f"{prefix.group() if prefix else ''}{name}={value}{comment.group() if comment else ''}{end}"


def _bindings(path: Path, text: str) -> list[Binding]:
    bindings = list(parse_stream(StringIO(text)))
    broken = [f"{path}, line {b.original.line}: this is not NAME=value; correct it." for b in bindings if b.error]
    if broken:
        raise ConfigError(*broken)
    return bindings


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
