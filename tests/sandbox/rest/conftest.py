"""Every route is asked as V1 and as V3 is."""

from typing import assert_never

import pytest

from src.sandbox.server import SandboxServer
from src.utils.auth import Scheme
from tests.sandbox.client import Client
from tests.sandbox.wallet_client import WalletClient


@pytest.fixture(params=Scheme)
def client(server: SandboxServer, request: pytest.FixtureRequest) -> Client:
    scheme = Scheme(request.param)
    match scheme:
        case Scheme.V1:
            return Client(server)
        case Scheme.V3:
            return WalletClient(server)
        case _:
            assert_never(scheme)
