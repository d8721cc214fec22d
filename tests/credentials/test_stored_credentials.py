"""Stored credentials are described without secrets, and replaced as a whole."""

from pathlib import Path

from src.credentials.stored_credentials import (
    StoredCredentials,
    is_same_account,
    load_stored,
    save_credentials,
    save_paper_choice,
)
from src.settings.config import Credentials, WalletCredentials, load_environment
from src.utils.auth import ApiVersion

USER = "0x63DD5aCC6b1aa0f563956C0e534DD30B6dcF7C4e"
SIGNER = "0x21cF8Ae13Bb72632562c6Fff438652Ba1a151bb0"
PRIVATE_KEY = "0x4fd0a42218f3eae43a6ce26d22544e986139a01e5b34a62db53757ffca81bae1"
WALLET = WalletCredentials(USER, SIGNER, PRIVATE_KEY)
KEY = Credentials("abcdefgh", "ijklmnop")


def test_new_home_is_empty_until_something_is_chosen(tmp_path: Path) -> None:
    assert load_stored(tmp_path / ".env").is_empty
    save_paper_choice(tmp_path / ".env")
    assert load_stored(tmp_path / ".env") == StoredCredentials(has_chosen_paper=True)
    assert not load_stored(tmp_path / ".env").is_empty


def test_saved_credentials_replace_the_other_kind(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    save_paper_choice(path)
    save_credentials(path, KEY)
    assert load_stored(path) == StoredCredentials(ApiVersion.V1, "efgh")
    save_credentials(path, WALLET)
    assert load_stored(path) == StoredCredentials(ApiVersion.V3, "1bb0", USER, SIGNER)
    assert load_environment(tmp_path, {}).credentials == WALLET
    assert "ijklmnop" not in path.read_text(encoding="utf-8")


def test_unusable_credentials_are_reported_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_KEY=abcdefgh\n", encoding="utf-8")
    stored = load_stored(tmp_path / ".env")
    assert "API_SECRET is missing" in stored.fault
    assert not stored.is_empty


def test_same_account_compares_addresses_or_api_keys(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    save_credentials(path, WALLET)
    assert is_same_account(path, WalletCredentials(USER.lower(), "0x1", "0x2"))
    assert not is_same_account(path, WalletCredentials(SIGNER, "0x1", "0x2"))
    assert not is_same_account(path, KEY)
    save_credentials(path, KEY)
    assert is_same_account(path, Credentials("abcdefgh", "another"))
    assert not is_same_account(path, Credentials("another", "ijklmnop"))
