"""The recorded data stays small, and its sources are documented."""

from tests.recorded import EXAMPLES

MAX_BYTES = 400_000


def test_examples_are_small_and_documented() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    names = {path.relative_to(EXAMPLES).as_posix() for path in files if path.name != "README.md"}
    assert [name for name in names if f"| `{name}` |" not in readme] == []
