#!/usr/bin/env python3
"""Starts everything: ``python3 launcher.py --demo`` to try it, ``python3 launcher.py`` to trade. ``--help`` tells more.

Needs nothing but Python >= 3.11. This file itself must stay readable for older ones, so that they can say so.
"""

import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def refuse_old_python():
    # type: () -> None
    """End the process with a plain sentence where Python is too old for the rest of the project."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        have = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write(
            "This program needs Python 3.11 or newer, and this is Python " + have + ": get it from python.org.\n"
        )
        sys.exit(2)


def main():
    # type: () -> int
    """Run the launcher; returns the exit code."""
    refuse_old_python()
    from src.launch import start

    return start.main(Path(__file__).resolve().parent, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
