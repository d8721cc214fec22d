"""What opens the account: a V1 API key or a V3 API wallet, never both and never half of one."""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from src.domain.errors import ConfigError
from src.utils.auth import Eip712Signer, HmacSigner, Signer
from src.utils.eip712 import is_address, load_account

_KEY_VARIABLES = ("API_KEY", "API_SECRET")
_USER, _PRIVATE_KEY, _SIGNER = "ASTER_USER_ADDRESS", "ASTER_SIGNER_PRIVATE_KEY", "ASTER_SIGNER_ADDRESS"
_WALLET_VARIABLES = (_USER, _PRIVATE_KEY)
CREDENTIAL_NAMES = (*_KEY_VARIABLES, *_WALLET_VARIABLES, _SIGNER)
"""The variables that hold them."""
_PLACEHOLDERS = frozenset({"", "your_api_key_here", "your_api_secret_here"})
_MASKED = "***"
_PRIVATE_KEY_PATTERN = re.compile("(?:0x)?[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """V1: the two halves of an API key. Neither is ever shown."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"Credentials(api_key={_MASKED}, api_secret={_MASKED})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may hold."""
        return (self.api_key, self.api_secret)

    @property
    def label(self) -> str:
        """Whose account it is, as it may be shown: the key's last four signs."""
        return f"API key …{self.api_key[-4:]}"

    def make_signer(self) -> Signer:
        return HmacSigner(self.api_key, self.api_secret)


@dataclass(frozen=True, slots=True)
class WalletCredentials:
    """V3: the login wallet's address, and the API wallet that signs for it. Of its key nothing is shown."""

    user: str
    signer: str
    private_key: str

    def __repr__(self) -> str:
        user, signer = f"{_MASKED}{self.user[-4:]}", f"{_MASKED}{self.signer[-4:]}"
        return f"WalletCredentials(user={user}, signer={signer}, private_key={_MASKED})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may hold."""
        return (self.private_key, self.private_key.removeprefix("0x"))

    @property
    def label(self) -> str:
        """Whose account it is: the login wallet's address, which is public."""
        return self.user

    def make_signer(self) -> Signer:
        return Eip712Signer(self.user, self.private_key)


AnyCredentials = Credentials | WalletCredentials


def read_credentials(values: Mapping[str, str], from_process: Set[str]) -> AnyCredentials | None:
    """The credentials that these variables hold, None without any; ``from_process`` names those not of ``.env``.

    Raises ConfigError for both kinds at once, for half of one, and for the key of the login wallet itself.
    """
    found = {name: values[name] for name in CREDENTIAL_NAMES if values.get(name, "") not in _PLACEHOLDERS}
    key_vars, wallet_vars = (
        [name for name in _KEY_VARIABLES if name in found],
        [name for name in found if name not in _KEY_VARIABLES],
    )
    if key_vars and wallet_vars:
        raise ConfigError(
            f"{key_vars[0]} and {wallet_vars[0]} are both set: keep the API key (V1) or the API wallet (V3), not both."
        )
    if not found:
        return None
    needed, read = (_KEY_VARIABLES, _read_key) if key_vars else (_WALLET_VARIABLES, _read_wallet)
    _require_complete(needed, found, from_process)
    return read(found)


def _require_complete(needed: tuple[str, str], found: Mapping[str, str], from_process: Set[str]) -> None:
    first, second = needed
    if missing := [name for name in needed if name not in found]:
        raise ConfigError(f"{missing[0]} is missing: set both {first} and {second}, or neither to trade on paper.")
    if len(from_process & found.keys()) not in (0, len(found)):
        raise ConfigError(f"{first} and {second} come from different places: put both in .env, or both outside it.")


def _read_key(found: Mapping[str, str]) -> Credentials:
    malformed = [name for name, text in found.items() if not (text.isascii() and text.isalnum())]
    if malformed:
        raise ConfigError(*(f"{name} holds signs that no key has: copy it again from Aster." for name in malformed))
    return Credentials(*(found[name] for name in _KEY_VARIABLES))


def _read_wallet(found: Mapping[str, str]) -> WalletCredentials:
    faults = [f"{name} {reason}" for name, reason in _wallet_errors(found)]
    if faults:
        raise ConfigError(*faults)
    address = load_account(found[_PRIVATE_KEY]).address
    if address.lower() == found[_USER].lower():
        raise ConfigError(
            f"{_PRIVATE_KEY} is the key of your login wallet ({_USER}) itself: whoever reads it owns everything in it. "
            "Take it off this machine, create an API wallet on Aster's site, and put that one's key here."
        )
    if found.get(_SIGNER, address).lower() != address.lower():
        raise ConfigError(
            f"{_SIGNER} ends in {found[_SIGNER][-4:]}, but {_PRIVATE_KEY} belongs to the wallet that ends in "
            f"{address[-4:]}: copy both from the same API wallet."
        )
    return WalletCredentials(found[_USER], address, found[_PRIVATE_KEY])


def _wallet_errors(found: Mapping[str, str]) -> list[tuple[str, str]]:
    wrong_address = "is not an address: 0x and 40 hexadecimal digits, with no letter mistaken; copy it again."
    wrong_key = "is not a private key: 64 hexadecimal digits; copy it again."
    checks: Mapping[str, tuple[Callable[[str], bool], str]] = {
        _USER: (is_address, wrong_address),
        _PRIVATE_KEY: (_is_private_key, wrong_key),
        _SIGNER: (is_address, wrong_address),
    }
    return [(name, checks[name][1]) for name, text in found.items() if not checks[name][0](text)]


def _is_private_key(text: str) -> bool:
    if not _PRIVATE_KEY_PATTERN.fullmatch(text):
        return False
    try:
        load_account(text)
    except ValueError:
        return False
    return True
