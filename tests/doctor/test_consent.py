"""``--check`` reports missing consent to live trading before the first start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.core.limits.live_consent import CONSENT_STATE
from src.core.limits.risk_terms import terms_from_settings
from src.credentials.credentials import Credentials
from src.doctor.configuration import check_consent
from src.domain.checks import CheckLevel
from src.domain.enums import Network
from src.settings.config import Environment
from tests.builders import some_settings


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    keys = Credentials("k" * 64, "s" * 64)
    urls = "https://fapi.asterdex.com", "wss://fstream.asterdex.com"
    return Environment(tmp_path, Network.MAINNET, *urls, "127.0.0.1", 5000, keys, tmp_path / "bot.db")


def agreed_by(environment: Environment, **changes: Any) -> dict[str, dict[str, Any]]:
    assert environment.credentials is not None
    terms = terms_from_settings(some_settings(**changes), environment.network, environment.credentials.label)
    return {CONSENT_STATE: {"terms": terms.to_json()}}


def test_live_trading_needs_confirmation(environment: Environment) -> None:
    nothing: tuple[dict[str, dict[str, Any]], ...] = ({}, {CONSENT_STATE: {}})
    for known in nothing:
        [check] = check_consent(known, environment, some_settings())
        assert check.level is CheckLevel.FAIL
        assert "live trading needs your confirmation" in check.message
        assert "--yes" in check.remedy


def test_only_higher_risk_needs_another_confirmation(environment: Environment) -> None:
    known = agreed_by(environment)
    [same] = check_consent(known, environment, some_settings())
    [more] = check_consent(known, environment, some_settings(leverage=20))
    assert (same.level, more.level) == (CheckLevel.OK, CheckLevel.FAIL)


def test_paper_and_sandbox_need_no_confirmation(environment: Environment) -> None:
    assert list(check_consent({}, environment, some_settings({"simulate_only": True}))) == []
    sandbox = replace(environment, network=Network.SANDBOX)
    assert list(check_consent({}, sandbox, some_settings())) == []
