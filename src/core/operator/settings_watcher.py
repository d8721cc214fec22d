"""Notices edits of settings.json, whoever makes them: an editor, a script or the dashboard."""

import hashlib
from pathlib import Path

from src.settings.config import Settings, SettingsError, load_settings

_POLLS_BEFORE_REFUSAL = 4
"""A faulty file may be one that is still being written: it is refused only after so many polls without a change."""
_MISSING = "missing"
_DIGEST_BYTES = 2_000_000

FileSignature = tuple[int, int, int, int]


class SettingsWatcher:
    """Reports each new content of the settings file once. Call ``poll`` a few times a second, from one thread.

    A content counts once the file has not changed from one poll to the next, as a valid one after two polls, and as a
    faulty or missing one after five. Editors that replace the file by renaming another one are noticed too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: FileSignature | None = None
        self._quiet_polls = 0
        self._is_checked = False
        self._digest = ""
        """Of the content that was last reported or loaded."""

    def poll(self) -> Settings | SettingsError | None:
        """The settings, or the faults, of a content that has not been reported yet; None if there is none."""
        signature = self._read_signature()
        if signature != self._signature:
            self._signature, self._quiet_polls, self._is_checked = signature, 0, False
            return None
        self._quiet_polls += 1
        return None if self._is_checked else self._check()

    def load(self) -> Settings:
        """Load the file now; its content is not reported again. Raises `SettingsError`."""
        self._digest = self._read_digest()  # first: a later change is then noticed
        return load_settings(self._path)

    def _check(self) -> Settings | SettingsError | None:
        digest, outcome = self._read_digest(), self._read()
        if isinstance(outcome, SettingsError) and self._quiet_polls < _POLLS_BEFORE_REFUSAL:
            return None
        if self._read_signature() != self._signature:  # changed while it was read
            return None
        self._is_checked = True
        if digest == self._digest:
            return None
        self._digest = digest
        return outcome

    def _read(self) -> Settings | SettingsError:
        try:
            return load_settings(self._path)
        except SettingsError as error:
            return error

    def _read_signature(self) -> FileSignature | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino

    def _read_digest(self) -> str:
        try:
            with self._path.open("rb") as file:  # of a file that is too large to be one of settings, only the beginning
                return hashlib.sha256(file.read(_DIGEST_BYTES)).hexdigest()
        except OSError:
            return _MISSING
