"""Keys of the account: V1 key pair, V3 API wallet and listen key; writes them to .env."""

import secrets
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import assert_never

from src.domain.errors import ConfigError, Rejected
from src.utils.auth import ApiVersion
from src.utils.eip712 import load_account
from src.utils.files import write_atomic

_MAX_NONCES = 100
_NO_SUCH_KEY = -1125
LISTEN_KEY_VALIDITY_MS = 60 * 60 * 1000


class UsedNonces:
    """The last hundred nonces of one user (V3 Nonce Mechanism)."""

    def __init__(self) -> None:
        self.rejected_count = 0
        """Number of nonces rejected as used or too small."""
        self._used: list[int] = []

    def use(self, nonce: int) -> bool:
        """Return False if the nonce was used or is smaller than all remembered ones."""
        place = bisect_left(self._used, nonce)
        if self._used[place : place + 1] == [nonce] or (place == 0 and len(self._used) == _MAX_NONCES):
            self.rejected_count += 1
            return False
        insort(self._used, nonce)
        del self._used[:-_MAX_NONCES]
        return True


@dataclass(frozen=True)
class Wallet:
    """A registered API wallet and its login wallet (``user``)."""

    user: str
    private_key: str
    nonces: UsedNonces = field(default_factory=UsedNonces)

    @cached_property
    def signer(self) -> str:
        """Address of the API wallet."""
        return load_account(self.private_key).address

    def __repr__(self) -> str:
        return "Wallet(***)"


def _issue_wallet() -> Wallet:
    return Wallet(f"0x{secrets.token_hex(20)}", f"0x{secrets.token_hex(32)}")


@dataclass(frozen=True, slots=True)
class Keys:
    api_key: str
    api_secret: str
    wallet: Wallet = field(default_factory=_issue_wallet)

    def __repr__(self) -> str:
        return "Keys(***)"


def issue_keys() -> Keys:
    return Keys(secrets.token_hex(32), secrets.token_hex(32))


class ListenKey:
    """The listen key of the account; there is one at most."""

    def __init__(self) -> None:
        self._key: str | None = None
        self._ends_at = 0

    def active(self, now_ms: int) -> str | None:
        return self._key if self._key and now_ms < self._ends_at else None

    def create(self, now_ms: int) -> str:
        """Return a new key, or extend and return the active one."""
        key = self.active(now_ms) or secrets.token_hex(32)
        self._key, self._ends_at = key, now_ms + LISTEN_KEY_VALIDITY_MS
        return key

    def keep_alive(self, now_ms: int, key: str | None = None) -> None:
        """Extend the active key. Raises Rejected -1125 if there is none or it is another one."""
        if self.active(now_ms) is None or key not in (None, self._key):
            raise Rejected(_NO_SUCH_KEY, "This listenKey does not exist.")
        self._ends_at = now_ms + LISTEN_KEY_VALIDITY_MS

    def close(self) -> str | None:
        """Invalidate the key and return it."""
        closed, self._key = self._key, None
        return closed

    def take_expired(self, now_ms: int) -> str | None:
        """Return the key once after it has expired, else None."""
        if self._key is None or now_ms < self._ends_at:
            return None
        return self.close()

    def expire(self) -> None:
        """Expire the key now."""
        self._ends_at = 0


def write_key_file(home: Path, keys: Keys, scheme: ApiVersion, base_url: str, ws_url: str) -> None:
    """Write ``<home>/.env`` atomically, readable by its owner only. Raises ConfigError."""
    lines = {
        **_credential_variables(keys, scheme),
        "ASTER_BASE_URL": base_url,
        "ASTER_WS_URL": ws_url,
        "ASTER_NETWORK": "sandbox",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_atomic(home / ".env", text, 0o600)
    except OSError as error:
        raise ConfigError(f"{home / '.env'} cannot be written: {error.strerror}") from error


def _credential_variables(keys: Keys, scheme: ApiVersion) -> dict[str, str]:
    match scheme:
        case ApiVersion.V1:
            return {"API_KEY": keys.api_key, "API_SECRET": keys.api_secret}
        case ApiVersion.V3:
            wallet = keys.wallet
            return {"ASTER_USER_ADDRESS": wallet.user, "ASTER_SIGNER_PRIVATE_KEY": wallet.private_key}
        case _:
            assert_never(scheme)
