"""The dashboard process: its start as a script, its error messages, and its stop."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from src.api.api_server import ROOT, create_app, create_web_server, main, serve
from src.domain.errors import ConfigError
from src.settings.config import Environment
from tests.api.harness import ApiHarness, eventually, served
from tests.helpers import free_port

pytestmark = pytest.mark.processes
SCRIPT = ROOT / "src" / "api" / "api_server.py"
PERSONAL = ("API_KEY", "API_SECRET", "PORT", "HOST", "DB_PATH", "HUNTER_HOME", "ASTER_BASE_URL", "ASTER_WS_URL")


def clean_environment(**variables: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in PERSONAL}
    return {**ours, "ASTER_NETWORK": "mainnet", **variables}


def ended(home: Path, folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The result of the script when it cannot start, run from a folder outside the project."""
    command = [sys.executable, str(SCRIPT), *(arguments or ("--home", str(home)))]
    return subprocess.run(
        command, cwd=folder, env=clean_environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def started(harness: ApiHarness, folder: Path, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    harness.port = free_port()
    command = [sys.executable, str(SCRIPT), "--home", str(harness.home)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(PORT=str(harness.port), **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=0 if os.name != "nt" else -1,
    )
    try:
        assert eventually(lambda: answers(harness.port) or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/api/health", timeout=20).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_serves_without_database_and_stops_on_signal(harness: ApiHarness, tmp_path: Path, name: str) -> None:
    with started(harness, tmp_path, API_KEY="canary1234567890", API_SECRET="canary0987654321") as process:
        url = f"http://127.0.0.1:{harness.port}"
        assert requests.get(f"{url}/api/positions", timeout=20).json() == []
        page = requests.get(f"{url}/", timeout=20)
        token = (harness.home / "data" / "dashboard.token").read_text(encoding="utf-8")
        assert f'content="{token}"' in page.text
        stream = requests.get(f"{url}/api/stream", stream=True, timeout=20)
        process.send_signal(getattr(signal, name))
        output, _ = process.communicate(timeout=60)
        stream.close()
    assert process.returncode == 0
    if os.name != "nt":
        written = [harness.home / "data", *(harness.home / "data").rglob("*")]
        assert {stat.S_IMODE(each.stat().st_mode) for each in written if each.is_dir()} == {0o700}
        assert {stat.S_IMODE(each.stat().st_mode) for each in written if each.is_file()} == {0o600}
    assert "no database yet: the bot has not run in this home" in output
    assert "canary" not in output + page.text


@pytest.mark.parametrize("program", ["main.py", "src/api/api_server.py", "src/sandbox/server.py"])
@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_every_program_writes_files_for_its_owner_only(program: str) -> None:
    script = (
        "import atexit, os, runpy, sys\n"
        "atexit.register(lambda: print(f'umask {os.umask(0):o}'))\n"
        f"sys.argv = [{program!r}, '--help']\n"
        f"runpy.run_path({program!r}, run_name='__main__')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, umask=0, check=False
    )
    assert result.stdout.endswith("umask 77\n"), result.stderr


def test_help_lists_the_options(tmp_path: Path) -> None:
    result = ended(tmp_path, tmp_path, "--help")
    assert result.returncode == 0
    assert "--home" in result.stdout


def test_port_in_use_is_reported_in_one_line(harness: ApiHarness, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = ended(harness.home, tmp_path, PORT=str(port))
    assert result.returncode == 2
    assert re.fullmatch(rf"Port {port} on 127.0.0.1 is in use by another program: .*\n", result.stderr)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_public_host_is_rejected_in_one_line(harness: ApiHarness, tmp_path: Path, host: str) -> None:
    result = ended(harness.home, tmp_path, HOST=host, PORT=str(free_port()))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "no password yet" in result.stderr


def test_missing_home_is_reported_in_one_line(tmp_path: Path) -> None:
    result = ended(tmp_path / "nowhere", tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "does not exist" in result.stderr


def test_missing_package_is_reported_in_one_line(harness: ApiHarness, tmp_path: Path) -> None:
    (tmp_path / "flask.py").write_text("raise ModuleNotFoundError('gone', name='flask')", encoding="utf-8")
    result = ended(harness.home, tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == "The package flask is missing: start launcher.py once, it installs what is needed.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_few_open_files_are_raised_or_limit_the_connections(
    harness: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accept that fails for want of a file would keep the loop busy: shells on macOS allow 256."""
    import resource

    limits = [256, resource.RLIM_INFINITY]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, changed: limits.__setitem__(slice(None), changed))
    for highest, expected in ((resource.RLIM_INFINITY, 500), (256, 128)):
        limits[:] = [256, highest]
        server = create_web_server(harness.app, harness.environment)
        assert server.settings.connection_limit == expected
        server.close()


def test_unavailable_address_raises_config_error(harness: ApiHarness) -> None:
    harness.port = free_port()
    with pytest.raises(ConfigError, match=r"cannot listen|in use"), socket.socket() as other:
        other.bind(("127.0.0.1", harness.port))
        other.listen()
        serve(harness.app, harness.environment, threading.Event())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_thread_ends_the_process(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> None:
        raise SystemExit

    with served(harness) as running:
        monkeypatch.setattr(running.streams, "poll", die)
        assert eventually(lambda: running.code is not None)
    assert running.code == 1


def test_process_holds_no_keys(harness: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    (harness.home / ".env").write_text("API_KEY=abc123\nAPI_SECRET=def456\nHOST=0.0.0.0\n", encoding="utf-8")
    monkeypatch.setenv("API_KEY", "abc123")
    monkeypatch.setenv("API_SECRET", "def456")
    seen: list[Environment] = []

    def note(_app: object, environment: Environment, _stop: object) -> int:
        seen.append(environment)
        return 0

    monkeypatch.setattr("src.api.api_server.serve", note)
    for name in ("src.api.api_server.set_up_logging", "signal.signal"):  # they change the process that runs the tests
        monkeypatch.setattr(name, lambda *_: None)
    assert main(["--home", str(harness.home)]) == 0
    assert seen[0].credentials is None
    assert "API_KEY" not in os.environ and "API_SECRET" not in os.environ


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.0\n\n",
        "GET / HTTP/1.1\nHost: evil.test\nConnection: close\n\n",
        "GET / HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: evil.test\nConnection: close\n\n",
        "GET http://evil.test/ HTTP/1.1\nHost: 127.0.0.1:{port}\nConnection: close\n\n",
        "GET http://127.0.0.1:{port}/ HTTP/1.1\nHost: evil.test\nConnection: close\n\n",
    ],
)
def test_foreign_host_header_is_rejected_on_the_socket(harness: ApiHarness, head: str) -> None:
    with served(harness) as running:
        answer = running.raw(head.replace("{port}", str(harness.port)))
        assert answer.split(" ")[1] in ("400", "421")
        assert "hunter-token" not in answer


def test_response_has_no_server_header(harness: ApiHarness) -> None:
    with served(harness) as running:
        assert "Server" not in running.get("/api/health").headers


def test_huge_body_is_rejected_as_json_error(harness: ApiHarness) -> None:
    with served(harness) as running:
        headers = {"Origin": running.url, "X-Hunter-Token": harness.token, "Content-Type": "application/json"}
        response = requests.post(f"{running.url}/api/control", data="x" * 100_000, headers=headers, timeout=20)
        assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_two_apps_of_one_home_share_the_token(harness: ApiHarness) -> None:
    other = create_app(harness.environment)
    assert harness.token in other.test_client().get("/", base_url="http://127.0.0.1:5000").text
