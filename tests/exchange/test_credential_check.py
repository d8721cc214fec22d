"""Credential checks against a real sandbox: one result per check, with a remedy and without secrets."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from src.credentials.credentials import AnyCredentials, Credentials, WalletCredentials
from src.domain.api_wallet import ApiWallet
from src.domain.checks import Check, CheckLevel, all_passed
from src.domain.clock import DAY_MS, ManualClock, SystemClock
from src.domain.enums import Network
from src.exchange.credential_check import ACCESS, BALANCE, CLOCK, MODE, TRADING, WALLET, CredentialChecker
from src.sandbox.faults import FOREVER, Fault, FaultKind
from src.sandbox.server import SandboxServer
from src.utils.auth import ApiVersion
from tests.exchange.conftest import NOW_MS
from tests.exchange.scripted_server import Reply, ScriptedServer

OTHER_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
NAMES = [CLOCK, ACCESS, BALANCE, TRADING, MODE]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


def credentials_of(sandbox: SandboxServer, scheme: ApiVersion) -> AnyCredentials:
    if scheme is ApiVersion.V1:
        return Credentials(sandbox.api_key, sandbox.api_secret)
    wallet = sandbox.wallet
    return WalletCredentials(wallet.user, wallet.signer, wallet.private_key)


def check_credentials(
    sandbox: SandboxServer, credentials: AnyCredentials, hedge_mode: bool | None = None
) -> list[Check]:
    checker = CredentialChecker(sandbox.base_url, Network.SANDBOX, SystemClock())
    return list(checker.check(credentials, hedge_mode=hedge_mode))


def failed_in(checks: list[Check]) -> Check:
    [failed] = [check for check in checks if check.level is CheckLevel.FAIL]
    return failed


@pytest.fixture(params=list(ApiVersion))
def right(request: pytest.FixtureRequest, sandbox: SandboxServer) -> AnyCredentials:
    return credentials_of(sandbox, request.param)


def test_valid_key_passes_every_check(sandbox: SandboxServer, right: AnyCredentials) -> None:
    checks = check_credentials(sandbox, right)
    assert [check.name for check in checks] == names_for(right)
    assert {check.level for check in checks} == {CheckLevel.OK}
    assert all_passed(checks)
    assert "USDT" in checks[2].message
    assert all(check.line == f"ok    {check.name}: {check.message}" for check in checks)


def test_different_position_mode_is_a_warning(sandbox: SandboxServer, right: AnyCredentials) -> None:
    place = NAMES.index(MODE)
    is_hedge = "hedge" in check_credentials(sandbox, right)[place].message
    mode = check_credentials(sandbox, right, hedge_mode=not is_hedge)[place]
    assert mode.level is CheckLevel.WARN
    assert "the bot changes it at startup" in mode.line


def names_for(credentials: AnyCredentials) -> list[str]:
    return [*NAMES, WALLET] if isinstance(credentials, WalletCredentials) else NAMES


@pytest.mark.parametrize(
    ("days", "can_withdraw", "level", "words"),
    [
        (20, False, CheckLevel.OK, "may not withdraw"),
        (13, False, CheckLevel.WARN, "the API wallet ends on "),
        (-1, False, CheckLevel.FAIL, "the API wallet ended on "),
        (20, True, CheckLevel.WARN, "may withdraw your funds; the bot makes no entries with it"),
    ],
)
def test_api_wallets_end_and_rights_are_checked(
    sandbox: SandboxServer, days: int, can_withdraw: bool, level: CheckLevel, words: str
) -> None:
    ends_at = SystemClock().now_ms() + days * DAY_MS
    sandbox.exchange.api_wallet = ApiWallet(ends_at, can_withdraw, "192.0.2.1")
    wallet = check_credentials(sandbox, credentials_of(sandbox, ApiVersion.V3))[-1]
    assert (wallet.name, wallet.level) == (WALLET, level)
    assert words in wallet.message


def test_wrong_secret_has_a_remedy_and_is_not_shown(sandbox: SandboxServer) -> None:
    wrong = Credentials(sandbox.api_key, "f" * 64)
    failed = failed_in(check_credentials(sandbox, wrong))
    assert failed.name == ACCESS
    assert "API_SECRET" in failed.remedy
    assert sandbox.api_key not in failed.line and "f" * 64 not in failed.line


def test_unknown_wallet_ends_the_check(sandbox: SandboxServer) -> None:
    right = credentials_of(sandbox, ApiVersion.V3)
    assert isinstance(right, WalletCredentials)
    checks = check_credentials(sandbox, replace(right, private_key=OTHER_KEY))
    assert [check.name for check in checks] == [CLOCK, ACCESS]
    assert "unknown" in failed_in(checks).remedy


def test_read_only_key_fails_the_trading_check(sandbox: SandboxServer, right: AnyCredentials) -> None:
    sandbox.faults.inject(Fault(FaultKind.REJECTED, FOREVER, "/order", "DELETE", 2015))
    checks = check_credentials(sandbox, right)
    assert failed_in(checks).name == TRADING
    assert [check.name for check in checks] == names_for(right)  # the mode is checked nevertheless
    assert not all_passed(checks)


def test_nothing_is_changed_at_the_exchange(sandbox: SandboxServer, right: AnyCredentials) -> None:
    before = sandbox.exchange.engine.positions(), sandbox.exchange.engine.open_orders()
    check_credentials(sandbox, right)
    assert (sandbox.exchange.engine.positions(), sandbox.exchange.engine.open_orders()) == before


@pytest.mark.parametrize(
    ("off_ms", "level"),
    [(0, CheckLevel.OK), (700, CheckLevel.WARN), (-700, CheckLevel.WARN), (60_000, CheckLevel.FAIL)],
)
def test_clock_offset_is_reported(server: ScriptedServer, off_ms: int, level: CheckLevel) -> None:
    server.script("GET", "/fapi/v1/time", Reply({"serverTime": NOW_MS - off_ms}))
    check = CredentialChecker(server.url, Network.SANDBOX, ManualClock(NOW_MS)).check(Credentials("key", "secret"))[0]
    assert (check.name, check.level) == (CLOCK, level)


def test_empty_account_and_missing_symbols_are_warnings(server: ScriptedServer) -> None:
    totals = ("totalWalletBalance", "totalUnrealizedProfit", "totalMarginBalance", "availableBalance")
    account = dict.fromkeys((*totals, "totalPositionInitialMargin", "totalMaintMargin"), "0")
    server.script("GET", "/fapi/v4/account", Reply(account))
    server.script("GET", "/fapi/v2/positionRisk", Reply([]))
    server.script("GET", "/fapi/v1/positionSide/dual", Reply({"dualSidePosition": True}))
    checks = CredentialChecker(server.url, Network.SANDBOX, ManualClock(NOW_MS)).check(Credentials("key", "secret"))
    assert [check.level for check in checks] == [
        CheckLevel.OK,
        CheckLevel.OK,
        CheckLevel.WARN,
        CheckLevel.WARN,
        CheckLevel.OK,
    ]
    assert "transfer USDT" in checks[2].remedy


def test_unreachable_exchange_is_one_failed_check() -> None:
    checker = CredentialChecker("http://127.0.0.1:1", Network.SANDBOX, SystemClock())
    [check] = checker.check(Credentials("key", "secret"))
    assert (check.name, check.level) == (CLOCK, CheckLevel.FAIL)
    assert "does not respond" in check.message


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(FaultKind.GARBLED, FOREVER, "/account", "GET", 5), "cannot parse the exchange's response"),
        (Fault(FaultKind.UNAVAILABLE, FOREVER, "/account", "GET"), "does not respond"),
        (Fault(FaultKind.RATE_LIMITED, FOREVER, "/account", "GET", 30), "rate limit was reached"),
        (Fault(FaultKind.REJECTED, FOREVER, "/account", "GET", 1121), "rejected"),
    ],
)
def test_other_failures_are_explained(sandbox: SandboxServer, fault: Fault, words: str) -> None:
    sandbox.faults.inject(fault)
    failed = failed_in(check_credentials(sandbox, credentials_of(sandbox, ApiVersion.V1)))
    assert (failed.name, words in failed.message, bool(failed.remedy)) == (ACCESS, True, True)


def test_echoed_secret_is_masked(server: ScriptedServer) -> None:
    rejection = {"code": -2015, "msg": "no such key canary-key with canary-secret " + "x " * 500}
    server.script("GET", "/fapi/v4/account", Reply(rejection, 401))
    checks = CredentialChecker(server.url, Network.SANDBOX, ManualClock(NOW_MS)).check(
        Credentials("canary-key", "canary-secret")
    )
    sentence = failed_in(list(checks)).message
    assert sentence.startswith("rejected: no such key *** with *** x")
    assert len(sentence) == 300
