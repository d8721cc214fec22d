"""Credentials of the account: a V1 API key or a V3 API wallet, complete and never both."""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from src.domain.enums import Network
from src.domain.errors import ConfigError
from src.utils.auth import Eip712Signer, HmacSigner, Signer
from src.utils.eip712 import is_address, load_account

_KEY_VARIABLES = ("API_KEY", "API_SECRET")
_USER, _PRIVATE_KEY, _SIGNER = "ASTER_USER_ADDRESS", "ASTER_SIGNER_PRIVATE_KEY", "ASTER_SIGNER_ADDRESS"
_WALLET_VARIABLES = (_USER, _PRIVATE_KEY)
CREDENTIAL_NAMES = (*_KEY_VARIABLES, *_WALLET_VARIABLES, _SIGNER)
"""Environment variables that hold credentials."""
_PLACEHOLDERS = frozenset({"", "your_api_key_here", "your_api_secret_here"})
_MASKED = "***"
_PRIVATE_KEY_PATTERN = re.compile("(?:0x)?[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """V1: an API key and its secret. Neither is ever displayed."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"Credentials(api_key={_MASKED}, api_secret={_MASKED})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never be logged."""
        return (self.api_key, self.api_secret)

    @property
    def label(self) -> str:
        """Name of the account for display: the last four characters of the key."""
        return f"API key …{self.api_key[-4:]}"

    def make_signer(self, network: Network) -> Signer:
        """Return a signer; these signatures are the same on every network."""
        return HmacSigner(self.api_key, self.api_secret)


@dataclass(frozen=True, slots=True)
class WalletCredentials:
    """V3: the login wallet's address, and the API wallet that signs for it. The private key is never displayed."""

    user: str
    signer: str
    private_key: str

    def __repr__(self) -> str:
        user, signer = f"{_MASKED}{self.user[-4:]}", f"{_MASKED}{self.signer[-4:]}"
        return f"WalletCredentials(user={user}, signer={signer}, private_key={_MASKED})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never be logged."""
        return (self.private_key, self.private_key.removeprefix("0x"))

    @property
    def label(self) -> str:
        """Name of the account for display: the login wallet's address, which is public."""
        return self.user

    def make_signer(self, network: Network) -> Signer:
        """Return a signer whose signatures count on this network only."""
        return Eip712Signer(self.user, self.private_key, network.chain_id)


AnyCredentials = Credentials | WalletCredentials


def read_credentials(values: Mapping[str, str], from_process: Set[str]) -> AnyCredentials | None:
    """The credentials in these variables, or None; ``from_process`` names the variables set outside ``.env``.

    Raises ConfigError for both kinds together, for incomplete ones, and for the private key of the login wallet.
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
        raise ConfigError(f"{first} and {second} come from different places: set both in .env, or both outside it.")


def _read_key(found: Mapping[str, str]) -> Credentials:
    malformed = [name for name, text in found.items() if not (text.isascii() and text.isalnum())]
    if malformed:
        raise ConfigError(*(f"{name} contains characters that no key has: copy it again." for name in malformed))
    return Credentials(*(found[name] for name in _KEY_VARIABLES))


def _read_wallet(found: Mapping[str, str]) -> WalletCredentials:
    errors = [f"{name} {reason}" for name, reason in _wallet_errors(found)]
    if errors:
        raise ConfigError(*errors)
    address = load_account(found[_PRIVATE_KEY]).address
    if address.lower() == found[_USER].lower():
        raise ConfigError(
            f"{_PRIVATE_KEY} is the key of your login wallet ({_USER}) itself: it gives full access to its funds. "
            "Remove it from this machine, create an API wallet on Aster's site, and use the key of that wallet."
        )
    if found.get(_SIGNER, address).lower() != address.lower():
        raise ConfigError(
            f"{_SIGNER} ends in {found[_SIGNER][-4:]}, but {_PRIVATE_KEY} belongs to a wallet that ends in "
            f"{address[-4:]}: copy both from the same API wallet."
        )
    return WalletCredentials(found[_USER], address, found[_PRIVATE_KEY])


def _wallet_errors(found: Mapping[str, str]) -> list[tuple[str, str]]:
    wrong_address = "is not an address (0x and 40 hexadecimal digits): copy it again."
    wrong_key = "is not a private key (64 hexadecimal digits): copy it again."
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
