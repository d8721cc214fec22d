"""Real orders wait for a person's word, and the examination says so before the first start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.core.desks.consent_desk import AGREED
from src.core.plans.live_terms import terms_of
from src.doctor.consent import check_consent
from src.domain.checks import Verdict
from src.domain.enums import Network
from src.utils.config import Environment
from src.utils.credentials import Credentials
from tests.builders import some_settings


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    keys = Credentials("k" * 64, "s" * 64)
    urls = "https://fapi.asterdex.com", "wss://fstream.asterdex.com"
    return Environment(tmp_path, Network.MAINNET, *urls, "127.0.0.1", 5000, keys, tmp_path / "bot.db")


def agreed_by(environment: Environment, **changes: Any) -> dict[str, dict[str, Any]]:
    assert environment.credentials is not None
    terms = terms_of(some_settings(**changes), environment.network, environment.credentials.label)
    return {AGREED: {"terms": terms.shape()}}


def test_without_a_word_no_real_order_is_made(environment: Environment) -> None:
    nothing: tuple[dict[str, dict[str, Any]], ...] = ({}, {AGREED: {}})
    for known in nothing:
        [check] = check_consent(known, environment, some_settings())
        assert check.verdict is Verdict.FAIL
        assert "real orders wait for your word" in check.sentence
        assert "--yes" in check.remedy


def test_what_was_agreed_to_needs_no_other_word_and_more_than_that_does(environment: Environment) -> None:
    known = agreed_by(environment)
    [same] = check_consent(known, environment, some_settings())
    [more] = check_consent(known, environment, some_settings(leverage=20))
    assert (same.verdict, more.verdict) == (Verdict.OK, Verdict.FAIL)


def test_paper_and_the_sandbox_need_none(environment: Environment) -> None:
    assert list(check_consent({}, environment, some_settings({"simulate_only": True}))) == []
    sandbox = replace(environment, network=Network.SANDBOX)
    assert list(check_consent({}, sandbox, some_settings())) == []
