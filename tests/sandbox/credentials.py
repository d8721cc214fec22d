"""What opens the sandbox's account, as a bot holds it."""

from typing import assert_never

from src.sandbox.server import SandboxServer
from src.utils.auth import Scheme
from src.utils.credentials import AnyCredentials, Credentials, WalletCredentials
from tests.canaries import Canaries


def credentials_of(server: SandboxServer, scheme: Scheme) -> AnyCredentials:
    match scheme:
        case Scheme.V1:
            return Credentials(server.api_key, server.api_secret)
        case Scheme.V3:
            wallet = server.wallet
            return WalletCredentials(wallet.user, wallet.signer, wallet.private_key)
        case _:
            assert_never(scheme)


def canaries_of(server: SandboxServer) -> Canaries:
    """Its keys are drawn anew for each server: no other text can hold them by chance."""
    return Canaries(server.api_key, server.api_secret, server.wallet.private_key)
