"""Writes the labelled lines of all processes to one terminal, line by line."""

import os
import sys
import threading
from typing import TextIO

COLOURS = {"launcher": "\x1b[1m", "sandbox": "\x1b[35m", "bot": "\x1b[32m", "dashboard": "\x1b[36m"}
RESET = "\x1b[0m"
WIDTH = len("[dashboard]")


class Console:
    """The terminal, or the file that output is redirected to; coloured only on a terminal without NO_COLOR."""

    def __init__(self, out: TextIO) -> None:
        self._out: TextIO | None = out
        self._is_terminal = out.isatty()
        self._progress_text: str | None = None
        """Text of the unfinished progress line; None when there is none."""
        self.is_coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()  # lines of several reader threads must not mix
        if self.is_coloured and os.name == "nt":
            os.system("")  # enables escape sequences in the Windows console

    @property
    def is_closed(self) -> bool:
        """Whether writing has failed: nobody reads the output any more."""
        return self._out is None

    def say(self, text: str) -> None:
        """Write one line of the launcher."""
        self.write("launcher", text)

    def write(self, label: str, line: str) -> None:
        """Write one line of the process ``label``."""
        self.plain(f"{self._label(label)} {line}")

    def progress(self, text: str) -> None:
        """Start a progress line, or replace its text. Without a terminal only the first text is written."""
        if self._progress_text is None or self._is_terminal:
            self._write(self._progress_line(text))
            self._progress_text = text

    def end_progress(self, text: str) -> None:
        """Finish the progress line with this text."""
        self._write(f"{self._progress_line(text)}\n")
        self._progress_text = None

    def _progress_line(self, text: str) -> str:
        line = f"{self._label('launcher')} {text}"
        if self._progress_text is None:
            return line
        if not self._is_terminal:
            return f" ... {text}"
        return f"\r{line}{' ' * (len(self._progress_text) - len(text))}"

    def _label(self, label: str) -> str:
        name = f"[{label}]".ljust(WIDTH)
        return f"{COLOURS.get(label, '')}{name}{RESET}" if self.is_coloured else name

    def plain(self, line: str) -> None:
        """Write one line without a label."""
        self._write(line + "\n")

    def _write(self, text: str) -> None:
        """Write and flush; once the terminal is closed, drop everything."""
        with self._lock:
            if self._out is None:
                return
            try:
                self._out.write(text)
                self._out.flush()
            except (OSError, ValueError):
                self._out = None


def utf8_output() -> TextIO:
    """Our standard output, switched to UTF-8 regardless of the code page."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="replace")
    return sys.stdout
