import socket
import stat
import sys
from pathlib import Path

import pytest

from src.launch.errors import LaunchError
from src.launch.home import (
    Address,
    child_environment,
    dashboard_address,
    demo_environment,
    prepare_demo,
    require_free_port,
    values_of_env_file,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_wins_over_the_file() -> None:
    assert dashboard_address({"PORT": "6000"}, {"PORT": "7000", "HOST": "0.0.0.0"}) == Address("0.0.0.0", 6000)


def test_without_any_setting_the_dashboard_is_local() -> None:
    assert dashboard_address({"PORT": ""}, {}).url == "http://127.0.0.1:5000"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "5000.0"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(LaunchError, match=f"PORT={port} is not a port"):
        dashboard_address({"PORT": port}, {})


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("box", "http://box:80")]
)
def test_the_url_can_be_opened(host: str, url: str) -> None:
    assert Address(host, 80).url == url


def in_file(file: Path) -> dict[str, str]:
    return values_of_env_file(Path(sys.executable), ROOT, file)


def test_host_and_port_are_read_from_the_env_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\ufeff# PORT=1\nexport PORT = '8080'\nHOST=0.0.0.0 # all\nAPI_KEY=\"a=b\"\n", encoding="utf-8")
    assert in_file(file) == {"PORT": "8080", "HOST": "0.0.0.0"}


def test_an_absent_env_file_sets_nothing(tmp_path: Path) -> None:
    assert in_file(tmp_path / ".env") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PORT=\xff\xfe", "is not UTF-8"), (b"PORT=1\nnonsense here", "line 2: this is not NAME=value")],
)
def test_an_env_file_that_is_not_understood_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(LaunchError, match=said):
        in_file(tmp_path / ".env")


def test_a_python_that_cannot_be_started_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    with pytest.raises(LaunchError, match="cannot be read"):
        values_of_env_file(tmp_path / "nowhere", ROOT, tmp_path / ".env")


def test_a_busy_port_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"Port {port} on 127.0.0.1 is busy.*PORT={port + 1} "):
            require_free_port(Address("127.0.0.1", port))
    require_free_port(Address("127.0.0.1", port))


def test_a_bound_port_that_does_not_answer_is_busy_too() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(LaunchError, match="is busy"):
            require_free_port(Address("127.0.0.1", silent.getsockname()[1]))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"cannot listen on 192\.0\.2\.1"):
        require_free_port(Address("192.0.2.1", 5000))


def test_demo_gets_settings_once_and_nothing_of_an_earlier_sandbox(tmp_path: Path) -> None:
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


def test_demo_without_its_settings_says_so(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="cannot be prepared"):
        prepare_demo(tmp_path / "demo", tmp_path / "absent.json")


def test_demo_settings_can_be_edited_even_from_a_read_only_original(tmp_path: Path) -> None:
    defaults = tmp_path / "demo_settings.json"
    defaults.write_text("{}", encoding="utf-8")
    defaults.chmod(stat.S_IRUSR)
    prepare_demo(tmp_path / "demo", defaults)
    assert (tmp_path / "demo" / "settings.json").stat().st_mode & stat.S_IWUSR


def test_demo_children_see_nothing_of_the_users_account() -> None:
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


def test_children_keep_the_terminals_colours() -> None:
    assert child_environment({}, Address("127.0.0.1", 5001), is_coloured=True)["FORCE_COLOR"] == "1"


def test_children_speak_utf8_at_once_and_know_the_address() -> None:
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
