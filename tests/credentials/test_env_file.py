"""``.env`` is updated line by line: other lines stay, no old secret remains, no value can inject a line."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.credentials.env_file import main, read_env_file, update_env_file
from src.domain.errors import ConfigError, InvariantError

USER_FILE = """\
# my own comment

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


def test_other_lines_and_comments_are_kept(path: Path) -> None:
    path.write_text(USER_FILE, encoding="utf-8")
    update_env_file(path, {"API_KEY": "new1", "API_SECRET": "new2", "ASTER_NETWORK": "testnet"})
    assert path.read_text(encoding="utf-8") == (
        "# my own comment\n\nexport API_KEY=new1 # of last year\nHOST=127.0.0.1\nAPI_SECRET=\n  # indented\n"
        'OTHER="two\nlines"\nAPI_SECRET=new2\nPORT=6000\nASTER_NETWORK=testnet\n'
    )
    assert read_env_file(path)["API_SECRET"] == "new2"


def test_cleared_secret_leaves_an_empty_value(path: Path) -> None:
    path.write_text(USER_FILE, encoding="utf-8")
    update_env_file(path, {"API_KEY": "", "API_SECRET": "", "ASTER_USER_ADDRESS": ""})
    text = path.read_text(encoding="utf-8")
    assert "old" not in text
    assert "ASTER_USER_ADDRESS" not in text
    assert read_env_file(path)["PORT"] == "6000"


def test_missing_file_is_created_with_a_header(path: Path) -> None:
    update_env_file(path, {"API_KEY": "abc"})
    assert path.read_text(encoding="utf-8").startswith("# Created by the setup.")
    assert read_env_file(path) == {"API_KEY": "abc"}


def test_crlf_line_ends_are_kept_and_a_bom_is_removed(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfAPI_KEY=old\r\nHOST=localhost\r\n")
    update_env_file(path, {"API_KEY": "new", "API_SECRET": "more"})
    assert path.read_bytes() == b"API_KEY=new\r\nHOST=localhost\r\nAPI_SECRET=more\r\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_updated_file_is_readable_only_by_its_owner(path: Path) -> None:
    path.write_text("API_KEY=old\n", encoding="utf-8")
    path.chmod(0o644)
    update_env_file(path, {"API_KEY": "new"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [".env"]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_symbolic_link_is_kept(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "env"
    kept.parent.mkdir()
    kept.write_text("API_KEY=old\n", encoding="utf-8")
    path.symlink_to(kept)
    update_env_file(path, {"API_KEY": "new"})
    assert path.is_symlink()
    assert read_env_file(kept) == {"API_KEY": "new"}


@pytest.mark.parametrize("value", ["a\nASTER_NETWORK=testnet", "a\rb", "a'b", 'a"b', "a b", "a#b", "a$b", "a\0b", "ü"])
def test_value_with_special_characters_is_rejected(path: Path, value: str) -> None:
    path.write_text("HOST=localhost\n", encoding="utf-8")
    with pytest.raises(InvariantError) as error:
        update_env_file(path, {"API_KEY": value})
    assert value not in str(error.value)
    assert path.read_text(encoding="utf-8") == "HOST=localhost\n"


def test_invalid_file_is_not_changed(path: Path) -> None:
    path.write_text("not a variable\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1: expected NAME=value"):
        update_env_file(path, {"API_KEY": "new"})
    assert path.read_text(encoding="utf-8") == "not a variable\n"


def test_failed_write_leaves_no_temporary_file(path: Path) -> None:
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
def test_invalid_line_is_reported_with_its_number(path: Path, text: str, line: int) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line {line}: expected NAME=value"):
        read_env_file(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("A = 'a # b' # comment", "a # b"),
        ("A=a#b", "a#b"),
        ("A=$HOME", "$HOME"),
        ("A=", ""),
        ("A=1\nA=2", "2"),
        ('A="one\r\ntwo"\r\nB=1', "one\r\ntwo"),
        ('export A="say \\"hi\\""', 'say "hi"'),
    ],
)
def test_values_are_parsed_as_dotenv_does(path: Path, text: str, value: str) -> None:
    path.write_bytes(text.encode())
    assert read_env_file(path)["A"] == value


def test_main_prints_only_the_requested_values(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("API_KEY=secret\nPORT=6000\n", encoding="utf-8")
    assert main([str(path), "HOST", "PORT"]) == 0
    assert json.loads(capsys.readouterr().out) == {"PORT": "6000"}


def test_main_reports_an_invalid_file_in_one_line(
    path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("nonsense here\n", encoding="utf-8")
    assert main([str(path), "PORT"]) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n"), caplog.records) == ("", 1, [])


names = st.sampled_from(["API_KEY", "API_SECRET", "HOST", "PORT"])
lines = st.one_of(
    st.builds("{}={}".format, names, st.from_regex(r"[a-z0-9]{0,8}", fullmatch=True)),
    st.just("# a comment"),
    st.just(""),
)


@given(st.lists(lines, max_size=12), st.dictionaries(names, st.from_regex(r"[a-z0-9]{0,8}", fullmatch=True)))
def test_updated_values_are_read_back_and_others_stay(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], changes: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("home") / ".env"
    path.write_text("\n".join(before), encoding="utf-8")
    stored = {name: value for name, value in read_env_file(path).items() if value}
    update_env_file(path, changes)
    updated = {name: value for name, value in read_env_file(path).items() if value}
    assert updated == {name: value for name, value in {**stored, **changes}.items() if value}
