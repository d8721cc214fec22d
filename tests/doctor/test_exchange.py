"""Checks at the exchange against a real sandbox; they never send anything that could trade."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.credentials.credentials import AnyCredentials, Credentials, WalletCredentials
from src.doctor.exchange import ExchangeChecks, check_account
from src.domain.checks import Check, CheckLevel
from src.domain.clock import Clock, ManualClock, SystemClock
from src.domain.enums import Network, PositionSide
from src.sandbox.server import SandboxServer
from src.settings.config import Environment, Settings
from src.utils.auth import ApiVersion
from tests.builders import D, a_report, a_snapshot, an_instrument, an_update, some_settings
from tests.sandbox.credentials import credentials_of

OK, WARN, FAIL = CheckLevel
FITTING: dict[str, Any] = {"leverage": 10, "margin_type": "CROSSED"}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture(params=ApiVersion)
def environment(request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path) -> Environment:
    urls = sandbox.base_url, sandbox.ws_url
    keys = credentials_of(sandbox, request.param)
    return Environment(tmp_path, Network.SANDBOX, *urls, "127.0.0.1", 0, keys, tmp_path / "bot.db")


def run_checks(environment: Environment, settings: Settings | None, clock: Clock | None = None) -> list[Check]:
    return list(ExchangeChecks(environment, settings, clock or SystemClock()).run())


def of(checks: list[Check], level: CheckLevel) -> list[str]:
    return [check.line for check in checks if check.level is level]


def real(**changes: Any) -> Settings:
    return some_settings({"simulate_only": False, "hedge_mode": False}, **{**FITTING, **changes})


def test_all_checks_run_without_placing_or_changing_anything(sandbox: SandboxServer, environment: Environment) -> None:
    before = sandbox.exchange.engine.save()
    checks = run_checks(environment, real())
    is_wallet = isinstance(environment.credentials, WalletCredentials)
    assert [check.name for check in checks] == [
        *["network", "clock", "stream", "access", "balance", "right to trade", "position mode"],
        *(["API wallet"] if is_wallet else []),
        *["BTCUSDT", "account"],
    ]
    assert of(checks, FAIL) == []
    assert "leverage 10x" in of(checks, WARN)[0]
    assert sandbox.exchange.engine.save() == before
    assert sandbox.exchange.account.request_log.received == []


def test_account_that_matches_the_settings_passes(environment: Environment) -> None:
    checks = run_checks(environment, real(leverage=20, stop_loss_pct=1))
    assert of(checks, WARN) == of(checks, FAIL) == []
    assert checks[-1].message == "matches the settings"


def test_rejected_key_fails_live_but_only_warns_on_paper(environment: Environment) -> None:
    wrong = replace(environment, credentials=_wrong_credentials(environment))
    assert len(of(run_checks(wrong, real()), FAIL)) == 1
    on_paper = run_checks(wrong, some_settings({"simulate_only": True}))
    assert of(on_paper, FAIL) == []
    assert len([check for check in on_paper if check.name == "access" and check.level is WARN]) == 1
    assert on_paper[-1].name == "BTCUSDT"  # its filters were checked nevertheless


def _wrong_credentials(environment: Environment) -> AnyCredentials:
    if isinstance(environment.credentials, Credentials):
        return replace(environment.credentials, api_secret="a" * 64)
    assert environment.credentials is not None
    return replace(environment.credentials, private_key="0x" + "7" * 64)


def test_clock_drift_is_one_line(environment: Environment) -> None:
    wrong = ManualClock(SystemClock().now_ms() - 4_000)
    clocks = [check for check in run_checks(environment, None, wrong) if check.name == "clock"]
    assert [check.level for check in clocks] == [FAIL]
    assert "sync this machine's clock" in clocks[0].remedy


def test_public_checks_run_without_a_key(environment: Environment) -> None:
    checks = run_checks(replace(environment, credentials=None), some_settings({"simulate_only": True}))
    assert [check.name for check in checks] == ["network", "clock", "stream", "BTCUSDT"]
    assert of(checks, FAIL) == []


def test_unreachable_exchange_is_one_failed_check(environment: Environment) -> None:
    offline = replace(environment, base_url="http://127.0.0.1:1")
    [check] = run_checks(offline, real())
    assert (check.name, check.level) == ("network", FAIL)
    assert "does not respond" in check.message and "connection" in check.remedy


def test_unreachable_stream_is_reported(environment: Environment) -> None:
    checks = run_checks(replace(environment, ws_url="ws://127.0.0.1:1"), None)
    assert [check.name for check in checks if check.level is FAIL] == ["stream"]


def test_stream_host_that_speaks_no_websocket_is_reported(sandbox: SandboxServer, environment: Environment) -> None:
    rest_as_stream = sandbox.base_url.replace("http", "ws")
    [check] = [each for each in run_checks(replace(environment, ws_url=rest_as_stream), None) if each.level is FAIL]
    assert (check.name, check.message.startswith(f"{rest_as_stream} cannot be reached (")) == ("stream", True)


def test_untrusted_certificate_of_the_stream_is_reported(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        error = ssl.SSLCertVerificationError()
        error.verify_message = "unable to get local issuer certificate"
        raise error

    monkeypatch.setattr("websocket.create_connection", refuse)
    [check] = [each for each in run_checks(environment, None) if each.name == "stream"]
    assert check.level is FAIL
    assert "is not trusted (unable to get local issuer certificate)" in check.message
    assert "REQUESTS_CA_BUNDLE" in check.remedy


def test_invalid_env_skips_the_exchange_checks(environment: Environment) -> None:
    [check] = run_checks(replace(environment, base_url="", ws_url=""), None)
    assert (check.level, check.remedy) == (WARN, "correct .env first")


def test_unlisted_symbol_is_reported(environment: Environment) -> None:
    settings = some_settings({"simulate_only": True})
    odd = Settings.model_validate(
        {"globals": settings.globals_, "symbols": {"NOSUCHUSDT": settings.symbols["BTCUSDT"]}}
    )
    assert "not listed" in of(run_checks(environment, odd), FAIL)[0]


def test_conflict_of_account_and_settings_is_reported() -> None:
    held = a_report("0.01", 50_000, position_side=PositionSide.LONG)
    found = list(check_account(real(), a_snapshot(positions=(held,), hedge_mode=True)))
    [fault] = of(found, FAIL)
    assert "hedge mode" in fault and "close them" in fault


def test_symbol_excluded_by_multi_assets_mode_is_reported() -> None:
    settings = some_settings({"multi_assets_mode": True})
    found = list(check_account(settings, a_snapshot(multi_assets_mode=True)))
    [fault] = of(found, FAIL)
    assert "multi-assets mode allows crossed margin only" in fault
    assert "set its margin_type to CROSSED" in fault


def test_account_too_small_for_one_entry_is_reported() -> None:
    snapshot = a_snapshot()
    poor = replace(snapshot, account=replace(snapshot.account, available_balance=D("12.5")))
    [fault] = of(list(check_account(real(), poor)), FAIL)
    assert "12.50 USDT available, one entry needs 50" in fault


def test_only_external_positions_are_reported() -> None:
    held = a_report("0.01", 50_000)
    others = list(check_account(real(), a_snapshot(positions=(held,))))
    ours = list(check_account(real(), a_snapshot(positions=(held,), open_orders=(an_update(),))))
    manual = an_update(client_order_id="web_1")
    assert ["the bot ignores them" in "".join(of(found, WARN)) for found in (others, ours)] == [True, False]
    both = list(check_account(real(), a_snapshot(positions=(held,), open_orders=(an_update(), manual))))
    assert "the bot ignores them" in "".join(of(both, WARN))
    assert an_instrument().symbol == held.symbol
