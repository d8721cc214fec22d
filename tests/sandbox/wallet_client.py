"""A test client that signs for V3 with eth-account, independent of the code under test."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests

from src.utils.eip712 import load_library
from tests.sandbox.client import TIMEOUT_S, Client, texts

_DOMAIN = {
    "name": "AsterSignTransaction",
    "version": "1",
    "chainId": 1666,
    "verifyingContract": "0x0000000000000000000000000000000000000000",
}
_TYPES = {"Message": [{"name": "msg", "type": "string"}]}


@dataclass
class WalletClient(Client):
    """REST client with V3 signatures; it converts V1 paths to V3."""

    _last_nonce: int = 0

    def public(self, path: str, **parameters: object) -> requests.Response:
        return super().public(_v3_path(path), **parameters)

    def market_data(self, path: str, **parameters: object) -> requests.Response:
        return self.public(path, **parameters)

    def signed(self, method: str, path: str, **parameters: Any) -> requests.Response:
        """Send parameters of a GET in the query, of other methods in the body (General Information on Endpoints)."""
        return self.send(method, _v3_path(path), **{"query" if method == "GET" else "body": self.text(**parameters)})

    def nonce(self) -> int:
        self._last_nonce = max(self._last_nonce + 1, self.server.exchange.now_ms() * 1000)
        return self._last_nonce

    def text(self, key: str | None = None, **parameters: Any) -> str:
        """Return the urlencoded parameters with their signature; None is left out."""
        wallet = self.server.wallet
        payload = {"user": wallet.user, "signer": wallet.signer, "nonce": self.nonce()}
        text = urlencode(texts({**payload, **parameters}))
        library = load_library()
        message = library.messages.encode_typed_data(_DOMAIN, _TYPES, {"msg": text})
        signature = library.Account.sign_message(message, key or wallet.private_key).signature
        return f"{text}&signature=0x{bytes(signature).hex()}"

    def send(self, method: str, path: str, *, query: str = "", body: str = "") -> requests.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        url = f"{self.server.base_url}{path}?{query}"
        return self.session.request(method, url, data=body or None, headers=headers, timeout=TIMEOUT_S)


def _v3_path(path: str) -> str:
    _, host, _, name = path.split("/", 3)
    return f"/{host}/v3/{name}"
