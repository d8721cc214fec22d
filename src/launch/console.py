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
        self._is_terminal = out.isatty()
        self._changing: str | None = None
        """The line that `progress` has begun and may still replace."""
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
        self.plain(f"{self._label(label)} {line}")

    def progress(self, text: str) -> None:
        """Begin the launcher's line, or replace its text. Where the output is no terminal the first text stays."""
        if self._changing is None or self._is_terminal:
            self._put(self._replacing(text))
            self._changing = text

    def end_progress(self, text: str) -> None:
        """The last text of that line."""
        self._put(f"{self._replacing(text)}\n")
        self._changing = None

    def _replacing(self, text: str) -> str:
        line = f"{self._label('launcher')} {text}"
        if self._changing is None:
            return line
        if not self._is_terminal:
            return f" ... {text}"
        return f"\r{line}{' ' * (len(self._changing) - len(text))}"

    def _label(self, label: str) -> str:
        name = f"[{label}]".ljust(WIDTH)
        return f"{COLOURS.get(label, '')}{name}{RESET}" if self.is_coloured else name

    def plain(self, line: str) -> None:
        """One line without a label."""
        self._put(line + "\n")

    def _put(self, text: str) -> None:
        """A terminal that went away is no reason to stop anything."""
        with self._lock:
            if self._out is None:
                return
            try:
                self._out.write(text)
                self._out.flush()
            except (OSError, ValueError):
                self._out = None


def utf8_output() -> TextIO:
    """Our own standard output, in UTF-8 whatever the code page says."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="replace")
    return sys.stdout
