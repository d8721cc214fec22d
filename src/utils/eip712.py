"""EIP-712 messages of an API wallet: one string as ``Message`` in Aster's domain (V3, Example of POST order).

The encoding is implemented here so that constant parts are hashed only once. ``eth-account`` is imported lazily: a bot
with a V1 key does not need it.
"""

import sys
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eth_account.messages import SignableMessage
    from eth_account.signers.local import LocalAccount

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_MESSAGE_TYPE = b"Message(string msg)"
_NAME, _VERSION, _CONTRACT = b"AsterSignTransaction", b"1", bytes(20)
_WORD_BYTES, _SIGNATURE_BYTES = 32, 65
_STRUCTURED_DATA = b"\x01"
"""EIP-191 version byte of structured data."""


@cache
def load_library() -> ModuleType:
    """Import ``eth_account`` and restore the recursion limit that it raises for the whole process.

    With the raised limit, parsing deeply nested JSON would crash the process instead of raising RecursionError.
    """
    limit = sys.getrecursionlimit()
    try:
        import eth_account

        with suppress(ImportError):  # without it eth-account signs in plain Python, which takes far longer
            import coincurve  # noqa: F401 - loaded now, so that the first order does not wait for it
    finally:
        sys.setrecursionlimit(limit)
    return eth_account


def encode_message(text: str, chain_id: int) -> "SignableMessage":
    """Encode a message with ``text`` as its only field for a network's chain, for signing or recovering the signer."""
    load_library()
    from eth_account.messages import SignableMessage

    return SignableMessage(
        _STRUCTURED_DATA, _domain_separator(chain_id), _keccak(_message_type() + _keccak(text.encode()))
    )


def load_account(private_key: str) -> "LocalAccount":
    """Return the wallet of a private key of 64 hexadecimal digits. Raises ValueError for an invalid key."""
    library = load_library()
    from eth_utils.exceptions import ValidationError

    try:
        wallet: LocalAccount = library.Account.from_key(private_key)
    except (ValueError, ValidationError):
        pass
    else:
        return wallet
    raise ValueError("not a private key")  # outside the handler: the library's exception may contain the key


def recover_signer(text: str, signature: str, chain_id: int) -> str:
    """Return the address of the wallet that signed ``text`` for a chain. Raises ValueError for an invalid signature."""
    given = bytes.fromhex(signature.removeprefix("0x"))
    if len(given) != _SIGNATURE_BYTES:
        raise ValueError("not a signature")
    library = load_library()
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    try:
        return str(library.Account.recover_message(encode_message(text, chain_id), signature=given))
    except (BadSignature, ValidationError) as error:
        raise ValueError("not a signature") from error


def is_address(text: str) -> bool:
    """Return whether the text is 0x and 40 hexadecimal digits; mixed case must match the checksum."""
    from eth_utils.address import is_checksum_address, is_hex_address

    if not (text.startswith("0x") and is_hex_address(text)):
        return False
    digits = text[2:]
    return digits in (digits.lower(), digits.upper()) or bool(is_checksum_address(text))


@cache
def _domain_separator(chain_id: int) -> bytes:
    words = (_keccak(_DOMAIN_TYPE), _keccak(_NAME), _keccak(_VERSION), chain_id.to_bytes(_WORD_BYTES), _CONTRACT)
    return _keccak(b"".join(word.rjust(_WORD_BYTES, b"\0") for word in words))


@cache
def _message_type() -> bytes:
    return _keccak(_MESSAGE_TYPE)


def _keccak(text: bytes) -> bytes:
    from eth_utils.crypto import keccak

    return keccak(text)
