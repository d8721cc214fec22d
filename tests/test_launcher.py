"""The real launcher in its own process, with a project of fake programs."""

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from src.launch.home import Address
from src.launch.start import health_mode
from tests.helpers import free_port

pytestmark = pytest.mark.processes
ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 60.0
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

RUNS = """
import os, pathlib, signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
home = pathlib.Path(sys.argv[sys.argv.index("--home") + 1])
"""
WAITS = "\nwhile not stop.wait(0.05):\n    pass\n"
REPORTS = "print('key', os.environ.get('API_KEY'), 'port', os.environ['PORT'], 'arguments', sys.argv[1:])\n"
BOT = RUNS + REPORTS + WAITS
SANDBOX = RUNS + REPORTS + "(home / '.env').write_text('API_KEY=sandbox')\n" + WAITS
DASHBOARD = """
import http.server, os, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "healthy", "mode": "paper"}')
    def log_message(self, *arguments):
        pass
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""


@dataclass
class Project:
    """A copy of the launcher in a temporary directory, with fake programs."""

    root: Path
    port: int = field(default_factory=free_port)
    runs: list["Run"] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def launch(self, *arguments: str, **environment: str) -> "Run":
        personal = {"API_KEY": "personal", "PORT": str(self.port), "NO_COLOR": "1"}
        command = [sys.executable, str(self.root / "launcher.py"), "--no-install", *arguments]
        process = subprocess.Popen(
            command,
            env={**os.environ, **personal, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        self.runs.append(Run(process))
        return self.runs[-1]

    def processes(self) -> list[psutil.Process]:
        """All processes that run in the project directory, orphans included."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return bool(process.cwd() == str(self.root) and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


class Run:
    """A running launcher and its output."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def code(self) -> int:
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code


def wait_for(claim: Callable[[], bool], run: Run | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, run.text if run else "timed out"
        time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    shutil.copy(ROOT / "launcher.py", tmp_path)
    shutil.copytree(ROOT / "src" / "launch", tmp_path / "src" / "launch", ignore=shutil.ignore_patterns("__pycache__"))
    domain = (f"src/domain/{name}.py" for name in ("__init__", "clock", "crash_points", "errors"))
    reader = [f"src/{name}.py" for name in ("credentials/__init__", "credentials/env_file")]
    reader += [f"src/utils/{name}.py" for name in ("__init__", "files")]
    for name in ("src/__init__.py", "src/sandbox/__init__.py", *domain, *reader):
        project.write(name, (ROOT / name).read_text(encoding="utf-8"))
    project.write("requirements.txt", "")
    project.write("main.py", BOT)
    project.write("src/sandbox/server.py", SANDBOX)
    project.write("src/sandbox/demo_settings.json", '{"demo": true}')
    project.write("src/api/api_server.py", DASHBOARD)
    yield project
    for run in project.runs:
        run.process.kill()
        run.process.wait()
    for process in project.processes():
        process.kill()


def test_live_start_serves_the_dashboard_and_stops_cleanly(project: Project) -> None:
    run = project.launch()
    wait_for(lambda: f"Dashboard: http://127.0.0.1:{project.port}  (PAPER)" in run.text, run)
    wait_for(lambda: f"key personal port {project.port} arguments ['--home', '{project.root}']" in run.text, run)

    run.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    assert run.code() == 0
    assert project.processes() == []


@posix_only
def test_demo_uses_its_own_home_and_keys(project: Project) -> None:
    project.write("settings.json", "mine")
    project.write(".env", "API_KEY=mine\nPORT=1\n")
    project.write("data/demo/.env", "API_KEY=stale")
    run = project.launch("--demo")
    wait_for(lambda: f"Dashboard: http://127.0.0.1:{project.port}  (SANDBOX)" in run.text, run)
    report = f"[bot]       key None port {project.port} arguments ['--home', '{project.root / 'data/demo'}']"
    wait_for(lambda: report in run.text, run)
    assert (project.root / "data/demo/settings.json").read_text(encoding="utf-8") == '{"demo": true}'
    assert (project.root / "data/demo/.env").read_text(encoding="utf-8") == "API_KEY=sandbox"
    assert (project.root / ".env").read_text(encoding="utf-8") == "API_KEY=mine\nPORT=1\n"

    run.process.terminate()
    assert run.code() == 0
    assert project.processes() == []


@posix_only
def test_replay_options_reach_the_sandbox(project: Project) -> None:
    project.write("history.csv", "")
    run = project.launch("--demo", "--replay", str(project.root / "history.csv"), "--speed", "60")
    expected = f"'--replay', '{project.root / 'history.csv'}', '--speed', '60.0']"
    wait_for(lambda: "[sandbox]" in run.text, run)
    assert expected in run.text


def test_wrong_settings_exit_with_code_2(project: Project) -> None:
    project.write("main.py", "raise SystemExit(2)")
    run = project.launch()
    assert run.code() == 2
    assert run.text.count("The bot ended with exit code 2: stopping the others.") == 1
    assert project.processes() == []


@posix_only
def test_bot_runs_while_the_dashboards_port_is_taken(project: Project) -> None:
    with socket.create_server(("127.0.0.1", project.port)):
        run = project.launch()
        wait_for(lambda: f"Port {project.port} on 127.0.0.1 is in use" in run.text, run)
        wait_for(lambda: "[bot]       key personal" in run.text, run)
        assert "The bot starts without its dashboard, which is tried again." in run.text
        assert run.process.poll() is None
    wait_for(lambda: health_mode(Address("127.0.0.1", project.port)) == "paper", run)
    run.process.terminate()
    assert run.code() == 0


def test_demo_reports_a_port_in_use_in_one_line(project: Project) -> None:
    with socket.create_server(("127.0.0.1", project.port)):
        run = project.launch("--demo")
        assert run.code() == 2
    assert run.text.startswith(f"[launcher]  Port {project.port} on 127.0.0.1 is in use")
    assert run.text.count("\n") == 1


def test_port_of_the_env_file_is_used_without_demo(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        project.write(".env", f"PORT={port}\n")
        run = project.launch(PORT="")
        wait_for(lambda: f"Port {port} " in run.text, run)


def test_second_launcher_is_rejected_in_one_line(project: Project) -> None:
    first = project.launch()
    wait_for(lambda: "Dashboard:" in first.text, first)
    second = project.launch(PORT=str(free_port()))
    assert second.code() == 2
    assert second.text == (
        f"[launcher]  Another launcher is running in {project.root}: use its dashboard, or stop it with Ctrl-C first.\n"
    )
    assert first.process.poll() is None


@posix_only
def test_children_of_a_killed_launcher_stop_cleanly(project: Project) -> None:
    project.write("main.py", BOT + "print('stopped', flush=True)\n(home / 'stopped cleanly').touch()\n")
    first = project.launch()
    wait_for(lambda: "Dashboard:" in first.text and "[bot]" in first.text, first)
    first.process.kill()
    second = project.launch()
    wait_for(lambda: "Dashboard:" in second.text, second)
    assert (project.root / "stopped cleanly").exists()
    wait_for(lambda: len(project.processes()) == 2)


def test_no_install_creates_no_environment(project: Project) -> None:
    project.write("requirements.txt", "no-such-package-anywhere\n")
    run = project.launch()
    assert run.code() == 2
    assert "--no-install is set" in run.text
    assert not (project.root / ".venv").exists()


def test_old_python_is_reported_in_one_line() -> None:
    script = (
        "import sys; sys.version_info = (3, 8, 10, 'final', 0); import launcher\n"
        "sys.argv = ['launcher.py']; launcher.main()"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "This is Python 3.8.10: install Python 3.11 or newer and start again.\n"


@pytest.mark.parametrize("name", ["launcher.py", "src/__init__.py", "src/launch/__init__.py", "tests/run.py"])
def test_entry_points_can_be_parsed_by_an_old_python(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 5))
    assert tree.body
