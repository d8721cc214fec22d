"""Checks of ``.env`` and ``settings.json``: every error of either file is reported."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from src.credentials.credentials import CREDENTIAL_NAMES
from src.doctor.configuration import Configuration, read_configuration
from src.domain.checks import CheckLevel
from tests.builders import settings_document

OK, WARN, FAIL = CheckLevel


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CREDENTIAL_NAMES, "HOST", "PORT", "DB_PATH", "ASTER_NETWORK", "ASTER_BASE_URL", "ASTER_WS_URL"):
        monkeypatch.delenv(name, raising=False)


def read(home: Path, env: str = "", **globals_: Any) -> Configuration:
    document = settings_document()
    document["globals"] |= {"simulate_only": True, **globals_}
    (home / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    return read_raw(home, env)


def read_raw(home: Path, env: str) -> Configuration:
    if env:
        (home / ".env").write_text(env, encoding="utf-8")
        (home / ".env").chmod(0o600)
    return read_configuration(home)


def lines(found: Configuration, level: CheckLevel) -> list[str]:
    return [check.line for check in found.checks if check.level is level]


def test_paper_needs_no_key(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert lines(found, FAIL) == lines(found, WARN) == []
    assert "ok    mode: paper trading on mainnet" in lines(found, OK)


def test_live_trading_without_a_key_is_reported(tmp_path: Path) -> None:
    found = read(tmp_path, simulate_only=False)
    [line] = lines(found, FAIL)
    assert "REAL ORDERS on mainnet, but no API key" in line
    assert "--setup" in line


def test_errors_of_both_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"globals": {"leverage": 5}, "symbols": {}}', encoding="utf-8")
    found = read_raw(tmp_path, "API_KEY=abc\nPORT=99999\nASTER_NETWORK=testnet\n")
    sentences = lines(found, FAIL)
    assert any(line.startswith("fail  .env: API_SECRET is missing; set both") for line in sentences)
    assert any("PORT must be a number" in line for line in sentences)
    assert any(line.startswith("fail  settings: settings.json: globals.leverage") for line in sentences)
    assert found.environment.network == "testnet"
    assert (found.environment.port, found.environment.credentials, found.settings) == (5000, None, None)


def test_unknown_network_has_no_base_url(tmp_path: Path) -> None:
    found = read(tmp_path, "ASTER_NETWORK=mars\n")
    assert found.environment.base_url == ""
    assert any("ASTER_NETWORK must be" in line for line in lines(found, FAIL))


def test_binary_env_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    found = read(tmp_path)
    assert any("UTF-8" in line for line in lines(found, FAIL))
    assert found.settings is not None


def test_values_taken_over_from_an_older_file_are_reported(tmp_path: Path) -> None:
    found = read(tmp_path, rate_limit_buffer_pct=0.4, order_status_check_interval=5)
    obsolete, adapted = lines(found, WARN)
    assert "globals.order_status_check_interval is obsolete: " in obsolete
    assert "is read as 40 %" in adapted
    assert "set it in settings.json as you want it" in adapted


def test_settings_without_symbols_are_reported(tmp_path: Path) -> None:
    document = settings_document()
    document["symbols"] = {}
    (tmp_path / "settings.json").write_text(json.dumps(document), encoding="utf-8")
    assert any("nothing is traded" in line for line in lines(read_raw(tmp_path, ""), FAIL))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX permissions")
def test_readable_key_file_is_reported_with_chmod(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_KEY=abc\nAPI_SECRET=def\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    [line] = lines(read(tmp_path), WARN)
    assert "other users of this machine can read" in line
    assert line.endswith(f"chmod 600 {tmp_path / '.env'}")


def test_configuration_checks_contain_no_secret(tmp_path: Path) -> None:
    canary = "k" * 63 + "!"
    found = read(tmp_path, f"API_KEY={canary}\nAPI_SECRET={canary}\n")
    assert canary not in "\n".join(check.line for check in found.checks)
