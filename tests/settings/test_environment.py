"""Reading .env and process variables: network, hosts, keys and files; conflicting values are rejected."""

import os
import stat
from pathlib import Path

import pytest

from src.domain.enums import Network
from src.domain.errors import ConfigError
from src.settings.config import Credentials, Environment, WalletCredentials, find_home, load_environment
from src.settings.environment import PROJECT_ROOT, WITHHELD_KEYS
from src.settings.networks import is_local
from src.utils.auth import ApiVersion
from src.utils.log import make_redactor

KEYS = {"API_KEY": "abc123abc123", "API_SECRET": "def456def456"}
USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
SIGNER = "0x21cF8Ae13Bb72632562c6Fff438652Ba1a151bb0"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
WALLET = {"ASTER_USER_ADDRESS": USER, "ASTER_SIGNER_PRIVATE_KEY": PRIVATE_KEY}
SANDBOX = {
    "ASTER_NETWORK": "sandbox",
    "ASTER_BASE_URL": "http://127.0.0.1:8001",
    "ASTER_WS_URL": "ws://127.0.0.1:8002",
}


def write_env(home: Path, text: str) -> None:
    path = home / ".env"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def faults_of(home: Path, variables: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_environment(home, variables)
    return "\n".join(caught.value.messages)


def test_defaults_are_mainnet_and_paper(tmp_path: Path) -> None:
    assert load_environment(tmp_path, {}) == Environment(
        home=tmp_path,
        network=Network.MAINNET,
        base_url="https://fapi.asterdex.com",
        ws_url="wss://fstream.asterdex.com",
        host="127.0.0.1",
        port=5000,
        credentials=None,
        database=tmp_path / "data" / "bot.db",
    )


def test_other_files_are_in_the_folder_of_the_database(tmp_path: Path) -> None:
    environment = load_environment(tmp_path, {"DB_PATH": "elsewhere/bot.db"})

    assert environment.database == tmp_path / "elsewhere" / "bot.db"
    assert environment.control_database == tmp_path / "elsewhere" / "control.db"
    assert environment.log_directory == tmp_path / "elsewhere" / "logs"
    assert environment.settings_file == tmp_path / "settings.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"globals": {"db_path": "bot.db"}, "symbols": 3}', "bot.db"),
        ('{"globals": {"db_path": 3}}', "data/bot.db"),
        ('{"globals": {"db_path": "data\\bot.db"}}', "data/bot.db"),
        ('{"globals": []}', "data/bot.db"),
        ("[]", "data/bot.db"),
        ("{broken", "data/bot.db"),
    ],
)
def test_database_path_is_read_from_invalid_settings(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "settings.json").write_text(text, encoding="utf-8")
    assert load_environment(tmp_path, {}).database == tmp_path / expected


def test_database_variable_with_a_control_character_is_refused(tmp_path: Path) -> None:
    assert "DB_PATH holds a control character" in faults_of(tmp_path, {"DB_PATH": "data\bot.db"})


def test_process_variables_override_the_file(tmp_path: Path) -> None:
    write_env(
        tmp_path, "PORT=6000\nHOST=0.0.0.0\n# a comment\nexport API_KEY='abc123abc123'\nAPI_SECRET=def456def456\n"
    )

    environment = load_environment(tmp_path, {"PORT": " 7000 ", "HOST": ""})

    assert (environment.port, environment.host) == (7000, "0.0.0.0")
    assert environment.credentials == Credentials("abc123abc123", "def456def456")


def test_process_environment_is_read_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "7001")
    assert load_environment(tmp_path).port == 7001


@pytest.mark.parametrize("port", ["0", "65536", "-1", "5000.0", "five", "٥٠٠٠", "99999999999999999999"])
def test_invalid_port_is_rejected(tmp_path: Path, port: str) -> None:
    assert "PORT must be a number from 1 to 65535" in faults_of(tmp_path, {"PORT": port})


@pytest.mark.parametrize("host", ["local host", "http://x", "a\nb", "hôst"])
def test_invalid_host_is_rejected(tmp_path: Path, host: str) -> None:
    assert "HOST must be a host name or an address" in faults_of(tmp_path, {"HOST": host})


class TestEnvFile:
    def test_invalid_line_is_reported_with_its_number(self, tmp_path: Path) -> None:
        write_env(tmp_path, "PORT=5000\nAPI_KEY abc\n")
        assert ".env, line 2: expected NAME=value" in faults_of(tmp_path, {})

    def test_other_encoding_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes("API_KEY=é".encode("utf-16"))
        assert "is not UTF-8" in faults_of(tmp_path, {})

    def test_folder_instead_of_file_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / ".env").mkdir()
        assert "cannot be read" in faults_of(tmp_path, {})

    @pytest.mark.skipif(os.name == "nt", reason="Windows knows no permission bits")
    def test_file_readable_by_others_is_warned_about(self, tmp_path: Path) -> None:
        write_env(tmp_path, "")
        assert load_environment(tmp_path, {}).warnings == ()
        (tmp_path / ".env").chmod(0o644)
        assert "chmod 600" in load_environment(tmp_path, {}).warnings[0]


class TestCredentials:
    @pytest.mark.parametrize("name", KEYS)
    def test_half_a_key_is_rejected(self, tmp_path: Path, name: str) -> None:
        other = next(key for key in KEYS if key != name)
        assert f"{other} is missing" in faults_of(tmp_path, {name: KEYS[name]})

    def test_halves_from_two_sources_are_rejected(self, tmp_path: Path) -> None:
        write_env(tmp_path, "API_KEY=old000old000\nAPI_SECRET=old111old111\n")
        assert "come from different places" in faults_of(tmp_path, {"API_KEY": "new000new000"})

    def test_placeholders_are_no_key(self, tmp_path: Path) -> None:
        write_env(tmp_path, "API_KEY=your_api_key_here\nAPI_SECRET=your_api_secret_here\n")
        assert load_environment(tmp_path, {}).credentials is None

    @pytest.mark.parametrize("secret", ["with space", "sécret", "line\nbreak", "<secret>"])
    def test_invalid_characters_are_rejected_without_showing_them(self, tmp_path: Path, secret: str) -> None:
        faults = faults_of(tmp_path, {**KEYS, "API_SECRET": secret})
        assert "API_SECRET contains characters that no key has" in faults
        assert secret not in faults

    def test_representations_hide_the_key(self, tmp_path: Path) -> None:
        environment = load_environment(tmp_path, KEYS)
        for text in (repr(environment), str(environment), repr(environment.credentials), f"{environment.credentials}"):
            assert not any(half in text for half in KEYS.values())


class TestWallet:
    @pytest.mark.parametrize("more", [{}, {"ASTER_SIGNER_ADDRESS": SIGNER}, {"ASTER_SIGNER_ADDRESS": SIGNER.lower()}])
    def test_wallet_address_is_derived_from_its_key(self, tmp_path: Path, more: dict[str, str]) -> None:
        environment = load_environment(tmp_path, {**WALLET, **more})
        assert environment.credentials == WalletCredentials(USER, SIGNER, PRIVATE_KEY)
        assert environment.credentials.make_signer(Network.MAINNET).api_version is ApiVersion.V3

    def test_api_key_signs_with_v1(self, tmp_path: Path) -> None:
        credentials = load_environment(tmp_path, KEYS).credentials
        assert credentials is not None
        assert credentials.make_signer(Network.MAINNET).api_version is ApiVersion.V1

    @pytest.mark.parametrize("name", WALLET)
    def test_half_a_wallet_is_rejected(self, tmp_path: Path, name: str) -> None:
        other = next(each for each in WALLET if each != name)
        assert f"{other} is missing" in faults_of(tmp_path, {name: WALLET[name]})

    def test_signer_address_alone_is_rejected(self, tmp_path: Path) -> None:
        assert "ASTER_USER_ADDRESS is missing" in faults_of(tmp_path, {"ASTER_SIGNER_ADDRESS": SIGNER})

    def test_halves_from_two_sources_are_rejected(self, tmp_path: Path) -> None:
        write_env(tmp_path, f"ASTER_USER_ADDRESS={USER}\n")
        assert "come from different places" in faults_of(tmp_path, {"ASTER_SIGNER_PRIVATE_KEY": PRIVATE_KEY})

    def test_key_and_wallet_together_are_rejected(self, tmp_path: Path) -> None:
        faults = faults_of(tmp_path, {**KEYS, **WALLET})
        assert "API_KEY and ASTER_USER_ADDRESS are both set: keep the API key (V1) or the API wallet (V3)" in faults

    def test_key_of_the_login_wallet_is_rejected(self, tmp_path: Path) -> None:
        faults = faults_of(tmp_path, {**WALLET, "ASTER_USER_ADDRESS": SIGNER.lower()})
        assert "is the key of your login wallet (ASTER_USER_ADDRESS) itself" in faults
        assert "create an API wallet" in faults

    def test_signer_address_of_another_wallet_is_rejected(self, tmp_path: Path) -> None:
        faults = faults_of(tmp_path, {**WALLET, "ASTER_SIGNER_ADDRESS": USER})
        assert "ASTER_SIGNER_ADDRESS ends in 7C4e" in faults
        assert "belongs to a wallet that ends in 1bb0" in faults

    @pytest.mark.parametrize("name", ["ASTER_USER_ADDRESS", "ASTER_SIGNER_ADDRESS"])
    @pytest.mark.parametrize("text", ["0x12", USER[2:], USER.replace("63DD", "63dD"), "me"])
    def test_mistyped_address_is_rejected(self, tmp_path: Path, name: str, text: str) -> None:
        assert f"{name} is not an address" in faults_of(tmp_path, {**WALLET, name: text})

    @pytest.mark.parametrize("text", ["0x12", PRIVATE_KEY[:-1], "0x" + "g" * 64, "0x" + "0" * 64])
    def test_mistyped_key_is_rejected_without_showing_it(self, tmp_path: Path, text: str) -> None:
        faults = faults_of(tmp_path, {**WALLET, "ASTER_SIGNER_PRIVATE_KEY": text})
        assert "ASTER_SIGNER_PRIVATE_KEY is not a private key" in faults
        assert text not in faults

    def test_representations_show_only_the_ends_of_addresses(self, tmp_path: Path) -> None:
        environment = load_environment(tmp_path, WALLET)
        for text in (repr(environment), str(environment), repr(environment.credentials), f"{environment.credentials}"):
            assert "***7C4e" in text
            assert not any(secret[2:] in text for secret in (USER, SIGNER, PRIVATE_KEY))

    def test_secrets_include_both_halves_of_the_key(self, tmp_path: Path) -> None:
        credentials = load_environment(tmp_path, KEYS).credentials
        assert credentials is not None
        assert set(credentials.secrets) == set(KEYS.values())

    @pytest.mark.parametrize("spelling", [PRIVATE_KEY, PRIVATE_KEY[2:]])
    def test_redactor_masks_the_private_key_in_both_spellings(self, tmp_path: Path, spelling: str) -> None:
        credentials = load_environment(tmp_path, {**WALLET, "ASTER_SIGNER_PRIVATE_KEY": spelling}).credentials
        assert credentials is not None
        redact = make_redactor(credentials.secrets)
        assert PRIVATE_KEY[2:] not in redact(f"{PRIVATE_KEY} {PRIVATE_KEY[2:]} a{PRIVATE_KEY[2:]}b")


class TestHosts:
    def test_testnet_has_its_own_hosts(self, tmp_path: Path) -> None:
        environment = load_environment(tmp_path, {"ASTER_NETWORK": "Testnet"})
        assert environment.base_url == "https://fapi.asterdex-testnet.com"
        assert environment.ws_url == "wss://fstream.asterdex-testnet.com"

    def test_testnet_addresses_select_the_testnet(self, tmp_path: Path) -> None:
        variables = {
            "ASTER_BASE_URL": "https://fapi.asterdex-testnet.com/",
            "ASTER_WS_URL": "wss://fstream.asterdex-testnet.com",
        }
        assert load_environment(tmp_path, variables).network is Network.TESTNET

    def test_testnet_address_with_mainnet_is_rejected(self, tmp_path: Path) -> None:
        variables = {"ASTER_NETWORK": "mainnet", "ASTER_BASE_URL": "https://fapi.asterdex-testnet.com"}
        assert "which belongs to the testnet, but the network is mainnet" in faults_of(tmp_path, variables)

    def test_sandbox_uses_local_addresses(self, tmp_path: Path) -> None:
        environment = load_environment(tmp_path, SANDBOX)
        assert (environment.network, environment.base_url, environment.ws_url) == (
            Network.SANDBOX,
            "http://127.0.0.1:8001",
            "ws://127.0.0.1:8002",
        )

    @pytest.mark.parametrize("name", ["ASTER_BASE_URL", "ASTER_WS_URL"])
    def test_sandbox_requires_both_addresses(self, tmp_path: Path, name: str) -> None:
        variables = {key: value for key, value in SANDBOX.items() if key != name}
        assert f"{name} is missing" in faults_of(tmp_path, variables)

    @pytest.mark.parametrize("host", ["fapi.asterdex.com", "192.168.1.5", "127.0.0.1.evil.test", "example.org"])
    def test_sandbox_on_another_machine_is_rejected(self, tmp_path: Path, host: str) -> None:
        faults = faults_of(tmp_path, {**SANDBOX, "ASTER_BASE_URL": f"https://{host}"})
        assert f"ASTER_BASE_URL is {host}, but a sandbox runs on this machine only" in faults

    @pytest.mark.parametrize("network", [{}, {"ASTER_NETWORK": "mainnet"}, {"ASTER_NETWORK": "testnet"}])
    @pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost", "[::1]:80", "127.1", "0.0.0.0:1", "2130706433"])
    def test_real_network_on_this_machine_is_rejected(self, tmp_path: Path, network: dict[str, str], host: str) -> None:
        faults = faults_of(tmp_path, {**network, "ASTER_BASE_URL": f"https://{host}"})
        assert "which is this machine, not the" in faults

    def test_real_network_without_encryption_is_rejected(self, tmp_path: Path) -> None:
        assert "without encryption" in faults_of(tmp_path, {"ASTER_BASE_URL": "http://fapi.asterdex.com"})

    def test_unknown_host_is_warned_about(self, tmp_path: Path) -> None:
        environment = load_environment(tmp_path, {"ASTER_BASE_URL": "https://asterdex.com.evil.test"})
        assert "asterdex.com.evil.test is not a host of Aster" in environment.warnings[0]

    @pytest.mark.parametrize(
        "text",
        [
            "fapi.asterdex.com",
            "wss://fapi.asterdex.com",
            "https://",
            "https://user:pass@fapi.asterdex.com",
            "https://fapi.asterdex.com/fapi/v1",
            "https://fapi.asterdex.com?x=1",
            "https://fapi.asterdex.com#x",
            "https://fapi.asterdex.com:99999",
            "https://fapi.asterdex.com:0",
            "https://[::1",
            "https://fapi asterdex.com",
        ],
    )
    def test_malformed_address_is_rejected_without_showing_it(self, tmp_path: Path, text: str) -> None:
        fault = faults_of(tmp_path, {"ASTER_BASE_URL": text})
        assert fault.startswith("ASTER_BASE_URL is not a valid https or http address without a path")
        assert "user:pass" not in fault

    def test_unknown_network_is_rejected(self, tmp_path: Path) -> None:
        assert "ASTER_NETWORK must be mainnet, testnet or sandbox" in faults_of(tmp_path, {"ASTER_NETWORK": "paper"})

    def test_all_errors_are_reported_at_once(self, tmp_path: Path) -> None:
        faults = faults_of(tmp_path, {"PORT": "x", "HOST": "a b", "API_KEY": "k", "ASTER_NETWORK": "y"})
        assert len(faults.splitlines()) == 4


@pytest.mark.parametrize("host", ["LOCALHOST.", "x.localhost", "127.0.0.53", "::ffff:127.0.0.1", "::", "0x7f.1"])
def test_local_hosts_are_recognized(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["asterdex.com", "localhost.evil.test", "8.8.8.8", "::2", "币安.com", ""])
def test_other_hosts_are_not_local(host: str) -> None:
    assert not is_local(host)


class TestHome:
    def test_chosen_directory_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUNTER_HOME", str(tmp_path / "other"))
        assert find_home(tmp_path) == tmp_path.resolve()

    def test_variable_comes_second(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HUNTER_HOME", str(tmp_path))
        assert find_home() == tmp_path.resolve()

    def test_project_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HUNTER_HOME", raising=False)
        assert find_home() == PROJECT_ROOT

    def test_missing_directory_is_rejected(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="does not exist: create it"):
            find_home(tmp_path / "nowhere")


def test_testnet_has_its_own_data_folder(tmp_path: Path) -> None:
    assert load_environment(tmp_path, {"ASTER_NETWORK": "testnet"}).database == tmp_path / "data" / "testnet" / "bot.db"
    named = load_environment(tmp_path, {"ASTER_NETWORK": "testnet", "DB_PATH": "mine/bot.db"})
    assert named.database == tmp_path / "mine" / "bot.db"


def test_keys_that_the_launcher_withholds_are_listed(tmp_path: Path) -> None:
    found = load_environment(tmp_path, {WITHHELD_KEYS: "API_KEY,API_SECRET,PATH"})
    assert found.env_override_keys == {"API_KEY", "API_SECRET"}
    assert found.credentials is None


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_data_and_logs_are_closed_to_others(tmp_path: Path) -> None:
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True, mode=0o777)
    database = tmp_path / "data" / "bot.db"
    for file in (database, tmp_path / "data" / "dashboard.token", logs / "bot.log", tmp_path / "settings.json"):
        file.touch()
        file.chmod(0o664)
    load_environment(tmp_path, {}).make_private()
    assert [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "data", logs)] == [0o700, 0o700]
    assert stat.S_IMODE((tmp_path / "data" / "dashboard.token").stat().st_mode) == 0o600
    assert stat.S_IMODE((logs / "bot.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "settings.json").stat().st_mode) == 0o664
    assert stat.S_IMODE(database.stat().st_mode) == 0o664, "it may be another program's"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_folder_outside_the_home_directory_keeps_its_permissions(tmp_path: Path) -> None:
    home, shared = tmp_path / "home", tmp_path / "shared"
    home.mkdir()
    shared.mkdir()
    shared.chmod(0o755)
    load_environment(home, {"DB_PATH": str(shared / "bot.db")}).make_private()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_credentials_set_in_the_process_are_listed(tmp_path: Path) -> None:
    write_env(tmp_path, "HOST=localhost\n")
    assert load_environment(tmp_path, {**KEYS, "PORT": "5000"}).env_override_keys == {"API_KEY", "API_SECRET"}
    assert load_environment(tmp_path, {}).env_override_keys == frozenset()
