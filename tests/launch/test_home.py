import errno
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from src.credentials.credentials import CREDENTIAL_NAMES
from src.launch.errors import LaunchError
from src.launch.home import (
    CREDENTIAL_VARIABLES,
    WITHHELD_KEYS,
    Address,
    FileLock,
    child_environment,
    dashboard_address,
    demo_environment,
    prepare_demo,
    read_host_and_port,
    require_free_port,
    without_keys,
)
from src.settings import environment

ROOT = Path(__file__).resolve().parents[2]


def test_environment_overrides_the_env_file() -> None:
    assert dashboard_address({"PORT": "6000"}, {"PORT": "7000", "HOST": "0.0.0.0"}) == Address("0.0.0.0", 6000)


def test_dashboard_is_local_by_default() -> None:
    assert dashboard_address({"PORT": ""}, {}).url == "http://127.0.0.1:5000"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "5000.0"])
def test_invalid_port_is_rejected(port: str) -> None:
    with pytest.raises(LaunchError, match=f"PORT={port} is not a valid port"):
        dashboard_address({"PORT": port}, {})


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("box", "http://box:80")]
)
def test_url_can_be_opened_in_a_browser(host: str, url: str) -> None:
    assert Address(host, 80).url == url


def in_file(file: Path) -> dict[str, str]:
    return read_host_and_port(Path(sys.executable), ROOT, file)


def test_only_host_and_port_are_read_from_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\ufeff# PORT=1\nexport PORT = '8080'\nHOST=0.0.0.0 # all\nAPI_KEY=\"a=b\"\n", encoding="utf-8")
    assert in_file(file) == {"PORT": "8080", "HOST": "0.0.0.0"}


def test_missing_env_file_sets_nothing(tmp_path: Path) -> None:
    assert in_file(tmp_path / ".env") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PORT=\xff\xfe", "is not UTF-8"),
        ("PORT=5001\n".encode("utf-16-be"), "is not UTF-8"),
        (b"PORT=1\nnonsense here", "line 2: expected NAME=value"),
    ],
)
def test_invalid_env_file_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(LaunchError, match=message):
        in_file(tmp_path / ".env")


def test_python_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    with pytest.raises(LaunchError, match="cannot be read"):
        read_host_and_port(tmp_path / "nowhere", ROOT, tmp_path / ".env")


def test_port_in_use_is_reported_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"Port {port} on 127.0.0.1 is in use.*PORT={port + 1} "):
            require_free_port(Address("127.0.0.1", port))
    require_free_port(Address("127.0.0.1", port))


def test_bound_port_that_does_not_respond_is_in_use() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(LaunchError, match="is in use"):
            require_free_port(Address("127.0.0.1", silent.getsockname()[1]))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_host_of_another_machine_is_rejected_by_the_name_of_its_variable(host: str) -> None:
    with pytest.raises(LaunchError, match=f"cannot listen on HOST={host} port 5000 .*remove HOST from the environment"):
        require_free_port(Address(host, 5000))


def test_demo_keeps_its_settings_and_deletes_sandbox_data(tmp_path: Path) -> None:
    defaults, home = tmp_path / "demo_settings.json", tmp_path / "data" / "demo"
    defaults.write_text('{"first": 1}', encoding="utf-8")
    prepare_demo(home, defaults)
    assert (home / "settings.json").read_text(encoding="utf-8") == '{"first": 1}'

    (home / "settings.json").write_text("mine", encoding="utf-8")
    stale = [home / name for name in (".env", "bot.db", "bot.db-wal", "control.db")]
    for path in stale:
        path.write_text("stale", encoding="utf-8")
    prepare_demo(home, defaults)
    assert (home / "settings.json").read_text(encoding="utf-8") == "mine"
    assert not any(path.exists() for path in stale)


def test_missing_demo_settings_are_reported(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="cannot be prepared"):
        prepare_demo(tmp_path / "demo", tmp_path / "absent.json")


def test_demo_settings_are_writable_after_copying(tmp_path: Path) -> None:
    defaults = tmp_path / "demo_settings.json"
    defaults.write_text("{}", encoding="utf-8")
    defaults.chmod(stat.S_IRUSR)
    prepare_demo(tmp_path / "demo", defaults)
    assert (tmp_path / "demo" / "settings.json").stat().st_mode & stat.S_IWUSR


def test_demo_environment_hides_the_users_account() -> None:
    personal = (
        "API_KEY",
        "API_SECRET",
        "ASTER_NETWORK",
        "ASTER_BASE_URL",
        "DB_PATH",
        "HUNTER_HOME",
        "HTTPS_PROXY",
        "http_proxy",
    )
    environment = dict.fromkeys(personal, "x") | {"PORT": "5001", "HOST": "0.0.0.0", "PATH": "/bin"}
    assert demo_environment(environment) == {"PORT": "5001", "HOST": "0.0.0.0", "PATH": "/bin"}


def test_keys_are_handed_to_the_bot_alone() -> None:
    assert CREDENTIAL_VARIABLES == CREDENTIAL_NAMES and WITHHELD_KEYS == environment.WITHHELD_KEYS
    keys = dict.fromkeys(CREDENTIAL_NAMES, "secret") | {"API_SECRET": ""}
    handed = without_keys({**keys, "PATH": "/bin", "ASTER_NETWORK": "testnet"})
    assert "secret" not in handed.values()
    assert {name: handed[name] for name in ("PATH", "ASTER_NETWORK")} == {"PATH": "/bin", "ASTER_NETWORK": "testnet"}
    assert set(handed[WITHHELD_KEYS].split(",")) == set(CREDENTIAL_NAMES) - {"API_SECRET"}
    assert without_keys({"PATH": "/bin"}) == {"PATH": "/bin"}


def test_children_use_colours_on_a_terminal() -> None:
    assert child_environment({}, Address("127.0.0.1", 5001), is_coloured=True)["FORCE_COLOR"] == "1"


def test_child_environment_sets_utf8_and_the_address() -> None:
    environment = child_environment({"PATH": "/bin", "PORT": ""}, Address("127.0.0.1", 5001), is_coloured=False)
    assert environment == {
        "PATH": "/bin",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "HUNTER_SUPERVISED": "1",
        "HOST": "127.0.0.1",
        "PORT": "5001",
    }


def test_second_holder_is_rejected_with_the_message(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "new" / "a.lock"), FileLock(tmp_path / "new" / "a.lock")
    first.acquire(0, "never")
    with pytest.raises(LaunchError, match="already running"):
        second.acquire(100, "already running")
    first.release()
    second.acquire(1_000, "still held")
    second.release()


@pytest.mark.parametrize("cause", ["the lock is another's", "a file is in the folder's place"])
def test_lock_that_cannot_be_opened_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    path = tmp_path / "data" / "launcher.lock"
    if cause == "the lock is another's":

        def refuse(file: Path, *_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))

        monkeypatch.setattr(Path, "open", refuse)
    else:
        path.parent.touch()
    with pytest.raises(LaunchError, match=r"data.* cannot be opened for writing \(.*\)\. If .* sudo"):
        FileLock(path)


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are inherited on POSIX only")
def test_lock_is_kept_by_a_child_that_inherits_it(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    first.acquire(0, "never")
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, pass_fds=(first.fileno(),)) as child:
        first.release()
        with pytest.raises(LaunchError):
            second.acquire(0, "held by the child")
        child.communicate()
    second.acquire(1_000, "still held")
    second.release()
