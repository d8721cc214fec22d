"""Starts and supervises the programs before any package is installed: standard library only.

This file stays valid for Python 2.7 and older 3.x, so that they can report that they are too old.
"""

import sys

OLDEST_PYTHON = (3, 11)


def require_python():
    # type: () -> None
    """Exit with code 2 and one sentence if this Python is older than `OLDEST_PYTHON`."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        oldest = ".".join(str(part) for part in OLDEST_PYTHON)
        sys.stderr.write("This is Python " + found + ": install Python " + oldest + " or newer and start again.\n")
        sys.exit(2)
