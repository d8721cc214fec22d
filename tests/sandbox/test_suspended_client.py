"""A suspended client gets everything that was sent meanwhile, late and in order, once it continues."""

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from src.domain.enums import Side
from src.sandbox.server import SandboxServer
from tests.helpers import suspended
from tests.sandbox.streams.test_server import wait_for_subscription

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows cannot suspend a process by signal")

TRADES = 500
CLIENT = f"""
import sys, json
from websockets.sync.client import connect
with connect(sys.argv[1]) as stream:
    for _ in range({TRADES}):
        print(json.loads(stream.recv(60))["q"], flush=True)
"""


def test_frames_wait_in_the_socket_of_a_suspended_process(server: SandboxServer) -> None:
    command = [sys.executable, "-c", CLIENT, f"{server.ws_url}/ws/btcusdt@aggTrade"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        wait_for_subscription(server, "btcusdt@aggTrade")
        server.exchange.trade("BTCUSDT", Side.BUY, Decimal(1))
        received = [process.stdout.readline()]
        with suspended(process):
            for quantity in range(2, TRADES + 1):
                server.exchange.trade("BTCUSDT", Side.BUY, Decimal(quantity))
            os.set_blocking(process.stdout.fileno(), False)
            assert process.stdout.readline() == b""
        os.set_blocking(process.stdout.fileno(), True)
        received += [process.stdout.readline() for _ in range(TRADES - 1)]

    assert [int(each) for each in received] == list(range(1, TRADES + 1))
