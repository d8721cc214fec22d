#!/usr/bin/env python3
"""Runs the tests: ``python3 tests/run.py [pytest arguments]``; ``--help`` explains."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HELP = """\
usage: python3 tests/run.py [--all | --long] [pytest arguments]

Runs pytest in the active virtual environment if it is complete, otherwise in .venv, which it creates.

(no option) the quick tests
--all       also tests that start the real programs, use a browser or take long, as in CI
--long      all tests, with more kills, more examples and longer runs: for a night

All other arguments are passed to pytest. A test file given by name runs completely:
    python3 tests/run.py tests/core -k stop
    python3 tests/run.py tests/recovery/test_starts.py
    python3 tests/run.py -n 1 --durations 20

The exit code is that of pytest: 0 if all tests passed. Durations and variables: docs/development.md.
Options of pytest: python3 tests/run.py --pytest-help
"""


def main(arguments):
    # type: (list[str]) -> int
    """Run pytest in the project's environment; returns its exit code."""
    if set(arguments) & {"-h", "--help"}:
        print(HELP, end="")
        return 0
    sys.path[0] = str(ROOT)  # not tests/: its directories have the same names as packages of src
    from src.launch import require_python

    require_python()
    from src.launch.console import Console, utf8_output
    from src.launch.environment import ensure_venv
    from src.launch.errors import LaunchError

    console = Console(utf8_output())
    passed_on = ["--help" if each == "--pytest-help" else each for each in arguments]
    try:
        python = ensure_venv(ROOT, ROOT / "requirements-dev.txt", console, use_running="CI" not in os.environ)
        return subprocess.run([str(python), "-m", "pytest", *passed_on], cwd=str(ROOT)).returncode
    except LaunchError as error:
        console.say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
