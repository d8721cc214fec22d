"""Where a bot finds this sandbox: its keys and addresses, as a ``.env`` of a demo home."""

from pathlib import Path
from typing import assert_never

from src.domain.errors import ConfigError
from src.sandbox.keys import Keys
from src.utils.auth import Scheme
from src.utils.whole_files import replace_text


def write_key_file(home: Path, keys: Keys, scheme: Scheme, base_url: str, ws_url: str) -> None:
    """Write ``<home>/.env`` in one step, readable by its owner only. Raises ConfigError."""
    lines = {
        **_credentials(keys, scheme),
        "ASTER_BASE_URL": base_url,
        "ASTER_WS_URL": ws_url,
        "ASTER_NETWORK": "sandbox",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    try:
        home.mkdir(parents=True, exist_ok=True)
        replace_text(home / ".env", text, 0o600)
    except OSError as error:
        raise ConfigError(f"{home / '.env'} cannot be written: {error.strerror}") from error


def _credentials(keys: Keys, scheme: Scheme) -> dict[str, str]:
    match scheme:
        case Scheme.V1:
            return {"API_KEY": keys.api_key, "API_SECRET": keys.api_secret}
        case Scheme.V3:
            wallet = keys.wallet
            return {"ASTER_USER_ADDRESS": wallet.user, "ASTER_SIGNER_PRIVATE_KEY": wallet.private_key}
        case _:
            assert_never(scheme)
