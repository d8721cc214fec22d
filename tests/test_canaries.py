"""Canaries find a secret in every encoding; a search that misses one would prove nothing elsewhere."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.canaries import Canaries

KEY = "9f2c41d7e0b86a5310fedcba98765432f00dfeed0123456789abcdef13579bdf"
TEXT_SECRET = "a/secret+text=with other characters"


@pytest.mark.parametrize(
    "encoded",
    [
        KEY,
        f"https://x/order?signature=1&key={KEY}",
        KEY.upper(),
        f"...{KEY[20:32]}...",
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(bytes.fromhex(KEY)).decode(),
        quote(TEXT_SECRET, safe=""),
        TEXT_SECRET,
    ],
)
def test_secret_is_found_in_every_encoding(encoded: str) -> None:
    assert Canaries(f"0x{KEY}", TEXT_SECRET).are_in(encoded)


def test_raw_bytes_of_a_key_are_found() -> None:
    assert Canaries(KEY).are_in(b"\0\1" + bytes.fromhex(KEY) + b"\2")


@pytest.mark.parametrize("harmless", ["", KEY[-4:], KEY[:11], "lh-mbv0x1k2abcde-e", "0123456789ab"[::-1]])
def test_harmless_text_is_not_reported(harmless: str) -> None:
    assert not Canaries(KEY).are_in(harmless)


def test_files_with_a_secret_are_listed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "bot.log").write_text(f"key {KEY}", encoding="utf-8")
    (tmp_path / "bot.db").write_bytes(b"nothing")
    assert Canaries(KEY).files_under(tmp_path) == {"bot.log"}
