"""Secrets that sing: wherever one of them was written, in whatever spelling, it is found (I35, D11, D13)."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

SHORTEST_FRAGMENT = 12
"""So many signs of a key in a row tell too much of it; the page shows the last four."""


class Canaries:
    """The secrets of one account, and everything they could be spelt as."""

    def __init__(self, *secrets: str) -> None:
        forms = {form for secret in secrets for form in _forms(secret.removeprefix("0x"))}
        self._forms = tuple(sorted(forms, key=len))

    def are_in(self, text: str | bytes) -> bool:
        """Upper and lower case are one: keys are written in hexadecimal digits, and bytes are searched as they are."""
        raw = text.encode("utf-8", errors="surrogatepass") if isinstance(text, str) else text
        small = raw.lower()
        return any(form in raw or form in small for form in self._forms)

    def files_under(self, home: Path) -> set[str]:
        """Names of the files, logs and databases among them, in which one of them stands."""
        return {path.name for path in home.rglob("*") if path.is_file() and self.are_in(path.read_bytes())}


def _forms(secret: str) -> Iterator[bytes]:
    """Every fragment, as it is and percent-encoded; base64 of the whole, wherever it begins within other bytes."""
    for start in range(max(1, len(secret) - SHORTEST_FRAGMENT + 1)):
        fragment = secret[start : start + SHORTEST_FRAGMENT]
        yield fragment.encode()
        yield fragment.lower().encode()
        yield quote(fragment, safe="").encode()
    yield from _base64(secret.encode())
    if _is_hex(secret):
        yield bytes.fromhex(secret)
        yield from _base64(bytes.fromhex(secret))


def _base64(secret: bytes) -> Iterator[bytes]:
    for offset in range(3):
        # The first and the last group hold bits of their neighbours; what lies between is the same everywhere.
        whole = base64.b64encode(b"\0" * offset + secret)[4 if offset else 0 : -4]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(sign in "0123456789abcdefABCDEF" for sign in text)
