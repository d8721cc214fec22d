"""The floor program: receives a frame, parses it and POSTs a signed order on a kept-alive ``requests`` session.

It decides nothing, records nothing and checks nothing: no program in Python with these libraries is much faster.
"""

import json
import sys
import time

import requests
import websocket

from benchmarks.programs import signer_of
from src.utils.auth import ApiVersion


def main() -> None:
    """Arguments: address of the exchange without its scheme, and the API version."""
    address, version = sys.argv[1], ApiVersion(sys.argv[2])
    signer = signer_of(version)
    session = requests.Session()
    session.headers.update(signer.headers)
    session.get(f"http://{address}/fapi/v1/time", timeout=5)
    url = f"http://{address}/fapi/{version}/order"
    socket = websocket.create_connection(f"ws://{address}/ws/floor", skip_utf8_validation=True)
    print("ready", flush=True)
    while True:
        event = json.loads(socket.recv())
        if event["e"] == "ACCOUNT_UPDATE" or not event["o"]["s"].startswith("FLOOR"):
            continue
        order = event["o"]
        common = {"symbol": order["s"], "side": "BUY" if order["S"] == "SELL" else "SELL", "positionSide": "BOTH"}
        if event["e"] == "forceOrder":
            terms = {"type": "LIMIT", "quantity": "0.01", "price": "1999.99", "timeInForce": "GTC"}
        else:
            terms = {"type": "STOP_MARKET", "stopPrice": "1950.00", "closePosition": "true"}
        session.post(url, data=signer.sign(common | terms, time.time_ns() // 1_000_000), timeout=5).json()


if __name__ == "__main__":
    main()
