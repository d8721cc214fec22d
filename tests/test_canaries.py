"""The search for secrets finds what it claims to find: a search that finds nothing proves nothing else."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.canaries import Canaries

KEY = "9f2c41d7e0b86a5310fedcba98765432f00dfeed0123456789abcdef13579bdf"
WORD = "a/secret+word=of other signs"


@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        f"https://x/order?signature=1&key={KEY}",
        KEY.upper(),
        f"...{KEY[20:32]}...",
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(bytes.fromhex(KEY)).decode(),
        quote(WORD, safe=""),
        WORD,
    ],
)
def test_a_secret_is_found_in_every_spelling(spelling: str) -> None:
    assert Canaries(f"0x{KEY}", WORD).are_in(spelling)


def test_raw_bytes_of_a_key_are_found() -> None:
    assert Canaries(KEY).are_in(b"\0\1" + bytes.fromhex(KEY) + b"\2")


@pytest.mark.parametrize("innocent", ["", KEY[-4:], KEY[:11], "lh-mbv0x1k2abcde-e", "0123456789ab"[::-1]])
def test_what_is_no_secret_is_none(innocent: str) -> None:
    assert not Canaries(KEY).are_in(innocent)


def test_the_files_that_hold_one_are_named(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "bot.log").write_text(f"key {KEY}", encoding="utf-8")
    (tmp_path / "bot.db").write_bytes(b"nothing")
    assert Canaries(KEY).files_under(tmp_path) == {"bot.log"}
