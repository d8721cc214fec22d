#!/usr/bin/env python3
"""Starts the bot and its dashboard: ``python3 launcher.py --demo`` to try it, ``python3 launcher.py`` to trade.

Needs only Python >= 3.11. This file stays valid for older versions, so that they can report that they are too old.
"""

import sys


def main():
    # type: () -> int
    """Run the launcher; returns the exit code."""
    from src.launch import require_python

    require_python()
    from pathlib import Path

    from src.launch import start

    return start.main(Path(__file__).resolve().parent, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
