"""What keeps a program from starting: LaunchError, and a check for Python and packages. Runs on old Pythons."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class LaunchError(Exception):
    """The program cannot start; the text says why and what to do about it. Exit code 2."""


MISSING_PACKAGE = 2
OLDEST_PYTHON = (3, 11)


@contextmanager
def required_packages(*, of_program: bool) -> Iterator[None]:
    """Around a program's imports: ends it with exit code 2 where one cannot be found, or not be understood.

    Modules of our own that are missing are our fault, and told in full; so is everything while tests import it.
    """
    if of_program and sys.version_info[:2] < OLDEST_PYTHON:
        found, oldest = (".".join(map(str, each)) for each in (sys.version_info[:3], OLDEST_PYTHON))
        print(f"This is Python {found}: install Python {oldest} or newer and start again.", file=sys.stderr)
        sys.exit(MISSING_PACKAGE)
    try:
        yield
    except ModuleNotFoundError as missing:
        if not of_program or (missing.name or "src").startswith("src"):
            raise
        print(
            f"The package {missing.name} is missing: start launcher.py once, it installs what is needed.",
            file=sys.stderr,
        )
        sys.exit(MISSING_PACKAGE)
