"""Canaries: secrets that tests search for in files and messages, in every encoding (I35)."""

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

SHORTEST_FRAGMENT = 12
"""Characters in a row that count as a leak; the dashboard shows the last four."""


class Canaries:
    """The secrets of one account in all their encodings."""

    def __init__(self, *secrets: str) -> None:
        forms = {form for secret in secrets for form in _forms(secret.removeprefix("0x"))}
        self._forms = tuple(sorted(forms, key=len))

    def are_in(self, text: str | bytes) -> bool:
        """Whether the text contains one of the secrets; case is ignored."""
        raw = text.encode("utf-8", errors="surrogatepass") if isinstance(text, str) else text
        lowered = raw.lower()
        return any(form in raw or form in lowered for form in self._forms)

    def files_under(self, home: Path) -> set[str]:
        """Names of all files below this directory, logs and databases included, that contain a secret."""
        return {path.name for path in home.rglob("*") if path.is_file() and self.are_in(path.read_bytes())}


def _forms(secret: str) -> Iterator[bytes]:
    """All fragments, plain and percent-encoded; base64 of the whole secret at each offset."""
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
        # The first and last groups depend on the neighbouring bytes; the groups between them do not.
        whole = base64.b64encode(b"\0" * offset + secret)[4 if offset else 0 : -4]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def _is_hex(text: str) -> bool:
    return len(text) % 2 == 0 and all(character in "0123456789abcdefABCDEF" for character in text)
