"""``python -m benchmarks.batches``: the orders of one burst in a batch, against single requests over the lanes.

The exchange is a small process of its own that answers at once, after a simulated round trip: half of it before the
request arrives, half after it is answered. It processes a batch as fast as an order; how fast Aster does is not known.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs

import requests

from src.core.gateway import Gateway
from src.domain.clock import SystemClock
from src.domain.commands import SubmitOrder
from src.domain.enums import Network, OrderRole, PositionSide
from src.domain.orders import ClientOrderId
from src.exchange.aster import AsterExchange
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.exchange.wire import render_order
from src.utils.auth import ApiVersion, Eip712Signer, HmacSigner, Signer
from tests.builders import a_request, an_update

_ROOT = Path(__file__).parents[1]
_USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
_PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
"""From Aster's documentation (V3, Example of POST order)."""
_ROUND_TRIPS_MS = (0, 20, 80)
_COUNTS = (2, 5)
_ANSWERED_WITHIN_SECONDS = 30


class TinyExchange:
    """Accepts every order, and notes when each arrived."""

    def __init__(self, round_trip_ms: int) -> None:
        self._half_seconds = round_trip_ms / 2000
        self._arrivals: list[int] = []
        self._order = render_order(an_update())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _read_head(reader):
            line, *lines = head.split("\r\n")
            headers = dict(each.lower().split(": ", 1) for each in lines if each)
            body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
            await asyncio.sleep(self._half_seconds)
            answer = json.dumps(self._answer(line.split()[1], body)).encode()
            await asyncio.sleep(self._half_seconds)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    def _answer(self, path: str, body: str) -> object:
        if path.endswith("/time"):
            return {"serverTime": time.time_ns() // 1_000_000}
        if path == "/arrivals":
            arrivals, self._arrivals = self._arrivals, []
            return arrivals
        parameters = {name: values[0] for name, values in parse_qs(body).items()}
        orders = json.loads(parameters["batchOrders"]) if "batchOrders" in parameters else [parameters]
        self._arrivals += [time.monotonic_ns()] * len(orders)
        answers = [
            {**self._order, "symbol": each["symbol"], "clientOrderId": each["newClientOrderId"]} for each in orders
        ]
        return answers if "batchOrders" in parameters else answers[0]


async def _read_head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


async def _serve(round_trip_ms: int) -> None:
    server = await asyncio.start_server(TinyExchange(round_trip_ms).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def _exchange(round_trip_ms: int) -> Iterator[str]:
    program = [sys.executable, "-m", "benchmarks.batches", "--serve", str(round_trip_ms)]
    process = subprocess.Popen(program, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Burst:
    """Milliseconds from the commit of a burst until its orders arrived, and until all were answered."""

    first_ms: float
    last_ms: float
    answered_ms: float


class Sender:
    """A gateway with its lanes and connections."""

    def __init__(self, url: str, signer: Signer, *, batch_orders: bool) -> None:
        clock = SystemClock()
        self._url, self._done = url, threading.Semaphore(0)
        client = AsterClient(url, clock, RateLimits(clock, weight_limit=10**9, order_limit=10**9), signer)
        post: Callable[[object], None] = lambda _: self._done.release()  # noqa: E731
        self._gateway = Gateway(AsterExchange(client), post, clock, lambda: False, lambda: batch_orders)
        self._bursts = 0
        self._threads = [
            threading.Thread(target=self._gateway.work, args=[lane, lambda: None], daemon=True)
            for lane in range(self._gateway.lanes)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, count: int) -> Burst:
        self._bursts += 1
        entries = [self._entry(number) for number in range(count)]
        started = time.monotonic_ns()
        self._gateway.submit(entries)
        for _ in entries:
            assert self._done.acquire(timeout=_ANSWERED_WITHIN_SECONDS)
        answered = time.monotonic_ns()
        arrivals = requests.get(f"{self._url}/arrivals", timeout=_ANSWERED_WITHIN_SECONDS).json()
        assert len(arrivals) == count
        return Burst(*((at - started) / 1e6 for at in (min(arrivals), max(arrivals), answered)))

    def _entry(self, number: int) -> SubmitOrder:
        name = str(ClientOrderId(f"{self._bursts:06}{number:04}", OrderRole.ENTRY))
        base = a_request(symbol=f"S{number}USDT", position_side=PositionSide.BOTH)
        return SubmitOrder(replace(base, client_order_id=name))

    def close(self) -> None:
        self._gateway.stop()
        for thread in self._threads:
            thread.join()


def _signer(version: ApiVersion) -> Signer:
    if version is ApiVersion.V1:
        return HmacSigner("key", "secret")
    return Eip712Signer(_USER, _PRIVATE_KEY, Network.SANDBOX.chain_id)


def measure(version: ApiVersion, round_trip_ms: int, count: int, bursts: int) -> dict[bool, list[Burst]]:
    """Send bursts both ways, alternating; by whether they were batched."""
    with _exchange(round_trip_ms) as url:
        senders = {batched: Sender(url, _signer(version), batch_orders=batched) for batched in (False, True)}
        for sender in senders.values():
            for _ in range(3):  # opens the connection of each lane
                sender.send(count)
        results: dict[bool, list[Burst]] = {False: [], True: []}
        for _ in range(bursts):
            for batched, sender in senders.items():
                results[batched].append(sender.send(count))
        for sender in senders.values():
            sender.close()
    return results


def _report(results: dict[bool, list[Burst]], count: int) -> str:
    cells = []
    for batched, found in results.items():
        figures = (median(getattr(each, name) for each in found) for name in ("first_ms", "last_ms", "answered_ms"))
        cells.append(
            f"{1 if batched else count} | {5 if batched else count} | {' | '.join(f'{each:.1f}' for each in figures)}"
        )
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--bursts", type=int, default=30, help="bursts of each kind (default 30)")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        asyncio.run(_serve(arguments.serve))
        return
    head = "requests | weight | first order | last order | all answered"
    print(f"| signature | orders | round trip | single: {head} | batch: {head} |")
    print(f"|{'---|' * 13}")
    for version in ApiVersion:
        for count in _COUNTS:
            for round_trip_ms in _ROUND_TRIPS_MS:
                cells = _report(measure(version, round_trip_ms, count, arguments.bursts), count)
                print(f"| {version.value} | {count} | {round_trip_ms} ms | {cells} |", flush=True)


if __name__ == "__main__":
    main()
