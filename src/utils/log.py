"""Logging of one process: readable lines on the terminal, details in a rotating file, secrets masked in both."""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TextIO
from urllib.parse import quote

MASK = "***"
_MIN_SECRET_LENGTH = 6

# The value after such a name in a URL, header, JSON or repr() is always masked.
_NAMED_SECRET = re.compile(
    r"(?i)(signature|listen_?key|x-mbx-apikey|api_?key|api_?secret|secret_?key|private_?key|authorization|(?:set-)?cookie|nonce"
    r"|x-hunter-token|password)"
    r"""((?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)(?:(?:bearer|basic)\s+)?([^\s&"',;})\\]+)"""
)
_LISTEN_KEY_IN_PATH = re.compile(r"(/ws/|streams=)[A-Za-z0-9]{32,}")
# Keys, secrets, signatures and listen keys have 64 characters; no other logged word is this long.
_LONG_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{60,}(?![A-Za-z0-9])")
# Control characters, line separators and bidirectional formatting characters.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAX_FILE_BYTES = 5_000_000
_BACKUP_COUNT = 5
_NOISY_LOGGERS = ("alembic", "apscheduler", "urllib3", "waitress.queue", "websocket", "websockets", "werkzeug")
_RESET, _DIM = "\033[0m", "\033[2m"
_COLOURS: Mapping[int, str] = {
    logging.DEBUG: _DIM,
    logging.WARNING: "\033[33m",
    logging.ERROR: "\033[31m",
    logging.CRITICAL: "\033[1;31m",
}

Redact = Callable[[str], str]

log = logging.getLogger(__name__)


def make_redactor(secrets: Iterable[str]) -> Redact:
    """Return a function that masks these secrets, and text that looks like one."""
    spellings = {
        form for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH for form in (secret, quote(secret, ""))
    }
    longest_first = sorted(spellings, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(MASK, text)
        text = _NAMED_SECRET.sub(rf"\1\2{MASK}", text)
        text = _LISTEN_KEY_IN_PATH.sub(rf"\1{MASK}", text)
        return _LONG_WORD.sub(MASK, text)

    return redact


def escape_control_characters(text: str) -> str:
    """Escape characters that break the line, move the cursor or change the text direction."""
    return _UNSAFE.sub(lambda match: _escape(match.group()), text)


def _escape(character: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or (
        f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
    )


def set_up_logging(name: str, directory: Path, *, secrets: Iterable[str] = ()) -> None:
    """Log to the terminal and to ``<directory>/<name>.log``.

    If the directory is not writable, warn and log to the terminal only. Uncaught exceptions are logged too, with
    secrets masked. May be called again.
    """
    root = logging.getLogger()
    redact = make_redactor(secrets)
    _remove_own_handlers(root)
    root.setLevel(logging.INFO)
    for noisy in _NOISY_LOGGERS:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        handlers = [_console(redact, has_file=True), _file(directory / f"{name}.log", redact)]
        problem = None
    except OSError as error:
        handlers, problem = [_console(redact, has_file=False)], error
    for handler in handlers:
        root.addHandler(handler)
    _install_excepthooks()
    if problem is not None:
        log.warning("cannot write a log file directory=%s error=%s", directory, problem.strerror)


class _OwnHandler:
    """Marks the handlers of this module. A failing handler must not print the record: it may hold secrets."""

    _has_reported = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if self._has_reported or sys.stderr is None:
            return
        self._has_reported = True
        try:
            sys.stderr.write(f"lost a log line of {record.name}: {type(error).__name__}\n")
        except (OSError, ValueError):
            return


class _Console(_OwnHandler, logging.StreamHandler[TextIO]):
    pass


class _RotatingFile(_OwnHandler, RotatingFileHandler):
    pass


class _LineFormatter(logging.Formatter):
    """Formats a record as one escaped line and its traceback as indented lines."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def _message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} {record.args!r}"  # a wrong log call must not lose the line
        return escape_control_characters(self._redact(text))

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        parts += [record.stack_info] if record.stack_info else []
        lines = self._redact("\n".join(parts)).split("\n") if parts else []
        return "".join(f"\n    | {escape_control_characters(line)}" for line in lines)


class _FileFormatter(_LineFormatter):
    """``2026-01-31T23:59:59.123Z WARNING trader src.core.trader: message``, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        source = f"{record.levelname} {escape_control_characters(record.threadName or '-')} {record.name}"
        return f"{second}.{int(record.msecs):03d}Z {source}: {self._message(record)}{self._traceback(record)}"


class _TerminalFormatter(_LineFormatter):
    """``23:59:59  message`` in local time; only the error of a traceback if the file has the rest."""

    def __init__(self, redact: Redact, *, has_colours: bool, has_file: bool) -> None:
        super().__init__(redact)
        self._has_colours = has_colours
        self._has_file = has_file

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        text = self._message(record)
        text += self._error(record) if self._has_file else self._traceback(record)
        if not self._has_colours:
            return f"{clock}  {text}"
        colour = _COLOURS.get(record.levelno, "")
        return f"{_DIM}{clock}{_RESET}  {colour}{text}{_RESET if colour else ''}"

    def _error(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return (
            "" if error is None else f": {escape_control_characters(self._redact(f'{type(error).__name__}: {error}'))}"
        )


def _remove_own_handlers(root: logging.Logger) -> None:
    for handler in [handler for handler in root.handlers if isinstance(handler, _OwnHandler)]:
        root.removeHandler(handler)
        handler.close()


def _console(redact: Redact, *, has_file: bool) -> logging.Handler:
    stream = sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Windows uses a code page by default
    if stream is None:  # a Windows program without a terminal
        return logging.NullHandler()
    handler = _Console(stream)
    handler.setFormatter(_TerminalFormatter(redact, has_colours=_wants_colours(stream), has_file=has_file))
    return handler


def _wants_colours(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    is_old_windows = os.name == "nt" and not any(os.environ.get(name) for name in ("WT_SESSION", "TERM", "ANSICON"))
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not is_old_windows


def _file(path: Path, redact: Redact) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _RotatingFile(
        path, maxBytes=_MAX_FILE_BYTES, backupCount=_BACKUP_COUNT, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(_FileFormatter(redact))
    return handler


def _install_excepthooks() -> None:
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        log.info("interrupted")
    else:
        log.critical("unexpected error, the process stops", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "unknown"
    error = arguments.exc_value
    if error is not None and not isinstance(error, SystemExit):
        trace = (arguments.exc_type, error, arguments.exc_traceback)
        log.critical("unexpected error thread=%s", name, exc_info=trace)
