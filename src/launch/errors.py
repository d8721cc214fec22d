"""LaunchError, and the check for Python and packages that every program runs around its imports."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from src.launch import require_python
from src.launch.shutdown import EXIT_CONFIG


class LaunchError(Exception):
    """The program cannot start; the message gives the cause and the remedy. Exit code 2."""


@contextmanager
def required_packages(*, of_program: bool) -> Iterator[None]:
    """Wrap a program's imports: exit with code 2 and one sentence if Python is too old or a package is missing.

    With ``of_program=False`` (a test imports the module) and for missing modules of our own the error is raised as is.
    """
    if of_program:
        require_python()
    try:
        yield
    except ModuleNotFoundError as missing:
        if not of_program or (missing.name or "src").startswith("src"):
            raise
        print(
            f"The package {missing.name} is missing: start launcher.py once, it installs what is needed.",
            file=sys.stderr,
        )
        sys.exit(EXIT_CONFIG)
