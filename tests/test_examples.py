"""The recorded data stays small, and says where it comes from."""

from tests.recorded import EXAMPLES

LARGEST_BYTES = 400_000


def test_they_are_small_and_each_is_named_with_its_source() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")

    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES
    named = {path.relative_to(EXAMPLES).as_posix() for path in files if path.name != "README.md"}
    assert [name for name in named if f"| `{name}` |" not in page] == []
