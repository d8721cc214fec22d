"""A minimal baseline program: receives a liquidation, parses it, and sends a signed order on a keep-alive session."""

import json
import sys
import time

import requests
import websocket

from src.utils.auth import HmacSigner


def main() -> None:
    """Arguments: REST URL, stream URL, symbol. The API key and secret are read from standard input."""
    base_url, ws_url, symbol = sys.argv[1:]
    signer = HmacSigner(*sys.stdin.readline().split())
    session = requests.Session()
    session.trust_env = False
    session.headers.update(signer.headers)
    session.get(f"{base_url}/fapi/v1/ping", timeout=5)
    socket = websocket.create_connection(f"{ws_url}/ws/{symbol.lower()}@forceOrder", skip_utf8_validation=True)
    print("ready", flush=True)
    while True:
        order = json.loads(socket.recv())["o"]
        side = "BUY" if order["S"] == "SELL" else "SELL"
        parameters = {
            "symbol": order["s"],
            "side": side,
            "positionSide": "BOTH",
            "type": "LIMIT",
            "quantity": "0.01",
            "price": "1000",
            "timeInForce": "GTC",
        }
        body = signer.sign(parameters, time.time_ns() // 1_000_000)
        session.post(f"{base_url}/fapi/v1/order", data=body, timeout=5)


if __name__ == "__main__":
    main()
