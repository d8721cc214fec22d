"""What the sandbox has issued: a V1 key pair and a V3 API wallet, both for its only account."""

import secrets
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from functools import cached_property

from src.utils.typed_data import open_wallet

_REMEMBERED = 100


class Nonces:
    """The last hundred of one user (V3 Nonce Mechanism)."""

    def __init__(self) -> None:
        self.refused = 0
        """How often one came that was spent, or too small."""
        self._used: list[int] = []

    def spend(self, nonce: int) -> bool:
        """False for one that was used, or is smaller than all that are remembered."""
        place = bisect_left(self._used, nonce)
        if self._used[place : place + 1] == [nonce] or (place == 0 and len(self._used) == _REMEMBERED):
            self.refused += 1
            return False
        insort(self._used, nonce)
        del self._used[:-_REMEMBERED]
        return True


@dataclass(frozen=True)
class Wallet:
    """A registered API wallet, and the login wallet it signs for."""

    user: str
    private_key: str
    nonces: Nonces = field(default_factory=Nonces)

    @cached_property
    def signer(self) -> str:
        """The API wallet's address."""
        return open_wallet(self.private_key).address

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
