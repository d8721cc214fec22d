"""ccxt's public ``aster`` class with the addresses of the sandbox."""

import secrets
from typing import Any

import ccxt
import ccxt.pro

from src.sandbox.account.keys import Keys, Wallet
from src.sandbox.server import SandboxServer
from src.utils.eip712 import load_account

SYMBOL = "BTC/USDT:USDT"


def keys_of_a_login_wallet() -> Keys:
    """Keys of a wallet that signs for itself: ccxt derives the user's address from the private key."""
    private_key = f"0x{secrets.token_hex(32)}"
    return Keys(secrets.token_hex(32), secrets.token_hex(32), Wallet(load_account(private_key).address, private_key))


def rest_client(server: SandboxServer) -> Any:
    return _with_sandbox_urls(ccxt.aster(_options(server)), server)


def stream_client(server: SandboxServer) -> Any:
    """Close it with ``await client.close()``."""
    client = _with_sandbox_urls(ccxt.pro.aster(_options(server)), server)
    # ccxt recognizes futures by "fstream" in the URL: put it into the user name.
    host = server.ws_url.replace("ws://", "ws://fstream@")
    client.urls["api"]["ws"] = {
        "public": dict.fromkeys(("spot", "swap"), f"{host}/stream"),
        "private": dict.fromkeys(("spot", "swap"), f"{host}/ws"),
    }
    return client


def _options(server: SandboxServer) -> dict[str, Any]:
    """Disable ccxt's pause before every request."""
    return {
        "privateKey": server.wallet.private_key,
        "enableRateLimit": False,
        "options": {"defaultType": "swap"},
    }


def _with_sandbox_urls(client: Any, server: SandboxServer) -> Any:
    futures, spot = f"{server.base_url}/fapi", f"{server.base_url}/api"
    client.urls["api"] |= {"fapiPublic": futures, "fapiPrivate": futures, "sapiPublic": spot, "sapiPrivate": spot}
    return client
