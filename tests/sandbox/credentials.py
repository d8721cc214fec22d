"""Credentials of the sandbox account for a bot."""

from typing import assert_never

from src.credentials.credentials import AnyCredentials, Credentials, WalletCredentials
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.canaries import Canaries


def credentials_of(server: SandboxServer, scheme: ApiVersion) -> AnyCredentials:
    match scheme:
        case ApiVersion.V1:
            return Credentials(server.api_key, server.api_secret)
        case ApiVersion.V3:
            wallet = server.wallet
            return WalletCredentials(wallet.user, wallet.signer, wallet.private_key)
        case _:
            assert_never(scheme)


def canaries_of(server: SandboxServer) -> Canaries:
    """Return the secrets of a server. They are random for each server, so no other text contains them by chance."""
    return Canaries(server.api_key, server.api_secret, server.wallet.private_key)
