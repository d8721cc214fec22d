"""The key to the private stream: one at a time, valid for an hour after each sign of life (User Data Streams)."""

import secrets

from src.domain.errors import Rejected

VALIDITY_MS = 60 * 60 * 1000
_NO_SUCH_KEY = -1125


class ListenKey:
    """The account's only listen key."""

    def __init__(self) -> None:
        self._key: str | None = None
        self._ends_at = 0

    def active(self, now_ms: int) -> str | None:
        return self._key if self._key and now_ms < self._ends_at else None

    def create(self, now_ms: int) -> str:
        """A key, or the active one with its validity extended."""
        key = self.active(now_ms) or secrets.token_hex(32)
        self._key, self._ends_at = key, now_ms + VALIDITY_MS
        return key

    def keep_alive(self, now_ms: int, key: str | None = None) -> None:
        """Extend the active key; Rejected -1125 where there is none, or not this one."""
        if self.active(now_ms) is None or key not in (None, self._key):
            raise Rejected(_NO_SUCH_KEY, "This listenKey does not exist.")
        self._ends_at = now_ms + VALIDITY_MS

    def close(self) -> str | None:
        """Invalidate the key; tells which one it was."""
        closed, self._key = self._key, None
        return closed

    def expired(self, now_ms: int) -> str | None:
        """The key whose hour has passed, told once."""
        if self._key is None or now_ms < self._ends_at:
            return None
        return self.close()

    def expire(self) -> None:
        """Let the hour be over now."""
        self._ends_at = 0
