"""ccxt's public ``aster`` class on a sandbox: unchanged but for the addresses, and none of them leaves this machine."""

import secrets
from typing import Any

import ccxt
import ccxt.pro

from src.sandbox.account.keys import Keys, Wallet
from src.sandbox.server import SandboxServer
from src.utils.eip712 import load_account

SYMBOL = "BTC/USDT:USDT"


def keys_of_a_login_wallet() -> Keys:
    """It signs for itself: ccxt takes the user's address from the private key it is given."""
    private_key = f"0x{secrets.token_hex(32)}"
    return Keys(secrets.token_hex(32), secrets.token_hex(32), Wallet(load_account(private_key).address, private_key))


def calling(server: SandboxServer) -> Any:
    return _at_home(ccxt.aster(_options(server)), server)


def listening(server: SandboxServer) -> Any:
    """To be closed with ``await client.close()``."""
    client = _at_home(ccxt.pro.aster(_options(server)), server)
    # It tells futures from spot by this word in the address: here it stands where a name of a user may stand.
    host = server.ws_url.replace("ws://", "ws://fstream@")
    client.urls["api"]["ws"] = {
        "public": dict.fromkeys(("spot", "swap"), f"{host}/stream"),
        "private": dict.fromkeys(("spot", "swap"), f"{host}/ws"),
    }
    return client


def _options(server: SandboxServer) -> dict[str, Any]:
    """Without its own pause of a third of a second before every request."""
    return {
        "privateKey": server.wallet.private_key,
        "enableRateLimit": False,
        "options": {"defaultType": "swap"},
    }


def _at_home(client: Any, server: SandboxServer) -> Any:
    futures, spot = f"{server.base_url}/fapi", f"{server.base_url}/api"
    client.urls["api"] |= {"fapiPublic": futures, "fapiPrivate": futures, "sapiPublic": spot, "sapiPrivate": spot}
    return client
