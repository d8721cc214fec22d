"""How our programs end: their exit codes, and the signals that stop them."""

import signal
from collections.abc import Callable

EXIT_STOPPED = 0
EXIT_CRASH = 1
"""Also for a database that is busy: the launcher starts the program again."""
EXIT_CONFIG = 2
"""Bad options, settings or .env, or a missing package: starting again would not help."""
EXIT_LOCKED = 3
"""Another bot uses the database."""
EXIT_RESTART = 4
"""The bot requests an immediate restart by the launcher."""
EXIT_OPEN_ENTRIES = 5
"""The bot has stopped, and at the exchange an entry or an unprotected position is left, named in its log. Final:
starting again is for a person to decide."""
EXIT_INTERRUPTED = 130
"""Ctrl-C while the launcher was still preparing."""


def stop_on_signals(request_stop: Callable[[], object]) -> None:
    """Call ``request_stop`` on Ctrl-C, on a service manager's stop and when the terminal closes."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue  # unknown on this platform, or started with nohup
        signal.signal(number, lambda _number, _frame: request_stop())
