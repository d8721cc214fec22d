"""Plain English: words that an earlier version of this project used in a sense of its own stay out of it."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
THIS_FILE = Path(__file__).name
SUFFIXES = {".py", ".js", ".html", ".md"}
PRODUCT = (
    "src",
    "static",
    "templates",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "main.py",
)
RETIRED_IN_PROSE = re.compile(
    r"\b(anew|heed(s|ed)?|wish(es|ed)?|un?told|tells?|told|unheard|hears?|heard|whose|strangers?|strange|stands?|stood"
    r"|rests|bare|mute|misfits?|desks?|crew|archivist|vitals|(?<!data-)slots?|by\shand|fired|given\sup|taken\sover"
    r"|somebody|naked|ladder|rungs?)\b",
    re.IGNORECASE,
)
RETIRED_IN_NAMES = re.compile(
    r"(?:^|_)(desks?|wish(es)?|heed(s|ed)?|anew|stranger?|pen|crew|ear|vitals|tells?|(un)?told|bare|mute|misfit|whose"
    r"|archivist|slots?|absence|trail|surroundings|unsettled|hear|heard|fired|doubt|quest)(?:_|$)"
)
MOST_IN_PRODUCT, MOST_IN_TESTS = 1.0, 2.0
"""Retired words in 1,000 words of prose: some have an ordinary sense as well."""


def sources(*places: str) -> Iterator[Path]:
    for place in (ROOT / each for each in places):
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (
            path for path in files if path.suffix in {".py", ".js", ".html", ".md"} and "vendor" not in path.parts
        )


def prose_of(path: Path) -> str:
    """Comments, docstrings and sentences of a source file; a page of documentation whole."""
    text = path.read_text(encoding="utf-8")
    match path.suffix:
        case ".py":
            tokens = tokenize.generate_tokens(io.StringIO(text).readline)
            comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
            constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
            return "\n".join(
                [*comments, *(each for each in constants if isinstance(each, str) and each.count(" ") > 1)]
            )
        case ".js":
            return "\n".join(re.findall(r"//.*|/\*[\s\S]*?\*/|\"[^\"\n]* [^\"\n]*\"|`[^`\n]* [^`\n]*`", text))
        case ".html":
            return re.sub(r"<[^>]*>", " ", text)
    return text


def retired_per_1000(*places: str) -> float:
    prose = "\n".join(map(prose_of, sources(*places)))
    return 1000 * len(RETIRED_IN_PROSE.findall(prose)) / len(re.findall(r"[A-Za-z']+", prose))


def names_of(path: Path) -> Iterator[str]:
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Attribute(attr=name) | ast.Name(id=name):
                yield name


def retired_names(*places: str) -> set[str]:
    names = {name for path in sources(*places) if path.suffix == ".py" for name in names_of(path)}
    return {name for name in names if not name.startswith("__") and RETIRED_IN_NAMES.search(snake_case(name))}


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_product_prose_is_plain() -> None:
    assert retired_per_1000(*PRODUCT) <= MOST_IN_PRODUCT


def test_test_prose_is_plain() -> None:
    assert retired_per_1000("tests") <= MOST_IN_TESTS


def test_no_name_holds_a_retired_word() -> None:
    assert retired_names("src", "main.py") == set()
