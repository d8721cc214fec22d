"""``.env`` is changed line by line: what is not ours stays, no secret lingers, nothing gets in sideways."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.credentials.env_file import main, read_env_file, update_env_file
from src.domain.errors import ConfigError, InvariantError

THEIRS = """\
# my own remark

export API_KEY='old-key' # of last year
HOST=127.0.0.1
API_SECRET="old secret # with a hash"
  # indented
OTHER="two
lines"
API_SECRET=old-again
PORT=6000"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_other_lines_and_remarks_stay(path: Path) -> None:
    path.write_text(THEIRS, encoding="utf-8")
    update_env_file(path, {"API_KEY": "new1", "API_SECRET": "new2", "ASTER_NETWORK": "testnet"})
    assert path.read_text(encoding="utf-8") == (
        "# my own remark\n\nexport API_KEY=new1 # of last year\nHOST=127.0.0.1\nAPI_SECRET=\n  # indented\n"
        'OTHER="two\nlines"\nAPI_SECRET=new2\nPORT=6000\nASTER_NETWORK=testnet\n'
    )
    assert read_env_file(path)["API_SECRET"] == "new2"


def test_what_is_forgotten_leaves_an_empty_line_and_no_secret(path: Path) -> None:
    path.write_text(THEIRS, encoding="utf-8")
    update_env_file(path, {"API_KEY": "", "API_SECRET": "", "ASTER_USER_ADDRESS": ""})
    text = path.read_text(encoding="utf-8")
    assert "old" not in text
    assert "ASTER_USER_ADDRESS" not in text
    assert read_env_file(path)["PORT"] == "6000"


def test_a_missing_file_is_made_and_says_who_made_it(path: Path) -> None:
    update_env_file(path, {"API_KEY": "abc"})
    assert path.read_text(encoding="utf-8").startswith("# Made by the set-up.")
    assert read_env_file(path) == {"API_KEY": "abc"}


def test_line_ends_of_windows_stay_and_a_byte_order_mark_goes(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfAPI_KEY=old\r\nHOST=localhost\r\n")
    update_env_file(path, {"API_KEY": "new", "API_SECRET": "more"})
    assert path.read_bytes() == b"API_KEY=new\r\nHOST=localhost\r\nAPI_SECRET=more\r\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_owner_may_read_it_whoever_could_before(path: Path) -> None:
    path.write_text("API_KEY=old\n", encoding="utf-8")
    path.chmod(0o644)
    update_env_file(path, {"API_KEY": "new"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [".env"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
def test_a_link_to_the_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "env"
    kept.parent.mkdir()
    kept.write_text("API_KEY=old\n", encoding="utf-8")
    path.symlink_to(kept)
    update_env_file(path, {"API_KEY": "new"})
    assert path.is_symlink()
    assert read_env_file(kept) == {"API_KEY": "new"}


@pytest.mark.parametrize("value", ["a\nASTER_NETWORK=testnet", "a\rb", "a'b", 'a"b', "a b", "a#b", "a$b", "a\0b", "ü"])
def test_nothing_gets_in_with_a_value(path: Path, value: str) -> None:
    path.write_text("HOST=localhost\n", encoding="utf-8")
    with pytest.raises(InvariantError) as refused:
        update_env_file(path, {"API_KEY": value})
    assert value not in str(refused.value)
    assert path.read_text(encoding="utf-8") == "HOST=localhost\n"


def test_a_broken_file_is_left_as_it_is(path: Path) -> None:
    path.write_text("this is no line\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1: this is not NAME=value"):
        update_env_file(path, {"API_KEY": "new"})
    assert path.read_text(encoding="utf-8") == "this is no line\n"


def test_a_failure_to_write_leaves_the_old_file_and_no_other(path: Path) -> None:
    (path.parent / "folder").mkdir()
    with pytest.raises(OSError):
        update_env_file(path.parent / "folder" / "missing" / ".env", {"API_KEY": "new"})
    assert list((path.parent / "folder").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nB 2", 2),
        ("A='not closed\nB=1\n", 1),
        ('A="not closed', 1),
        ("# fine\n\nA=1\n=2\n", 4),
        ("A='closed' and more\n", 1),
    ],
)
def test_the_line_that_is_not_understood_is_named(path: Path, text: str, line: int) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line {line}: this is not NAME=value"):
        read_env_file(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("A = 'a # b' # remark", "a # b"),
        ("A=a#b", "a#b"),
        ("A=$HOME", "$HOME"),
        ("A=", ""),
        ("A=1\nA=2", "2"),
        ('A="one\r\ntwo"\r\nB=1', "one\r\ntwo"),
        ('export A="say \\"hi\\""', 'say "hi"'),
    ],
)
def test_values_are_read_as_the_usual_readers_of_such_files_do(path: Path, text: str, value: str) -> None:
    path.write_bytes(text.encode())
    assert read_env_file(path)["A"] == value


def test_the_launcher_gets_what_it_asks_for_and_no_secret(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("API_KEY=secret\nPORT=6000\n", encoding="utf-8")
    assert main([str(path), "HOST", "PORT"]) == 0
    assert json.loads(capsys.readouterr().out) == {"PORT": "6000"}


def test_a_file_that_is_not_understood_is_said_to_the_launcher(
    path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("nonsense here\n", encoding="utf-8")
    assert main([str(path), "PORT"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n"), caplog.records) == ("", 1, [])


names = st.sampled_from(["API_KEY", "API_SECRET", "HOST", "PORT"])
lines = st.one_of(
    st.builds("{}={}".format, names, st.from_regex(r"[a-z0-9]{0,8}", fullmatch=True)),
    st.just("# a remark"),
    st.just(""),
)


@given(st.lists(lines, max_size=12), st.dictionaries(names, st.from_regex(r"[a-z0-9]{0,8}", fullmatch=True)))
def test_what_was_asked_for_is_read_back_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], changes: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("home") / ".env"
    path.write_text("\n".join(before), encoding="utf-8")
    known = {name: value for name, value in read_env_file(path).items() if value}
    update_env_file(path, changes)
    message = {name: value for name, value in read_env_file(path).items() if value}
    assert message == {name: value for name, value in {**known, **changes}.items() if value}
