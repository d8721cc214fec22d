"""Request checks: only pages served by this dashboard may use it."""

import hashlib
import os
from pathlib import Path

import pytest

from src.api.security import TOKEN_HEADER, allowed_hosts, load_token, require_loopback
from src.domain.errors import ConfigError
from tests.api.harness import ORIGIN, ApiHarness

EVERY_GET = (
    "/",
    "/api/account",
    "/api/chart?symbol=BTCUSDT",
    "/api/config",
    "/api/config/defaults",
    "/api/config/history",
    "/api/config/in-force",
    "/api/config/schema",
    "/api/decisions",
    "/api/exchange/symbols",
    "/api/health",
    "/api/imports",
    "/api/journal",
    "/api/klines?symbol=BTCUSDT",
    "/api/liquidations",
    "/api/live-consent",
    "/api/orders",
    "/api/pnl/stats",
    "/api/pnl/symbols",
    "/api/positions",
    "/api/round-trips",
    "/api/setup",
    "/api/stats",
    "/api/trades",
    "/api/trades.csv",
    "/setup",
    "/static/js/dashboard.js",
)
EVERY_POST = (
    "/api/config",
    "/api/config/check",
    "/api/config/symbol",
    "/api/config/symbol/add",
    "/api/config/symbol/remove",
    "/api/control",
    "/api/live-consent/confirm",
    "/api/positions/BTCUSDT/LONG/close",
    "/api/positions/BTCUSDT/LONG/owner",
    "/api/setup/paper",
    "/api/setup/save",
    "/api/setup/test",
)


def test_every_route_is_in_these_lists(harness: ApiHarness) -> None:
    listed = {path.split("?")[0] for path in (*EVERY_GET, *EVERY_POST)}
    elsewhere = {"/api/stream", "/static/<path:filename>", "/api/trades/<name>"}
    position = "/api/positions/<symbol>/<side>"
    patterns = {position, f"{position}/close", f"{position}/owner"}
    rules = {rule.rule for rule in harness.app.url_map.iter_rules()}
    assert rules - listed == elsewhere | patterns


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:5000",
        "127.0.0.1.evil.test:5000",
        "localhost:1",
        "localhost",
        "127.0.0.1:5000:5000",
        "0.0.0.0:5000",
        "",
        "127.0.0.1:5000, evil.test",
        "user@127.0.0.1:5000",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/health", "/static/js/dashboard.js", "/nothing", "/api/stream"])
def test_foreign_host_is_rejected_everywhere(harness: ApiHarness, host: str, path: str) -> None:
    response = harness.client.get(path, headers={"Host": host}, base_url=ORIGIN)
    assert response.status_code == 421
    assert response.json["error"]["code"] == "wrong_host"


def test_other_port_of_a_tunnel_is_explained(harness: ApiHarness) -> None:
    response = harness.client.get("/", headers={"Host": "localhost:8080"}, base_url=ORIGIN)
    assert "ssh -L 5000:127.0.0.1:5000 user@machine, and open http://127.0.0.1:5000." in response.text


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "[::1]:5000"])
def test_loopback_names_are_accepted(harness: ApiHarness, host: str) -> None:
    assert harness.client.get("/api/health", headers={"Host": host}, base_url=ORIGIN).status_code == 200


def test_port_80_needs_no_port_in_the_host() -> None:
    assert "localhost" in allowed_hosts("127.0.0.1", 80)
    assert "localhost" not in allowed_hosts("127.0.0.1", 5000)
    assert "[::1]:5000" in allowed_hosts("::1", 5000)


@pytest.mark.parametrize("path", EVERY_POST)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 403),
        ({"Origin": "https://127.0.0.1:5000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({TOKEN_HEADER: "wrong"}, 403),
        ({TOKEN_HEADER: ""}, 403),
        ({TOKEN_HEADER: "ü"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_write_needs_origin_content_type_and_token(
    harness: ApiHarness, path: str, headers: dict[str, str], status: int
) -> None:
    own = {"Origin": ORIGIN, TOKEN_HEADER: harness.token, "Content-Type": "application/json"}
    response = harness.client.post(path, data="{}", headers={**own, **headers}, base_url=ORIGIN)
    assert response.status_code == status
    assert set(response.json) == {"error"}


def test_write_without_origin_names_the_missing_header(harness: ApiHarness) -> None:
    headers = {TOKEN_HEADER: harness.token}
    response = harness.client.post("/api/control", json={}, headers=headers, base_url=ORIGIN)
    assert response.status_code == 403
    assert "Origin: http://127.0.0.1:5000" in response.json["error"]["message"]


def test_own_page_is_accepted(harness: ApiHarness) -> None:
    headers = {TOKEN_HEADER: harness.token, "Sec-Fetch-Site": "same-origin"}
    response = harness.client.post("/api/control", json={"action": "dance"}, headers=headers, base_url=ORIGIN)
    assert response.json["error"]["code"] == "bad_parameter"


def test_another_page_cannot_read_the_api(harness: ApiHarness) -> None:
    for site in ("cross-site", "same-site"):
        response = harness.client.get("/api/stream", headers={"Sec-Fetch-Site": site}, base_url=ORIGIN)
        assert response.status_code == 403


def test_link_from_another_site_opens_the_page(harness: ApiHarness) -> None:
    assert harness.client.get("/", headers={"Sec-Fetch-Site": "cross-site"}, base_url=ORIGIN).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/sw.js", {"Sec-Fetch-Dest": "serviceworker"}),
        ("/static/js/dashboard.js", {"Service-Worker": "script"}),
        ("/", {"Sec-Fetch-Dest": "empty"}),
        ("/setup", {"Sec-Fetch-Dest": "iframe"}),
    ],
)
def test_service_worker_is_turned_away_and_forgotten(harness: ApiHarness, path: str, headers: dict[str, str]) -> None:
    response = harness.client.get(path, headers=headers, base_url=ORIGIN)
    assert response.status_code == 403
    assert response.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert harness.token not in response.text
    opened = harness.client.get("/", headers={"Sec-Fetch-Dest": "document"}, base_url=ORIGIN)
    assert opened.status_code == 200 and "Clear-Site-Data" not in opened.headers


@pytest.mark.parametrize("path", EVERY_POST)
def test_body_above_the_routes_limit_is_rejected(harness: ApiHarness, path: str) -> None:
    """64 kB; the settings may be as large as their file."""
    limit, shown = (1_000_000, "1000 kB") if path == "/api/config" else (64 * 1024, "65 kB")
    response = harness.post(path, {"action": "x" * (limit + 1)})
    assert response.status_code == 413
    assert response.json["error"] == {"code": "too_large", "message": f"The request body is larger than {shown}."}


@pytest.mark.parametrize("path", ["/", "/api/health", "/nothing", "/static/js/dashboard.js"])
def test_every_response_has_the_security_headers(harness: ApiHarness, path: str) -> None:
    headers = harness.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert not [name for name in headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_options_reveals_nothing(harness: ApiHarness) -> None:
    response = harness.client.options("/api/control", headers={"Origin": "http://evil.test"}, base_url=ORIGIN)
    assert response.status_code == 405
    assert "Access-Control-Allow-Origin" not in response.headers


def test_get_changes_no_file(harness: ApiHarness) -> None:
    harness.heartbeat()
    assert harness.token
    before = fingerprints(harness.home)
    for path in EVERY_GET:
        assert harness.get(path).status_code == 200, path
    assert fingerprints(harness.home) == before


def fingerprints(home: Path) -> dict[str, str]:
    """The content of every file, without SQLite's shared memory, which changes on reads."""
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    "path", ["/static/../src/api/security.py", "/static/..%2f..%2fsettings.json", "/static//etc/passwd"]
)
def test_path_traversal_is_not_possible(harness: ApiHarness, path: str) -> None:
    assert harness.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/api/trades/%ED%A0%80", "/api/trades?symbol=%ED%A0%80", "/api/journal?kind=%ED%BF%BF"]
)
def test_half_characters_in_the_address_are_no_internal_error(harness: ApiHarness, path: str) -> None:
    harness.heartbeat()
    assert harness.get(path).status_code in (200, 400, 404)


def test_unknown_paths_and_methods_are_json_errors(harness: ApiHarness) -> None:
    assert harness.get("/api/nothing").json["error"]["code"] == "not_found"
    response = harness.post("/api/health", {})
    assert (response.status_code, response.json["error"]["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"


def test_internal_error_reveals_no_details(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_connection: object, _now_ms: int) -> None:
        raise ZeroDivisionError("/home/secret/path.py")

    monkeypatch.setattr("src.api.routes.account.read_bot_state", fail)
    response = harness.get("/api/account")
    assert response.status_code == 500
    assert response.json["error"]["code"] == "internal_error"
    assert "secret" not in response.text


def test_token_is_created_once_and_private(tmp_path: Path) -> None:
    token = load_token(tmp_path / "data")
    assert len(token) >= 32
    assert load_token(tmp_path / "data") == token
    if os.name != "nt":
        assert (tmp_path / "data" / "dashboard.token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 43, b"<script>" * 8, b"a" * 1_000_000])
def test_damaged_token_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dashboard.token").write_bytes(content)
    token = load_token(tmp_path)
    assert len(token) >= 32
    assert load_token(tmp_path) == token


def test_interrupted_start_leaves_no_partial_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ConfigError, match="written: Input/output error"):
        load_token(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert len(load_token(tmp_path)) >= 32


def test_unwritable_token_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be"):
        load_token(tmp_path / "data")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_public_host_is_rejected(host: str) -> None:
    with pytest.raises(ConfigError, match="no password yet"):
        require_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_loopback_host_is_accepted(host: str) -> None:
    require_loopback(host)
    assert any(host.strip("[]") in own for own in allowed_hosts(host.strip("[]"), 5000))
