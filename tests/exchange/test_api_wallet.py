"""V3 over a real connection: paths, parameters, listen key and rejected nonces."""

from collections.abc import Iterator

import pytest

from src.domain.clock import ManualClock, SystemClock
from src.domain.enums import Network
from src.domain.errors import AuthError
from src.exchange.aster import AsterExchange, AsterListenKeys
from src.exchange.client import AsterClient
from src.exchange.limits import RateLimits
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion, Eip712Signer
from tests.exchange.builders import ACCEPTED, CANCEL, ENTRY_ID, QUERY, SUBMIT, accepted, failure_of, rejected
from tests.exchange.conftest import NOW_MS, PRIVATE_KEY, USER
from tests.exchange.scripted_server import Reply, ScriptedServer

ORDER = "/fapi/v3/order"
TIME = "/fapi/v3/time"
LISTEN_KEY = "/fapi/v3/listenKey"


@pytest.fixture
def scheme() -> ApiVersion:
    return ApiVersion.V3


def test_request_carries_wallet_and_exchange_time(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("POST", ORDER, accepted())

    assert exchange.execute(SUBMIT) == [ACCEPTED]

    [received] = server.received_at(ORDER)
    assert received.parameters["newClientOrderId"] == ENTRY_ID
    assert (received.parameters["user"], received.parameters["nonce"]) == (USER, str((NOW_MS + 250) * 1000))
    assert not {"timestamp", "recvWindow"} & received.parameters.keys()
    assert "X-MBX-APIKEY" not in received.headers


def test_cancel_parameters_are_sent_in_the_body(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("DELETE", ORDER, accepted())

    exchange.execute(CANCEL)

    assert server.received_at(ORDER)[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_listen_key_requests_are_signed(client: AsterClient, server: ScriptedServer) -> None:
    server.script("POST", LISTEN_KEY, Reply({"listenKey": "abc"}))
    server.script("PUT", LISTEN_KEY, Reply())
    server.script("DELETE", LISTEN_KEY, Reply())
    keys = AsterListenKeys(client)

    assert keys.create() == "abc"
    keys.keep_alive()
    keys.close()

    received = server.received_at(LISTEN_KEY)
    assert [each.method for each in received] == ["POST", "PUT", "DELETE"]
    assert all(each.parameters["signature"].startswith("0x") for each in received)


def test_expired_nonce_is_retried_once(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", TIME, Reply({"serverTime": NOW_MS}), Reply({"serverTime": NOW_MS + 11_000}))
    server.script("POST", ORDER, rejected(-1021), accepted())

    assert exchange.execute(SUBMIT) == [ACCEPTED]

    first, second = server.received_at(ORDER)
    nonces = [each.parameters["nonce"] for each in (first, second)]
    assert nonces == [str(NOW_MS * 1000), str((NOW_MS + 11_000) * 1000)]
    assert first.parameters["signature"] != second.parameters["signature"]


def test_order_with_reused_nonce_is_not_retried(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("POST", ORDER, rejected(-4225), accepted())

    error = failure_of(exchange, SUBMIT)

    assert isinstance(error, AuthError)
    assert "another program signs with the same API wallet" in error.reason
    assert len(server.received_at(ORDER)) == 1


def test_read_with_reused_nonce_is_retried(exchange: AsterExchange, server: ScriptedServer) -> None:
    server.script("GET", ORDER, rejected(-4225), accepted())

    assert exchange.execute(QUERY) == [ACCEPTED]
    first, second = server.received_at(ORDER)
    assert int(first.parameters["nonce"]) < int(second.parameters["nonce"])


class TestOnTheSandbox:
    """Error messages for a wrong wallet, nonce or clock."""

    @pytest.fixture
    def sandbox(self) -> Iterator[SandboxServer]:
        with SandboxServer() as running:
            yield running

    def auth_error(self, sandbox: SandboxServer, user: str, private_key: str) -> str:
        with pytest.raises(AuthError) as caught:
            on(sandbox, Eip712Signer(user, private_key, Network.SANDBOX.chain_id)).snapshot("test")
        return caught.value.reason

    def test_valid_wallet_reads_the_account(self, sandbox: SandboxServer) -> None:
        signer = Eip712Signer(sandbox.wallet.user, sandbox.wallet.private_key, Network.SANDBOX.chain_id)
        assert on(sandbox, signer).snapshot("test").account.wallet_balance > 0

    def test_wrong_private_key_is_rejected(self, sandbox: SandboxServer) -> None:
        assert "API wallet is unknown" in self.auth_error(sandbox, sandbox.wallet.user, PRIVATE_KEY)

    def test_wrong_user_is_rejected(self, sandbox: SandboxServer) -> None:
        assert "API wallet is unknown" in self.auth_error(sandbox, USER, sandbox.wallet.private_key)

    def test_private_key_of_another_signer_is_rejected(self, sandbox: SandboxServer) -> None:
        signer = Eip712Signer(sandbox.wallet.user, PRIVATE_KEY, Network.SANDBOX.chain_id)
        signer._payload["signer"] = sandbox.wallet.signer
        with pytest.raises(AuthError, match="ASTER_SIGNER_PRIVATE_KEY does not match"):
            on(sandbox, signer).snapshot("test")

    def test_two_programs_with_one_wallet_are_reported(self, sandbox: SandboxServer) -> None:
        """The other program has used more than the hundred nonces that the exchange remembers."""
        ahead = (sandbox.exchange.now_ms() + 9_000) * 1000
        assert all(sandbox.wallet.nonces.use(ahead + number) for number in range(100))
        reason = self.auth_error(sandbox, sandbox.wallet.user, sandbox.wallet.private_key)
        assert "another program signs with the same API wallet" in reason

    def test_slow_clock_is_compensated(self, sandbox: SandboxServer) -> None:
        signer = Eip712Signer(sandbox.wallet.user, sandbox.wallet.private_key, Network.SANDBOX.chain_id)
        slow = ManualClock(sandbox.exchange.now_ms() - 11_000)
        exchange = AsterExchange(AsterClient(sandbox.base_url, slow, RateLimits(slow), signer))
        assert exchange.snapshot("test").account.wallet_balance > 0

    def test_nonce_recovers_after_the_clock_was_ahead(self, sandbox: SandboxServer) -> None:
        signer = Eip712Signer(sandbox.wallet.user, sandbox.wallet.private_key, Network.SANDBOX.chain_id)
        signer.sign({}, sandbox.exchange.now_ms() + 3_600_000)
        assert on(sandbox, signer).snapshot("test").account.wallet_balance > 0

    def test_nonce_outside_the_window_is_reported(self, sandbox: SandboxServer) -> None:
        sandbox.exchange.inject(Fault(FaultKind.BAD_TIMESTAMP, path="/fapi/v3/positionSide/dual", times=FOREVER))
        reason = self.auth_error(sandbox, sandbox.wallet.user, sandbox.wallet.private_key)
        assert "sync this machine's clock" in reason


def on(sandbox: SandboxServer, signer: Eip712Signer) -> AsterExchange:
    clock = SystemClock()
    return AsterExchange(AsterClient(sandbox.base_url, clock, RateLimits(clock), signer))
