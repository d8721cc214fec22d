"""Where a bot finds this sandbox: its keys and addresses, as a ``.env`` of a demo home."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from src.domain.errors import ConfigError
from src.sandbox.keys import Keys


def write_key_file(home: Path, keys: Keys, base_url: str, ws_url: str) -> None:
    """Write ``<home>/.env`` in one step, readable by its owner only. Raises ConfigError."""
    lines = {
        "API_KEY": keys.api_key,
        "API_SECRET": keys.api_secret,
        "ASTER_BASE_URL": base_url,
        "ASTER_WS_URL": ws_url,
        "ASTER_NETWORK": "sandbox",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=home, prefix=".env.")  # made with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(home / ".env")
        except OSError:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(f"{home / '.env'} cannot be written: {error.strerror}") from error
