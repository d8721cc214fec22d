"""What must not reach a log: secrets, and signs that would let a value pretend to be another line."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

MASK = "***"
_SHORTEST_SECRET = 6

# Names as they stand in URLs, headers, JSON and Python's repr; what follows is masked whoever made it.
_NAMED_SECRET = re.compile(
    r"(?i)(signature|listen_?key|x-mbx-apikey|api_?key|api_?secret|secret_?key|private_?key|authorization|(?:set-)?cookie|nonce"
    r"|x-hunter-token|password)"
    r"""((?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)(?:(?:bearer|basic)\s+)?([^\s&"',;})\\]+)"""
)
_LISTEN_KEY_IN_PATH = re.compile(r"(/ws/|streams=)[A-Za-z0-9]{32,}")
# Keys, secrets, signatures and listen keys of the exchange are 64 signs; nothing else we log is a word this long.
_LONG_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{60,}(?![A-Za-z0-9])")
# Control characters, line separators and signs that reverse the direction of what follows.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

Redact = Callable[[str], str]


def redactor(secrets: Iterable[str]) -> Redact:
    """A function that masks these secrets, and whatever looks like one, in any text."""
    spellings = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in (secret, quote(secret, ""))}
    longest_first = sorted(spellings, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(MASK, text)
        text = _NAMED_SECRET.sub(rf"\1\2{MASK}", text)
        text = _LISTEN_KEY_IN_PATH.sub(rf"\1{MASK}", text)
        return _LONG_WORD.sub(MASK, text)

    return redact


def on_one_line(text: str) -> str:
    """The text with every sign that could break the line, move the cursor or turn the writing spelt out."""
    return _UNSAFE.sub(lambda match: _spelt_out(match.group()), text)


def _spelt_out(sign: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(sign) or (
        f"\\x{ord(sign):02x}" if ord(sign) < 0x100 else f"\\u{ord(sign):04x}"
    )
