"""Who may ask what on V3: a registered signer, a nonce of this instant, and an EIP-712 signature (V3 authentication).

For what is refused the document knows -1022 and -4225; a nonce outside the window is refused as real clients report
(-1021), a wallet that is not registered as a key would be (-2015).
"""

from src.domain.errors import AuthError
from src.sandbox.keys import Keys, Wallet
from src.sandbox.rest.parameters import Parameters
from src.sandbox.rest.security import (
    BAD_SIGNATURE,
    BAD_TIMESTAMP,
    UNKNOWN_KEY,
    Request,
    Security,
    without_signature,
)
from src.utils.typed_data import signer_of

_BAD_NONCE = -4225
_WINDOW_US = 10_000_000
WALLET_PARAMETERS = ("user", "signer", "nonce", "signature")


def authenticate_wallet(security: Security, request: Request, parameters: Parameters, keys: Keys, now_ms: int) -> None:
    """Raises AuthError with -2015, -1021, -1022 or -4225, or Rejected for missing parameters."""
    if security in (Security.NONE, Security.MARKET_DATA):
        return
    wallet = keys.wallet
    _check_registration(parameters, wallet)
    nonce = parameters.integer("nonce")
    if abs(now_ms * 1000 - nonce) > _WINDOW_US:
        raise AuthError(BAD_TIMESTAMP, "The nonce of this request is more than 10 seconds off the server's time.")
    parameters.text("signature")
    if not _is_signed_by(wallet.signer, request):
        raise AuthError(BAD_SIGNATURE, "Signature for this request is not valid.")
    if not wallet.nonces.spend(nonce):
        raise AuthError(_BAD_NONCE, "Nonce Expired")


def _check_registration(parameters: Parameters, wallet: Wallet) -> None:
    """The document's own example sends no user: the signer is registered for one."""
    signer, user = parameters.text("signer"), parameters.optional("user")
    if signer.lower() != wallet.signer.lower() or (user or wallet.user).lower() != wallet.user.lower():
        raise AuthError(UNKNOWN_KEY, "Invalid API-key, IP, or permissions for action.")


def _is_signed_by(address: str, request: Request) -> bool:
    """All parameters travel in one place, the query of a GET, else query or body; the signature comes last."""
    places = [text for text in (request.query, request.body) if text]
    if len(places) != 1 or (request.method == "GET" and request.body):
        return False
    signed, signature = without_signature(places[0])
    try:
        return signer_of(signed, signature or "") == address
    except ValueError:
        return False
