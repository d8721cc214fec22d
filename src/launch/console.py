"""Writes the labelled lines of all processes to one terminal, a whole line at a time."""

import os
import sys
import threading
from typing import TextIO

COLOURS = {"launcher": "\x1b[1m", "sandbox": "\x1b[35m", "bot": "\x1b[32m", "dashboard": "\x1b[36m"}
RESET = "\x1b[0m"
WIDTH = len("[dashboard]")


class Console:
    """The terminal, or the file the output was redirected to; coloured only on a terminal without NO_COLOR."""

    def __init__(self, out: TextIO) -> None:
        self._out: TextIO | None = out
        self.is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()  # lines of several pump threads must not mix
        if self.is_coloured and os.name == "nt":
            os.system("")  # switches the Windows console to escape sequences

    @property
    def is_closed(self) -> bool:
        """Claims that nobody reads us any more."""
        return self._out is None

    def say(self, text: str) -> None:
        """One line of the launcher's own."""
        self.write("launcher", text)

    def write(self, label: str, line: str) -> None:
        """One line of the process ``label``."""
        name = f"[{label}]".ljust(WIDTH)
        if self.is_coloured:
            name = f"{COLOURS.get(label, '')}{name}{RESET}"
        self.plain(f"{name} {line}")

    def plain(self, line: str) -> None:
        """One line without a label. A terminal that went away is no reason to stop anything."""
        with self._lock:
            if self._out is None:
                return
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (OSError, ValueError):
                self._out = None


def utf8_output() -> TextIO:
    """Our own standard output, in UTF-8 whatever the code page says."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="replace")
    return sys.stdout
