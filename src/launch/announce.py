"""Says where the dashboard is, as soon as it answers."""

import http.client
import json
import threading

from src.launch.console import Console
from src.launch.home import Address

PATIENCE_S = 60.0


def announce(address: Address, console: Console, *, is_demo: bool) -> None:
    """Wait in the background for ``GET /api/health``, then print one line with the URL."""
    arguments = (address, console, is_demo)
    threading.Thread(target=_announce, args=arguments, name="announce", daemon=True).start()


def _announce(address: Address, console: Console, is_demo: bool) -> None:
    never = threading.Event()
    for _ in range(int(PATIENCE_S * 10)):
        mode = health_mode(address)
        if mode is not None:
            name = "SANDBOX" if is_demo else mode.upper()
            console.plain(f"\nDashboard: {address.url}{f'  ({name})' if name else ''}\nCtrl-C stops everything.\n")
            return
        never.wait(0.1)
    console.say(f"The dashboard does not answer on {address.url} yet; its lines above may say why.")


def health_mode(address: Address) -> str | None:
    """The mode the dashboard names, empty when it names none; ``None`` while it does not answer."""
    connection = http.client.HTTPConnection(address.browser_host, address.port, timeout=2)
    try:
        connection.request("GET", "/api/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    mode = answer.get("mode") if isinstance(answer, dict) else None
    return mode if isinstance(mode, str) else ""
