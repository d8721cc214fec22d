"""Logging for one process: readable lines on the terminal, the whole story in a rotating file, secrets in neither."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TextIO

from src.utils.log_redaction import Redact, on_one_line, redactor

_LARGEST_FILE = 5_000_000
_OLDER_FILES = 5
_TALKATIVE = ("alembic", "apscheduler", "urllib3", "waitress.queue", "websocket", "websockets", "werkzeug")
_RESET, _DIM = "\033[0m", "\033[2m"
_COLOURS: Mapping[int, str] = {
    logging.DEBUG: _DIM,
    logging.WARNING: "\033[33m",
    logging.ERROR: "\033[31m",
    logging.CRITICAL: "\033[1;31m",
}

log = logging.getLogger(__name__)


def set_up_logging(name: str, directory: Path, *, secrets: Iterable[str] = ()) -> None:
    """Send everything logged in this process to the terminal and to ``<directory>/<name>.log``.

    A directory that cannot be written is reported and the terminal alone is used. Errors that nobody caught are
    logged too, instead of being printed with whatever secrets their traceback holds. May be called again.
    """
    root = logging.getLogger()
    redact = redactor(secrets)
    _remove_ours(root)
    root.setLevel(logging.INFO)
    for talkative in _TALKATIVE:
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        handlers = [_console(redact, has_file=True), _file(directory / f"{name}.log", redact)]
        problem = None
    except OSError as error:
        handlers, problem = [_console(redact, has_file=False)], error
    for handler in handlers:
        root.addHandler(handler)
    _catch_what_nobody_caught()
    if problem is not None:
        log.warning("no log file can be written in %s (%s): terminal only", directory, problem.strerror)


class _Ours:
    """Marks our handlers, and keeps a failing one from printing the record, secrets included."""

    _has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if self._has_complained or sys.stderr is None:
            return
        self._has_complained = True
        try:
            sys.stderr.write(f"a log line of {record.name} was lost: {type(error).__name__}\n")
        except (OSError, ValueError):
            return


class _Console(_Ours, logging.StreamHandler[TextIO]):
    pass


class _RotatingFile(_Ours, RotatingFileHandler):
    pass


class _Line(logging.Formatter):
    """What both outputs share: a record as one safe line, and its traceback as safe, indented lines."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def _message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = f"{record.msg} {record.args!r}"  # a mistake in a log call must not cost the line
        return on_one_line(self._redact(text))

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        parts += [record.stack_info] if record.stack_info else []
        lines = self._redact("\n".join(parts)).split("\n") if parts else []
        return "".join(f"\n    | {on_one_line(line)}" for line in lines)


class _FileLine(_Line):
    """``2026-01-31T23:59:59.123Z WARNING trader src.core.trader: message``, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        source = f"{record.levelname} {on_one_line(record.threadName or '-')} {record.name}"
        return f"{second}.{int(record.msecs):03d}Z {source}: {self._message(record)}{self._traceback(record)}"


class _TerminalLine(_Line):
    """``23:59:59  message`` in local time; of a traceback only the error, as long as the file has the rest."""

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
        return "" if error is None else f": {on_one_line(self._redact(f'{type(error).__name__}: {error}'))}"


def _remove_ours(root: logging.Logger) -> None:
    for handler in [handler for handler in root.handlers if isinstance(handler, _Ours)]:
        root.removeHandler(handler)
        handler.close()


def _console(redact: Redact, *, has_file: bool) -> logging.Handler:
    stream = sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # Windows writes its own code page else
    if stream is None:  # a Windows program without a terminal
        return logging.NullHandler()
    handler = _Console(stream)
    handler.setFormatter(_TerminalLine(redact, has_colours=_wants_colours(stream), has_file=has_file))
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
        path, maxBytes=_LARGEST_FILE, backupCount=_OLDER_FILES, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(_FileLine(redact))
    return handler


def _catch_what_nobody_caught() -> None:
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        log.info("interrupted")
    else:
        log.critical("unexpected error, this process cannot go on", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "unknown"
    error = arguments.exc_value
    if error is not None and not isinstance(error, SystemExit):
        trace = (arguments.exc_type, error, arguments.exc_traceback)
        log.critical("unexpected error in the thread %s", name, exc_info=trace)
